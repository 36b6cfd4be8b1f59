"""A real supervisor in a folder of its own, for tests that talk to Ratchet from outside.

Everything is a real process; whatever was started is gone when the block ends, and that is asserted.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeVar, cast

import httpx2
import psutil
from mcp import Client, StdioServerParameters
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client

from ratchet.errors import RatchetError
from ratchet.project import Project, find_project
from ratchet.supervision.client import SupervisorClient
from ratchet.supervision.status import ChildStatus, SupervisorStatus

ROOT = Path(__file__).parents[1]
START_SECONDS = 60.0
STOP_SECONDS = 60.0
BOUND_SECONDS = 30.0
_GONE_SECONDS = 5.0
_LOOK_SECONDS = 0.02
_LOG_CHARACTERS_MAX = 4_000

ResultT = TypeVar("ResultT")
Json = dict[str, Any]

TASKS = {
    "basics": """
        import sys
        import time
        from ratchet import Context, task

        @task(idempotent=True)
        def add(a: int, b: int = 1) -> int:
            '''Add two numbers.'''
            return a + b

        @task
        def steps(ctx: Context, count: int = 10, seconds: float = 0.05) -> int:
            '''Make some steps, each with progress, a span and a log line.'''
            for number in range(1, count + 1):
                with ctx.span("step", number=number):
                    ctx.log.info(f"step {number}")
                    time.sleep(seconds)
                ctx.progress(number, count, f"step {number}")
            return count

        @task
        def fail(message: str = "as asked") -> None:
            '''Raise, with a cause.'''
            try:
                int(message)
            except ValueError as error:
                raise RuntimeError(message) from error

        @task
        def echo(value: dict) -> dict:
            '''Return the value.'''
            return value

        @task
        def chatter(ctx: Context, lines: int = 1000) -> int:
            '''Log a lot, and one error in the middle of it.'''
            for number in range(lines):
                if number == lines // 2:
                    ctx.log.error("the disk of node-7 is full")
                print(f"row {number} of {lines} read")
            return lines
        """
}


def eventually(look: Callable[[], ResultT | None], what: str, *, seconds: float = BOUND_SECONDS) -> ResultT:
    """The first result of `look` that is true; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds: {what}"
        time.sleep(_LOOK_SECONDS)
    return found


async def eventually_async(look: Callable[[], ResultT | None], what: str, *, seconds: float = BOUND_SECONDS) -> ResultT:
    """The same from within an event loop."""
    return await asyncio.to_thread(eventually, look, what, seconds=seconds)


class RunningProject:
    """A project folder and the supervisor that runs for it.

    Attributes:
        folder: The project's folder; `tasks/` is in it.
        environ: What its processes were started with.
    """

    def __init__(self, folder: Path, runtime_dir: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(runtime_dir),
            "PYTHONPATH": str(ROOT),
            **environ,
        }
        self._errors = folder / "supervisor.stderr"
        self._process: subprocess.Popen[bytes] | None = None

    # --- what is in the folder ------------------------------------------------------------------------------------

    @property
    def config_path(self) -> Path:
        """The configuration file."""
        return self.folder / "ratchet.yaml"

    @property
    def data_dir(self) -> Path:
        """Databases and logs."""
        return self.folder / "data"

    @property
    def project(self) -> Project:
        """As a client finds it."""
        return find_project(str(self.config_path), None, self.environ, self.folder)

    def configure(self, sections: Mapping[str, Any]) -> None:
        """Write the configuration: the harness's defaults, and `sections` over them."""
        defaults: Json = {
            "data_dir": str(self.data_dir),
            "supervisor": {"restart_intensity": 1000},
            "mcp": {"server": {"bind_address": "127.0.0.1:0"}},
        }
        self.config_path.write_text(json.dumps(_merged(defaults, sections)))

    def write_task(self, name: str, source: str) -> Path:
        """Put a task file into the folder, or replace it."""
        path = self.folder / "tasks" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(source))
        return path

    def log(self, actor: str) -> list[Json]:
        """What the processes of an actor's role logged."""
        path = self.data_dir / "logs" / f"{actor}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    # --- the supervisor -------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        status = self.status()
        assert status is not None, "no supervisor runs"
        return status.pid

    @property
    def url(self) -> str:
        """The MCP endpoint."""
        status = self.status()
        assert status is not None, "no supervisor runs"
        assert status.addresses, "the supervisor serves no HTTP"
        return status.addresses[0]

    @property
    def base_url(self) -> str:
        """The HTTP front without a path."""
        return self.url.removesuffix("/mcp")

    @property
    def sse_url(self) -> str:
        """The older transport, where it is configured."""
        status = self.status()
        assert status is not None, "no supervisor runs"
        [url] = [one for one in status.addresses if one.endswith("/sse")]
        return url

    def start(self) -> None:
        """Start a supervisor and return when all of its actors run."""
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "supervisor", f"--config={self.config_path}"],
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        process = self._process
        eventually(lambda: process.poll() is not None or self.all_running(), "all actors run", seconds=START_SECONDS)
        assert process.poll() is None, f"the supervisor ended with {process.returncode}:\n{self.said()}"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the supervisor, however it was started, and see that nothing of it is left.

        Returns:
            Its exit code; 0 where it was started on demand by an agent.
        """
        status = self.status()
        pid = self._process.pid if self._process is not None else status.pid if status is not None else None
        if pid is None:
            return 0
        family = _family(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if self._process is not None:
            code = self._wait(self._process)
            self._process = None
        else:
            code = 0
        left = _left(family, _GONE_SECONDS)
        assert not left, f"left behind: {left}"
        return code

    def kill_supervisor(self) -> None:
        """SIGKILL; what becomes of everything else is for the test to see."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def _wait(self, process: "subprocess.Popen[bytes]") -> int:
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the supervisor did not end within {STOP_SECONDS:g} s:\n{self.said()}") from None

    def said(self) -> str:
        """What the supervisor printed."""
        return self._errors.read_text(errors="replace") if self._errors.exists() else ""

    def status(self) -> SupervisorStatus | None:
        """What the supervisor says of itself; None without one."""
        try:
            with SupervisorClient(self.project) as client:
                return client.status()
        except (RatchetError, OSError):  # none yet, or none any more
            return None

    def child(self, name: str) -> ChildStatus:
        """An actor as the supervisor sees it."""
        status = self.status()
        assert status is not None, "no supervisor runs"
        return next(child for child in status.children if child.name == name)

    def all_running(self) -> bool:
        """Whether every actor that should run does."""
        status = self.status()
        return status is not None and bool(status.children) and all(one.state == "running" for one in status.children)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill an actor and return when another process does its work."""
        before = self.child(name)
        assert before.pid is not None
        os.kill(before.pid, number)

        def replaced() -> bool:
            now = self.child(name)
            return now.state == "running" and now.incarnation != before.incarnation

        eventually(replaced, f"{name} is replaced")

    # --- clients --------------------------------------------------------------------------------------------------

    def client(self, mode: str = "auto", *, headers: Mapping[str, str] | None = None, **options: Any) -> Client:
        """An MCP client over HTTP, to be entered."""
        if headers is None:
            return Client(self.url, mode=mode, **options)
        return Client(_transport(self.url, headers), mode=mode, **options)

    def stdio_client(self, mode: str = "auto", **options: Any) -> Client:
        """An MCP client over stdio, to be entered."""
        command, *arguments = self.stdio_command
        server = StdioServerParameters(command=command, args=arguments, env=self.environ, cwd=self.folder)
        return Client(server, mode=mode, **options)

    @property
    def stdio_command(self) -> list[str]:
        """What an agent's host starts."""
        return [sys.executable, "-P", "-m", "ratchet", "stdio", f"--config={self.config_path}"]

    def http(self, **options: Any) -> httpx2.AsyncClient:
        """A plain HTTP client with the front as its base, to be entered."""
        return httpx2.AsyncClient(base_url=self.base_url, timeout=BOUND_SECONDS, **options)


