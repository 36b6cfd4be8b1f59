"""Who may import whom, where import-linter cannot see it: `supervisor.py` is a module, not a package."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.docs.documents import ROOT

# What runs on the tasks' interpreter, which has these packages and no others of ours.
CHILD_RUNTIME = ("ratchet/runtime", "ratchet/authoring.py", "ratchet/content.py", "ratchet/context.py",
                 "ratchet/signature.py")  # fmt: skip
CHILD_PACKAGES = {"pydantic", "pydantic_core", "msgpack", "ratchet"}


def sources(*names: str) -> list[Path]:
    found = [ROOT / name for name in names]
    return [file for path in found for file in (path.rglob("*.py") if path.is_dir() else [path])]


def imports(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_nobody_imports_the_supervisor() -> None:
    importers = [
        str(one.relative_to(ROOT)) for one in sources("ratchet", "ipc", "actors") if "supervisor" in imports(one)
    ]
    assert importers == []


def test_only_the_supervisor_imports_actors() -> None:
    outside = sources("ratchet", "ipc", "examples", "benchmarks")
    importers = [
        str(one.relative_to(ROOT)) for one in outside for name in imports(one) if name.split(".")[0] == "actors"
    ]
    assert importers == []


def test_the_child_runtime_imports_what_a_foreign_interpreter_has() -> None:
    import sys

    allowed = CHILD_PACKAGES | sys.stdlib_module_names
    foreign = {
        f"{one.relative_to(ROOT)}: {name}"
        for one in sources(*CHILD_RUNTIME)
        for name in imports(one)
        if name.split(".")[0] not in allowed
    }
    assert foreign == set()


def test_the_messaging_layer_imports_nothing_of_ratchet() -> None:
    importers = [
        f"{one.relative_to(ROOT)}: {name}"
        for one in sources("ipc")
        for name in imports(one)
        if name.split(".")[0] in ("ratchet", "actors", "supervisor", "mcp", "pydantic")
    ]
    assert importers == []
