"""The task files of this machine that the head asked about, and whether they are what they were then."""

import os
from collections.abc import Sequence
from pathlib import Path

from ratchet.bodies.node_work import FoundCode
from ratchet.cluster.code import candidates, found_code

WATCHED_MAX = 20_000

Stamp = tuple[int, int, int]


class Code:
    """What was asked about.

    Args:
        roots: The task folders.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = list(roots)
        self._stamps: dict[Path, Stamp] = {}

    def find(self, names: Sequence[str]) -> FoundCode:
        """Which version these files make up; from now on they are watched."""
        for path in self._watched(names):
            self._stamps.setdefault(path, _stamp(path))  # as it is before it is read
        return found_code(names, self._roots)

    def changed(self) -> bool:
        """Whether anything is not what it was when it was asked about; it is forgotten then."""
        changed = len(self._stamps) > WATCHED_MAX or any(
            _stamp(path) != was for path, was in list(self._stamps.items())
        )
        if changed:
            self._stamps.clear()
        return changed

    def _watched(self, names: Sequence[str]) -> set[Path]:
        """The files, every place where another could take their place, and the folders: imports may find more there."""
        files = {path for name in names for path in candidates(name, self._roots)}
        return files | {path.parent for path in files} | set(self._roots)


def _stamp(path: Path) -> Stamp:
    try:
        found = os.stat(path)  # noqa: PTH116 - for many files, each second
    except OSError:
        return (0, -1, 0)
    return found.st_mtime_ns, found.st_size, found.st_ino
