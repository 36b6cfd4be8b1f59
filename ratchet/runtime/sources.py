"""Imports from task roots: always from source, never through (or into) __pycache__, and remembered with their digests.

Where a module was looked for in vain is remembered too: a file that comes to be there would be imported instead. And
what functions will import when they are called is read beforehand, so that it is of the same version then, whatever is
on disk by that time.

Byte code is trusted by whole seconds of modification time, which an editor can outrun; and a task folder is the
author's, not a place for our files. What is remembered is exactly what was executed.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import PathEntryFinder
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType

from ratchet.runtime.foresight import imported_names, located, may_import_later
from ratchet.runtime.versions import digest_of

_ABSENT_MAX = 100  # more are looked at with every execution than any of them is worth


class Sources:
    """What was loaded from task roots.

    Attributes:
        digests: Path of every file that was executed, with its digest.
        absent: Paths that were looked for in vain, at most `_ABSENT_MAX`.
    """

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self.absent: set[str] = set()
        self._roots: tuple[Path, ...] = ()
        self._executed: list[tuple[str, str, bytes]] = []  # path, package and content, until `foresee`
        self._foreseen: dict[str, bytes] = {}
        self._only_asking = False

    def watch(self, roots: Sequence[str]) -> None:
        """Append the roots to sys.path and load everything below them by this rule."""
        self._roots = tuple(Path(root) for root in roots)
        sys.path_hooks.insert(0, self._finder)
        for root in roots:
            sys.path_importer_cache.pop(root, None)
            if root not in sys.path:
                sys.path.append(root)

    def read(self, path: str, package: str = "") -> bytes:
        """The bytes of a source file, remembered as executed.

        Raises:
            OSError: It cannot be read.
        """
        foreseen = self._foreseen.get(path)
        if foreseen is not None:
            return foreseen
        content = Path(path).read_bytes()
        self.digests[path] = digest_of(content)
        self._executed.append((path, package, content))
        return content

    def foresee(self) -> None:
        """Read what may be imported later from the roots: it is of the version from now on."""
        while self._executed:
            _, package, content = self._executed.pop()
            if not may_import_later(content):
                continue
            for name, parts in imported_names(content, package):
                self._foresee(name)
                self._only_asking = True  # most are no modules, and are not missed
                for part in parts:
                    self._foresee(f"{name}.{part}")
                self._only_asking = False

    def _foresee(self, name: str) -> None:
        for path, package in located(name):
            if path not in self.digests and self._has(Path(path)):
                self._foreseen[path] = self.read(path, package)

    def _has(self, path: Path) -> bool:
        return any(root in path.parents for root in self._roots)

    def _finder(self, path: str) -> PathEntryFinder:
        folder = Path(path)
        if not (folder in self._roots or self._has(folder)) or not folder.is_dir():
            raise ImportError(f"{path} is in no task root")
        sources = self

        class Loader(SourceFileLoader):
            """Compiles every time."""

            def get_code(self, fullname: str) -> CodeType:
                file = self.get_filename(fullname)
                package = fullname if self.is_package(fullname) else fullname.rpartition(".")[0]
                return self.source_to_code(sources.read(file, package), file)

        class Extension(ExtensionFileLoader):
            """Takes note of the library."""

            def create_module(self, spec: ModuleSpec) -> ModuleType:
                sources.read(self.path)
                return super().create_module(spec)

        class Finder(FileFinder):
            """Takes note of what is not there."""

            def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
                found = super().find_spec(fullname, target)
                if found is None or found.loader is None:  # nothing, or a folder that any module would come before
                    sources.miss(os.path.join(path, fullname.rpartition(".")[2]), folder=found is not None)  # noqa: PTH118
                return found

        return Finder(path, (Extension, EXTENSION_SUFFIXES), (Loader, SOURCE_SUFFIXES))

    def miss(self, path: str, *, folder: bool) -> None:
        """Note that no module is at a path without its suffix, though perhaps a `folder` that may belong to one."""
        if len(self.absent) < _ABSENT_MAX and not self._only_asking:
            self.absent |= {f"{path}.py", f"{path}/__init__.py" if folder else path}
