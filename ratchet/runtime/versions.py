"""A task version: the hash of a task file and of every module that it imports from the task roots.

A file counts under its name within its root, so the same code has the same version in another folder and on another
machine. The same functions serve the child that loads a file and whoever wants to know whether it has changed since.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

MISSING = "missing"

_NAMES_KEPT = 4096


def digest_of(content: bytes) -> str:
    """The digest of one file's bytes."""
    return hashlib.sha256(content).hexdigest()


def version_of(files: Iterable[str], roots: Sequence[str]) -> str:
    """The version that these files make up as they are now; one that cannot be read counts as missing."""
    return combine({file: digest_now(file) for file in files}, roots)


def combine(digests: Mapping[str, str], roots: Sequence[str]) -> str:
    """The version of files with these digests by path, whatever their order and wherever the roots are."""
    return combine_named((name_of(path, roots), digest) for path, digest in digests.items())


def combine_named(digests: Iterable[tuple[str, str]]) -> str:
    """The version of files with these names and digests, whatever their order."""
    total = hashlib.sha256()
    for name, digest in sorted(digests):
        total.update(f"{name}\0{digest}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def name_of(path: str, roots: Sequence[str]) -> str:
    """A file's path within the first root that has it, with `/` between its parts; outside of all, its whole path."""
    return next((name for root in roots if (name := _name_within(path, root)) is not None), path)


@lru_cache(maxsize=_NAMES_KEPT)  # asked of every execution's file, and pathlib takes its time
def _name_within(path: str, root: str) -> str | None:
    file = Path(path)
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else None


def digest_now(path: str) -> str:
    """The digest of a file as it is; `MISSING` where it cannot be read."""
    try:
        return digest_of(Path(path).read_bytes())
    except OSError:
        return MISSING