@asynccontextmanager
async def _transport(url: str, headers: Mapping[str, str]) -> AsyncGenerator[TransportStreams]:
    async with (
        httpx2.AsyncClient(headers=dict(headers), timeout=BOUND_SECONDS) as http,
        streamable_http_client(url, http_client=http) as streams,
    ):
        yield streams


@contextmanager
def folder_project(
    folder: Path,
    *,
    tasks: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Generator[RunningProject]:
    """A project that nothing runs for yet; whatever was started for it is ended with the block.

    Args:
        folder: Where; created if need be.
        tasks: Sources of task files by name without suffix; `TASKS` unless given.
        config: Sections of the configuration, over the harness's defaults.
        environ: Environment variables, over the test's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A short path: those of Unix sockets must not be long.
    runtime_dir = Path(tempfile.mkdtemp(prefix="rt-"))
    found = RunningProject(folder, runtime_dir, environ or {})
    found.configure(config or {})
    for name, source in (TASKS if tasks is None else tasks).items():
        found.write_task(name, source)
    try:
        yield found
    except BaseException:
        sys.stderr.write(_story(found))
        raise
    finally:
        try:
            found.stop()
        finally:
            shutil.rmtree(runtime_dir, ignore_errors=True)


@contextmanager
def started_project(folder: Path, **options: Any) -> Generator[RunningProject]:
    """A project whose supervisor runs, for tests and fixtures that are not async. Options as of `folder_project`."""
    with folder_project(folder, **options) as found:
        found.start()
        yield found


@asynccontextmanager
async def running_project(folder: Path, **options: Any) -> AsyncGenerator[RunningProject]:
    """A project whose supervisor runs. Options as of `folder_project`."""
    block = started_project(folder, **options)
    found = await asyncio.to_thread(block.__enter__)
    try:
        yield found
    except BaseException as error:
        if not await asyncio.to_thread(block.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await asyncio.to_thread(block.__exit__, None, None, None)


def _merged(base: Json, over: Mapping[str, Any]) -> Json:
    merged = dict(base)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], cast("Json", value)) if both else value
    return merged


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _left(family: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still live after a while; killed, so that a failing test leaves nothing behind either."""
    _, alive = psutil.wait_procs(family, timeout=seconds)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return alive


def _story(found: RunningProject) -> str:
    """What helps to understand a failed test."""
    parts = [f"--- supervisor\n{found.said()[-_LOG_CHARACTERS_MAX:]}"]
    parts += [
        f"--- {path.name}\n{path.read_text(errors='replace')[-_LOG_CHARACTERS_MAX:]}"
        for path in sorted((found.data_dir / "logs").glob("*.jsonl"))
    ]
    return "\n".join(parts)
