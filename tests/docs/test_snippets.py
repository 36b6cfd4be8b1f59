"""What the documents tell a newcomer to type works, in order, against a real supervisor."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.documents import ROOT, blocks
from tests.harness import BOUND_SECONDS, START_SECONDS, RunningProject, folder_project, started_project

EXAMPLES = {"tasks": {"paths": [str(ROOT / "examples" / "tasks")]}}
# What installs, needs an agent's host, or stays up: not for a test.
NOT_HERE = re.compile(r"^(make |claude |ratchet up\b|ratchet cancel ID|curl )")


def lines(name: str) -> list[str]:
    """Every command line of a document that can be typed here, in order."""
    found = [line for block in blocks(name, "sh") for line in block.text.replace("\\\n", " ").splitlines()]
    return [line for line in found if line.strip() and not NOT_HERE.match(line)]


class Shell:
    """A shell that keeps its folder and its variables from one line to the next, as a terminal does."""

    def __init__(self, project: RunningProject, folder: Path) -> None:
        bin_folder = Path(sys.executable).parent
        path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
        self._environ = {**project.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        self._folder = folder

    def type(self, line: str) -> "subprocess.CompletedProcess[str]":
        """Run one line; afterwards folder and variables are as the line left them."""
        state = self._folder / ".state"
        dump = f"import json, os; print(json.dumps([os.getcwd(), dict(os.environ)]), file=open({str(state)!r}, 'w'))"
        script = f"{line}\nstatus=$?\n{shlex.quote(sys.executable)} -c {shlex.quote(dump)}\nexit $status"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS + BOUND_SECONDS,
            check=False,
        )
        folder, self._environ = json.loads(state.read_text())
        state.unlink()
        self._folder = Path(folder)
        return done


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    with started_project(tmp_path_factory.mktemp("examples") / "project", tasks={}, config=EXAMPLES) as project:
        yield project


def adapted(line: str, project: RunningProject, folder: Path) -> str:
    """The line for a project that listens elsewhere, in an environment that is active already."""
    line = line.replace("examples/ratchet.yaml", str(project.config_path)).replace(". .venv/bin/activate", "true")
    line = line.replace("report.pdf", str(folder / "report.pdf"))
    return f"{line} --url {project.url}" if "examples.pipeline" in line else line


def test_the_first_success_of_the_readme(examples: RunningProject, tmp_path: Path) -> None:
    shell = Shell(examples, ROOT)
    said = {line: shell.type(adapted(line, examples, tmp_path)) for line in lines("README.md")}
    assert {line: done.stderr for line, done in said.items() if done.returncode} == {}
    text = "".join(done.stdout + done.stderr for done in said.values())
    assert '"rows": 1461' in text
    assert "detect" in text
    assert (tmp_path / "report.pdf").stat().st_size > 1000


def test_debugging_a_failing_task(examples: RunningProject) -> None:
    shell = Shell(examples, ROOT)
    shell.type(f"export RATCHET_CONFIG={examples.config_path}")
    said = {line: shell.type(line) for line in [*lines("docs/how-to/debug-a-failing-task.md"), *inline_commands()]}
    assert {line for line, done in said.items() if done.returncode} == {"ratchet run failing"}
    assert "order A-2 has no 'total'" in said["ratchet run failing"].stderr


def inline_commands() -> list[str]:
    """The commands that the page names within its text."""
    page = (ROOT / "docs/how-to/debug-a-failing-task.md").read_text()
    return [command for command in re.findall(r"`(ratchet [^`]+)`", page) if "ID" not in command]


def test_the_tutorial(tmp_path: Path) -> None:
    """Every line does what the text says, which of one of them is that it is refused."""
    [task] = [block.text for block in blocks("docs/tutorial/first-task.md", "python")]
    with folder_project(tmp_path / "home", tasks={}) as project:
        shell = Shell(project, tmp_path)
        make, enter, *rest = lines("docs/tutorial/first-task.md")
        assert shell.type(make).returncode == 0
        first = RunningProject(tmp_path / "first", Path(project.environ["XDG_RUNTIME_DIR"]), {})
        first.configure({})
        first.start()
        try:
            shell.type(enter)
            first.write_task("words", task)
            said = {line: shell.type(line) for line in rest}
        finally:
            first.stop()
    failed = {line: done.stderr for line, done in said.items() if done.returncode}
    [refused] = failed
    assert "flie" in refused
    assert "did you mean 'file'" in failed[refused]
    assert "Hello, Ada!" in said["""ratchet run hello --input '{"name": "Ada"}'"""].stdout


def test_the_program_that_connects(examples: RunningProject, tmp_path: Path) -> None:
    [program] = [block.text for block in blocks("docs/how-to/connect-an-agent.md", "python")]
    script = tmp_path / "program.py"
    script.write_text(program.replace("http://127.0.0.1:8090/mcp", examples.url))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=BOUND_SECONDS, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "1461"), done.stderr


def test_the_configuration_of_desktop_agents_starts_a_server(examples: RunningProject) -> None:
    """The command in the pasted JSON answers `initialize` when its two paths are set."""
    [entry] = [json.loads(block.text) for block in blocks("README.md", "json") if "mcpServers" in block.text]
    server = entry["mcpServers"]["ratchet"]
    replaced = {
        "/path/to/.venv/bin/ratchet": str(Path(sys.executable).with_name("ratchet")),
        "/path/to/ratchet.yaml": str(examples.config_path),
    }
    words: list[str] = [server["command"], *server["args"]]
    command = [replaced.get(word, word) for word in words]
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    with subprocess.Popen(
        command, env=examples.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        process.stdin.close()
        assert answer["result"]["serverInfo"]["name"] == "ratchet"
        assert process.wait(BOUND_SECONDS) == 0
