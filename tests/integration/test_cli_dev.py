"""`ratchet dev`, in a pipe and in a terminal: edits, errors and executions as they come."""

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from tests.harness import BOUND_SECONDS, Json, RunningProject, eventually, folder_project
from tests.integration.command_line import CommandLine

TASKS = {
    "greeting": """
        from words import word
        from ratchet import task

        @task
        def greet() -> str:
            return word()

        @task
        def fail() -> None:
            raise ValueError("as asked")
        """,
    "words": "def word() -> str:\n    return 'hi'\n",
}


class Lines:
    """What a command prints, line by line."""

    def __init__(self, stream: IO[str]) -> None:
        self._found: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, args=[stream], daemon=True).start()

    def _read(self, stream: IO[str]) -> None:
        for one in stream:
            self._found.put(one.rstrip("\n"))

    def until(self, words: str) -> str:
        """The next line that contains these words."""
        while words not in (found := self._found.get(timeout=BOUND_SECONDS)):
            pass
        return found


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Generator[None]:
    """Nothing of the command is left, whatever happens."""
    try:
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    config: Json = {"workers": {"count": 1, "children": 2}}
    with folder_project(tmp_path_factory.mktemp("dev") / "project", tasks=TASKS, config=config) as found:
        yield found


def test_edits_errors_and_executions_are_shown_as_they_come(project: RunningProject) -> None:
    shell = CommandLine(project)
    process = shell.start("dev")
    with ended(process):
        assert process.stdout is not None
        lines = Lines(process.stdout)
        assert lines.until("2 tasks") == "2 tasks: fail, greet"
        eventually(project.all_running, "all actors run")
        assert shell.run("run", "greet").json == "hi"
        assert lines.until("completed").startswith("✓ greet  completed after ")
        shell.run("run", "fail")
        assert lines.until("✗ fail  failed")
        assert lines.until("ValueError") == "  tasks/greeting.py:11  ValueError: as asked"

        project.write_task("words", "def word() -> str:\n    return 'hello'\n")
        assert lines.until("~ greet is another version")
        assert shell.run("run", "greet").json == "hello"
        project.write_task("words", "\ndef word(:\n")
        assert lines.until("greeting.py") == (
            "✗ tasks/greeting.py:2 → tasks/words.py:2  SyntaxError: invalid syntax (words.py, line 2)"
        )
        project.write_task("words", "def word() -> str:\n    return 'ho'\n")
        assert lines.until("✓ tasks/greeting.py loads again")
        assert lines.until("~ greet is another version")

        watch_in_a_terminal(project)
        watch_with_json(project)

        pid = project.pid
        process.send_signal(signal.SIGINT)
        assert process.wait(BOUND_SECONDS) == 0
        assert project.status() is None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def watch_in_a_terminal(project: RunningProject) -> None:
    session = CommandLine(project).terminal("dev", columns=120)
    session.expect("runs already")
    session.expect("2 tasks")
    late = project.write_task("late", "from ratchet import task\n@task\ndef late() -> int:\n    return 1\n")
    session.expect("+ late")
    assert "\x1b[32m+ " in session.raw
    late.unlink()
    session.expect("late is gone")
    session.press_ctrl_c()
    assert session.end() == 0
    assert project.status() is not None


def watch_with_json(project: RunningProject) -> None:
    process = CommandLine(project).start("dev", "--json")
    with ended(process):
        assert process.stdout is not None
        lines = Lines(process.stdout)
        first = json.loads(lines.until("tasks"))
        assert ([one["task_id"] for one in first["tasks"]], first["broken"]) == (["fail", "greet"], [])
        CommandLine(project).run("run", "greet")
        assert json.loads(lines.until("completed"))["execution"]["task_id"] == "greet"
