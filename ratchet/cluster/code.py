"""Where a node finds the files that a head speaks of: by their paths within the task folders."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from ratchet.bodies.node_work import FoundCode
from ratchet.runtime.versions import MISSING, combine_named, digest_now


def candidates(name: str, roots: Sequence[Path]) -> list[Path]:
    """Every place where a file of this name may be, the one that counts first; none for a name that leads outside."""
    parts = PurePosixPath(name)
    return [] if parts.is_absolute() or ".." in parts.parts else [root / parts for root in roots]


def locate(name: str, roots: Sequence[Path]) -> Path | None:
    """The file of this name, as an import would find it: in the first task folder that has one."""
    return next((path for path in candidates(name, roots) if path.is_file()), None)


def found_code(names: Iterable[str], roots: Sequence[Path]) -> FoundCode:
    """Which version these files make up here, and which of them there are not."""
    places = {name: locate(name, roots) for name in names}
    digests = [(name, MISSING if path is None else digest_now(str(path))) for name, path in places.items()]
    return FoundCode(version=combine_named(digests), missing=[name for name, digest in digests if digest == MISSING])
