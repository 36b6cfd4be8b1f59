"""Which modules a source file may import, wherever in it that stands: functions import when they are called.

Reads, and executes nothing. What is imported by a name that is made up at run time cannot be foreseen.
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from importlib.util import resolve_name

# A line that is indented, or goes on after a colon: what stands at the margin has been imported with the file.
_LATER = re.compile(rb"(?:^[ \t]+|[:;][ \t]*)(?:import|from)[ \t]", re.MULTILINE)


def may_import_later(source: bytes) -> bool:
    """Whether it is worth looking closer: most files import at their beginning only."""
    return _LATER.search(source) is not None


def imported_names(source: bytes, package: str) -> Iterator[tuple[str, list[str]]]:
    """Every module that the source names in an import, and what of it: attributes, or modules within it.

    Args:
        source: Of a module; one that cannot be parsed imports nothing.
        package: That it belongs to, for relative imports; empty for none.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            try:
                base = resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:  # it leads out of the package, and will be an error when it is executed
                continue
            yield base, [alias.name for alias in node.names]


def located(name: str) -> Iterator[tuple[str, str]]:
    """Where a module, and each package that it is in, would be loaded from: each file, and the package of its code.

    Those that are loaded already are left out, and so is what there is no file of.
    """
    parts = name.split(".")
    locations: Sequence[str] | None = None
    for count in range(1, len(parts) + 1):
        fullname = ".".join(parts[:count])
        loaded = sys.modules.get(fullname)
        if loaded is not None:
            locations = getattr(loaded, "__path__", None)
        else:
            spec = PathFinder.find_spec(fullname, locations)
            if spec is None:
                return
            locations = spec.submodule_search_locations
            if spec.has_location and spec.origin is not None:
                yield spec.origin, fullname if locations is not None else fullname.rpartition(".")[0]
        if locations is None:
            return
