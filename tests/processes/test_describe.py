"""What a fresh child says about a task file: its tasks, its version, or what is wrong with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ratchet.bodies.attempts import FileDescription
from ratchet.runtime.versions import version_of
from tests.processes.zygote_harness import ZygoteHandle, write


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteHandle]:
    handle = ZygoteHandle()
    yield handle
    assert handle.close() == 0


class Describe:
    def __init__(self, zygote: ZygoteHandle, folder: Path) -> None:
        self._zygote = zygote
        self.folder = folder

    def __call__(self, text: str | None = None, name: str = "tasks.py") -> FileDescription:
        path = self.folder / name if text is None else write(self.folder, name, text)
        child = self._zygote.fork()
        body: dict[str, Any] = child.describe(path)
        child.peer.close()
        return FileDescription.model_validate(body)


@pytest.fixture
def describe(zygote: ZygoteHandle, tmp_path: Path) -> Describe:
    return Describe(zygote, tmp_path)


def test_tasks_are_described_with_their_schemas(describe: Describe) -> None:
    described = describe('''
        @task(tags=["b", "a"], timeout=5, idempotent=True)
        def second(rows: int, ctx: Context, title: str = "none") -> list[str]:
            """Do the second thing.

            Args:
                rows: How many.
            """
            return []

        @task(id="the.first")
        async def first() -> None: ...

        def helper() -> None: ...
    ''')
    assert described.broken is None
    assert [task.task_id for task in described.tasks] == ["second", "the.first"]
    second = described.tasks[0]
    assert (second.function, second.description, second.tags) == ("second", "Do the second thing.", ["b", "a"])
    assert (second.timeout_seconds, second.idempotent, second.version) == (5, True, described.version)
    assert second.input_schema == {
        "type": "object",
        "properties": {
            "rows": {"type": "integer", "description": "How many."},
            "title": {"type": "string", "default": "none"},
        },
        "required": ["rows"],
        "additionalProperties": False,
    }
    assert second.output_schema == {"type": "array", "items": {"type": "string"}}


def test_a_file_without_tasks_is_not_broken(describe: Describe) -> None:
    described = describe("x = 1\n")
    assert (described.tasks, described.broken) == ([], None)


def test_the_version_covers_modules_of_the_roots_and_only_those(describe: Describe) -> None:
    write(describe.folder, "kit/__init__.py", "")
    helper = write(describe.folder, "kit/deep.py", "VALUE = 1\n")
    write(describe.folder, "unused.py", "VALUE = 1\n")
    text = "import json\nfrom kit.deep import VALUE\n"
    before = describe(text)
    assert before.files == sorted(
        str(describe.folder / name) for name in ("kit/__init__.py", "kit/deep.py", "tasks.py")
    )
    assert before.version == version_of(before.files, [str(describe.folder)]) == describe().version
    write(describe.folder, "unused.py", "VALUE = 2\n")
    assert describe().version == before.version
    helper.write_text(helper.read_text().replace("1", "2"))
    after = describe()
    assert after.version != before.version
    assert after.version == version_of(after.files, [str(describe.folder)])


def test_the_version_covers_what_functions_import_when_they_are_called(describe: Describe) -> None:
    write(describe.folder, "kit/__init__.py", "")
    write(describe.folder, "kit/outer.py", "def value() -> int:\n    from . import inner\n    return inner.VALUE\n")
    write(describe.folder, "kit/inner.py", "def more():\n    import deepest\n")
    write(describe.folder, "deepest.py", "def oops(:\n")
    before = describe(
        "@task\ndef work() -> None:\n    import json\n    from kit.outer import value\n    import no_such_thing\n"
    )
    names = ["deepest.py", "kit/__init__.py", "kit/inner.py", "kit/outer.py", "tasks.py"]
    assert before.files == [str(describe.folder / name) for name in names]
    assert before.version == version_of(before.files, [str(describe.folder)])
    assert before.absent == [str(describe.folder / name) for name in ("no_such_thing", "no_such_thing.py")]
    write(describe.folder, "deepest.py", "VALUE = 2\n")
    assert describe().version != before.version


def test_the_same_code_has_the_same_version_wherever_its_folder_is(zygote: ZygoteHandle, tmp_path: Path) -> None:
    text = "from kit.deep import VALUE\n"
    versions: set[str] = set()
    for folder in (tmp_path / "here", tmp_path / "there" / "tasks"):
        write(folder, "kit/__init__.py", "")
        write(folder, "kit/deep.py", "VALUE = 1\n")
        versions.add(Describe(zygote, folder)(text).version)
    assert len(versions) == 1
    write(tmp_path / "there" / "tasks", "kit/deep.py", "VALUE = 2\n")
    assert Describe(zygote, tmp_path / "there" / "tasks")(text).version not in versions


def test_a_changed_helper_of_the_same_size_and_second_is_noticed(describe: Describe) -> None:
    text = "from helper import number\n\n@task(id=f'task-{number()}')\ndef work() -> None: ...\n"
    found: list[str] = []
    for n in range(1, 4):
        write(describe.folder, "helper.py", f"def number() -> int:\n    return {n}\n")
        found += [task.task_id for task in describe(text).tasks]
    assert found == ["task-1", "task-2", "task-3"]


def test_nothing_is_written_into_task_folders(describe: Describe) -> None:
    write(describe.folder, "helper.py", "")
    describe("import helper\n")
    assert sorted(path.name for path in describe.folder.iterdir()) == ["helper.py", "tasks.py"]


def test_tasks_imported_from_another_file_belong_to_that_file(describe: Describe) -> None:
    write(describe.folder, "other.py", "@task\ndef theirs() -> None: ...\n")
    described = describe("from other import theirs\n\n@task\ndef ours() -> None: ...\n")
    assert [task.task_id for task in described.tasks] == ["ours"]


@pytest.mark.parametrize(
    ("text", "error_type", "message", "line"),
    [
        ("def broken(:\n    pass\n", "SyntaxError", "invalid syntax", 2),
        ("\nimport no_such_module\n", "ModuleNotFoundError", "No module named 'no_such_module'", 3),
        ("x = 1\nx / 0\n", "ZeroDivisionError", "division by zero", 3),
        ("import sys\nsys.exit(3)\n", "SystemExit", "sys.exit(3)", 3),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt", "KeyboardInterrupt", 2),
        ("def f(): f()\n\nf()\n", "RecursionError", "maximum recursion depth exceeded", 2),
        ("@task\ndef work(*rows: int) -> None: ...\n", "TaskDefinitionError", "takes *rows", 2),
        ("@task\ndef Work_é() -> None: ...\n", "TaskDefinitionError", "id 'work-é' is not usable", 2),
        ("@task\ndef work(it: object()) -> None: ...\n", "TaskDefinitionError", "JSON schema", 2),
        ("@task\ndef work(it: 'Missing') -> None: ...\n", "TaskDefinitionError", "'Missing' cannot be evaluated", 2),
        ("@task\ndef work() -> open: ...\n", "TaskDefinitionError", "its return type", 2),
        (
            "@task\ndef one() -> None: ...\n\n@task(id='one')\ndef two() -> None: ...\n",
            "TaskDefinitionError",
            "two tasks in this file have the id one: one (line 2) and two (line 5)",
            5,
        ),
    ],
)
def test_a_broken_file_says_what_is_wrong_and_where(
    describe: Describe, text: str, error_type: str, message: str, line: int
) -> None:
    described = describe(text)
    assert described.tasks == []
    assert described.broken is not None
    assert described.broken.error_type == error_type
    assert message in described.broken.message
    assert described.broken.line == line
    assert described.version == version_of(described.files, [str(describe.folder)])
    assert "ratchet/runtime" not in (described.broken.stack_trace or "")


def test_an_error_inside_a_helper_points_at_the_line_that_imports_it(describe: Describe) -> None:
    write(describe.folder, "helper.py", "1 / 0\n")
    broken = describe("import json\nimport helper\n").broken
    assert broken is not None
    assert broken.line == 3
    assert "helper.py" in (broken.stack_trace or "")


def test_a_file_that_is_gone_or_is_no_text_is_broken(describe: Describe) -> None:
    broken = describe(name="gone.py").broken
    assert broken is not None
    assert (broken.error_type, broken.message) == ("FileNotFoundError", "it cannot be read: No such file or directory")
    (describe.folder / "binary.py").write_bytes(b"\xff\x00\x01")
    broken = describe(name="binary.py").broken
    assert broken is not None
    assert broken.error_type == "SyntaxError"


def test_postponed_annotations_work_even_when_context_is_imported_for_type_checkers_only(describe: Describe) -> None:
    (describe.folder / "tasks.py").write_text(
        "from __future__ import annotations\n"
        "from typing import TYPE_CHECKING\n"
        "from ratchet import task\n"
        "if TYPE_CHECKING:\n    from ratchet import Context\n"
        "@task\ndef work(when: Later, ctx: Context) -> Later: ...\n"
        "from pydantic import BaseModel\n"
        "class Later(BaseModel):\n    x: int\n"
    )
    described = describe()
    assert described.broken is None
    assert list(described.tasks[0].input_schema["properties"]) == ["when"]
