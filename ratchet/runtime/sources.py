"""Imports from task roots: always from source, never through (or into) __pycache__, and remembered with their digests.

Byte code is trusted by whole seconds of modification time, which an editor can outrun; and a task folder is the
author's, not a place for our files. What is remembered is exactly what was executed.
"""

import sys
from collections.abc import Sequence
from importlib.abc import PathEntryFinder
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType

from ratchet.runtime.versions import digest_of


class Sources:
    """What was loaded from task roots.

    Attributes:
        digests: Path of every source file that was executed, with its digest.
    """

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self._roots: tuple[Path, ...] = ()

    def watch(self, roots: Sequence[str]) -> None:
        """Append the roots to sys.path and load everything below them by this rule."""
        self._roots = tuple(Path(root) for root in roots)
        sys.path_hooks.insert(0, self._finder)
        for root in roots:
            sys.path_importer_cache.pop(root, None)
            if root not in sys.path:
                sys.path.append(root)

    def read(self, path: str) -> bytes:
        """The bytes of a source file, remembered as executed.

        Raises:
            OSError: It cannot be read.
        """
        content = Path(path).read_bytes()
        self.digests[path] = digest_of(content)
        return content

    def _finder(self, path: str) -> PathEntryFinder:
        folder = Path(path)
        if not any(folder == root or root in folder.parents for root in self._roots) or not folder.is_dir():
            raise ImportError(f"{path} is in no task root")
        sources = self

        class Loader(SourceFileLoader):
            """Compiles every time."""

            def get_code(self, fullname: str) -> CodeType:
                file = self.get_filename(fullname)
                return self.source_to_code(sources.read(file), file)

        return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (Loader, SOURCE_SUFFIXES))
