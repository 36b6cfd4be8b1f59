"""A task version: the hash of a task file and of every module that it imports from the task roots.

The same function serves the child that loads a file and whoever wants to know whether it has changed since.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

MISSING = "missing"


def digest_of(content: bytes) -> str:
    """The digest of one file's bytes."""
    return hashlib.sha256(content).hexdigest()


def version_of(files: Iterable[str]) -> str:
    """The version that these files make up as they are now; one that cannot be read counts as missing."""
    return combine({file: _digest_now(file) for file in files})


def combine(digests: Mapping[str, str]) -> str:
    """The version of files with these digests, whatever their order."""
    total = hashlib.sha256()
    for path in sorted(digests):
        total.update(f"{path}\0{digests[path]}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _digest_now(path: str) -> str:
    try:
        return digest_of(Path(path).read_bytes())
    except OSError:
        return MISSING
