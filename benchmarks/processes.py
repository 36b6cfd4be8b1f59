"""The servers under measurement: each in processes of its own, in a folder of its own, gone afterwards."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RATCHET = str(Path(sys.executable).with_name("ratchet"))

_START_SECONDS = 60
_STOP_SECONDS = 40
_POLL_SECONDS = 0.05

_TASKS = '''"""The trivial task of the benchmarks."""

from ratchet import task


@task(idempotent=True)
def echo(text: str) -> str:
    """Return the text."""
    return text
'''


@dataclass(frozen=True, slots=True)
class Folder:
    """A project: a configuration, a task folder, a data directory."""

    path: Path
    port: int

    @property
    def config(self) -> str:
        """The configuration file."""
        return str(self.path / "ratchet.yaml")

    @property
    def url(self) -> str:
        """Where its MCP server listens."""
        return f"http://127.0.0.1:{self.port}/mcp"

    def command(self, *words: str) -> list[str]:
        """A `ratchet` command line for this project."""
        return [RATCHET, *words, "--config", self.config]

    def ask(self, *words: str) -> Any:
        """What a `ratchet` command answers with `--json`, or None where it failed."""
        done = subprocess.run(self.command(*words, "--json"), capture_output=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None


@contextlib.contextmanager
def project(tasks: str = _TASKS, configuration: str = "") -> Generator[Folder]:
    """A new project that nothing runs for yet.

    Args:
        tasks: The text of its one file of tasks.
        configuration: YAML, after what every project of a benchmark has.
    """
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-", ignore_cleanup_errors=True) as name:
        folder = Folder(Path(name), free_port())
        (folder.path / "tasks").mkdir()
        (folder.path / "tasks" / "bench.py").write_text(tasks, encoding="utf-8")
        common = f"data_dir: data\nmcp:\n  server:\n    bind_address: 127.0.0.1:{folder.port}\n"
        Path(folder.config).write_text(common + configuration, encoding="utf-8")
        yield folder


@contextlib.contextmanager
def running_ratchet(tasks: str = _TASKS, configuration: str = "") -> Generator[Folder]:
    """`ratchet up` for a new project (`project`), ready to be called."""
    with project(tasks, configuration) as folder, started(folder):
        yield folder


@contextlib.contextmanager
def started(folder: Folder) -> Generator[None]:
    """`ratchet up` for a project, ready to be called."""
    with running(folder.command("up"), log=folder.path / "up.log") as process:
        await_start(process, "ratchet up", lambda: folder.ask("tasks") is not None, log=folder.path / "up.log")
        yield


@contextlib.contextmanager
def running_bare_http() -> Generator[str]:
    """The bare server over Streamable HTTP; gives its address."""
    port = free_port()
    with running([sys.executable, "-m", "benchmarks.bare_server", "http", str(port)]) as process:
        await_start(process, "the bare server", lambda: listens(port))
        yield f"http://127.0.0.1:{port}/mcp"


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path | None = None, variables: Mapping[str, str] | None = None
) -> Generator["subprocess.Popen[bytes]"]:
    """A process for the time of the block; it is asked to end, and killed where it does not listen."""
    with contextlib.ExitStack() as stack:
        output = subprocess.DEVNULL if log is None else stack.enter_context(log.open("wb"))
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(variables or {})},
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def await_start(
    process: "subprocess.Popen[bytes]", name: str, ready: Callable[[], bool], log: Path | None = None
) -> None:
    """Wait until a process is ready.

    Raises:
        RuntimeError: It ended, or was not in time; with the end of its log, where there is one.
    """
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            said = "" if log is None else f":\n{log.read_text()[-4000:]}"
            raise RuntimeError(f"{name} did not start{said}")
        time.sleep(_POLL_SECONDS)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody does on loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
