"""Stamps of files: what tells, at the price of a look at their inodes, that they are as they were."""

import os
import time
from collections.abc import Iterable

Stamp = tuple[tuple[str, int, int, int], ...]  # of each file: path, modification time, size, inode

# Two writes within one tick of the kernel's clock may leave the same modification time (10 ms at most on Linux).
_TICK_NS = 20_000_000


def stamp_of(files: Iterable[str]) -> Stamp:
    """The stamp of these files as they are; one that is not there has a stamp, too."""
    return tuple(_stat(path) for path in files)


def is_young(stamp: Stamp, age_ns: int = _TICK_NS) -> bool:
    """Whether a file was written within `age_ns` of now; by default, so lately that another write might not show."""
    now_ns = time.time_ns()
    return any(size >= 0 and abs(now_ns - written_ns) < age_ns for _, written_ns, size, _ in stamp)


def _stat(path: str) -> tuple[str, int, int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - on the path of every execution, where pathlib costs more than the call
    except OSError:
        return path, 0, -1, 0
    return path, found.st_mtime_ns, found.st_size, found.st_ino
