"""The worker's zygote: an exec'd process with nothing in it but the child runtime, which forks the children.

It is exec'd, never forked: a fork would carry the worker's memory and environment, and with them secrets. This module
starts it, speaks with it, and knows how it ended; what it does inside is `ratchet.runtime.zygote`.
"""

import asyncio
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from ratchet import process, runtime
from ratchet.channel import Channel, ChannelError, pair
from ratchet.errors import UnavailableError
from ratchet.models import ProcessEnd

log = structlog.stdlib.get_logger("worker")

READY_SECONDS = 20.0
_ENV_PASSED = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
)
_LINES_KEPT = 20


@dataclass(frozen=True, slots=True)
class ChildExit:
    """How a child ended, as its zygote saw it."""

    pid: int
    exit_code: int | None
    signal: int | None
    cpu_seconds: float
    memory_bytes_max: int


class Zygote:
    """One zygote process.

    Args:
        python: The interpreter that tasks run on.
        environment: All of the environment that children get.
        folder: Where tasks find relative paths.
        limits: Resource limits of each child: memory_bytes, file_bytes, open_files.
        on_exit: Called with a child's slot and how it ended.
    """

    def __init__(
        self,
        python: Path,
        environment: Mapping[str, str],
        folder: Path,
        limits: Mapping[str, int],
        on_exit: Callable[[int, ChildExit], None],
    ) -> None:
        self._python = python
        self._environment = dict(environment)
        self._folder = folder
        self._limits = dict(limits)
        self._on_exit = on_exit
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._forks: dict[int, asyncio.Future[int]] = {}
        self._slots = 0
        self._ready: asyncio.Future[None] | None = None
        self._stderr: deque[str] = deque(maxlen=_LINES_KEPT)
        self.gone: asyncio.Future[ProcessEnd] = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start the process and wait until it can fork.

        Raises:
            UnavailableError: It ended or said nothing; the message has its last words.
        """
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        self._ready = loop.create_future()
        try:
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - must run in the main thread; argv is ours
                [str(self._python), "-P", str(runtime.ZYGOTE_MAIN), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=self._environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd=self._folder,
            )
        finally:
            theirs.close()
        ours.setblocking(False)
        self._channel = Channel(ours)
        loop.add_reader(ours, self._read)
        assert self._process.stderr is not None
        os.set_blocking(self._process.stderr.fileno(), False)
        loop.add_reader(self._process.stderr, self._read_stderr)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ready
        except (TimeoutError, ConnectionError) as error:
            self.kill()
            end = await self.gone
            said = "\n".join(end.last_lines) or f"it ended with {end.signal_name or end.exit_code} and said nothing"
            raise UnavailableError(
                f"tasks cannot run: the interpreter {self._python} (tasks.python) did not start the child runtime, "
                f"which needs pydantic and msgpack there: {said}"
            ) from error

    async def fork(self, fds: Sequence[int]) -> tuple[int, int]:
        """A new child with these descriptors (channel, stdout, stderr, calls). Returns its slot and pid.

        Raises:
            UnavailableError: The zygote is gone.
        """
        if self._channel is None or self.gone.done():
            raise UnavailableError("the zygote is being replaced; try again")
        self._slots += 1
        slot = self._slots
        forked: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._forks[slot] = forked
        self._send("fork", {"slot": slot, "limits": self._limits}, fds)
        try:
            return slot, await forked
        finally:
            self._forks.pop(slot, None)

    def signal(self, slot: int, number: int, *, tree: bool = False) -> None:
        """Send a signal to a child, or to it and all of its descendants. Only its parent can do so without a race."""
        self._send("signal", {"slot": slot, "signal": number, "tree": tree})

    def kill(self) -> None:
        """End the zygote and, with it, every child."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    async def close(self) -> None:
        """Close its channel, upon which it kills everything it parents and exits."""
        if self._channel is None:
            return
        asyncio.get_running_loop().remove_reader(self._channel.socket)
        self._channel.close()
        self._channel = None
        await self._wait()

    def _send(self, kind: str, body: dict[str, Any], fds: Sequence[int] = ()) -> None:
        if self._channel is None or self.gone.done():
            return
        # Requests are a few hundred bytes and the zygote does nothing but answer them: the buffer always has room.
        try:
            self._channel.send(kind, body, fds)
        except OSError as error:
            log.warning("the zygote does not take requests", error=str(error))

    def _read(self) -> None:
        assert self._channel is not None
        try:
            messages = self._channel.receive()
        except BlockingIOError:
            return
        except (OSError, ChannelError) as error:
            log.warning("the zygote's channel broke", error=str(error))
            messages = None
        if messages is None:
            self._closed()
            return
        for kind, body in messages:
            self._take(kind, body)

    def _take(self, kind: str, body: dict[str, Any]) -> None:
        match kind:
            case "ready":
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(None)
            case "forked":
                forked = self._forks.get(body["slot"])
                if forked is not None and not forked.done():
                    forked.set_result(body["pid"])
            case "exited":
                fields = ("pid", "exit_code", "signal", "cpu_seconds", "memory_bytes_max")
                self._fork_failed(body["slot"], str(body.get("error", "")))
                self._on_exit(body["slot"], ChildExit(**{name: body[name] for name in fields}))
            case _:
                log.warning("the zygote sent an unknown message", kind=kind)

    def _fork_failed(self, slot: int, reason: str) -> None:
        """A child that is reported gone before it was reported there was never forked."""
        forked = self._forks.get(slot)
        if forked is not None and not forked.done():
            forked.set_exception(UnavailableError(f"no process could be forked for a task: {reason}; try again"))

    def _closed(self) -> None:
        assert self._channel is not None
        asyncio.get_running_loop().remove_reader(self._channel.socket)
        self._channel.close()
        self._channel = None
        for forked in self._forks.values():
            if not forked.done():
                forked.set_exception(UnavailableError("the zygote died while it forked; try again"))
        if self._ready is not None and not self._ready.done():
            self._read_stderr()
            self._ready.set_exception(ConnectionError("the zygote ended before it was ready"))
        task = asyncio.ensure_future(self._wait())
        task.add_done_callback(self._reaped)

    def _reaped(self, task: "asyncio.Task[ProcessEnd]") -> None:
        if not self.gone.done():
            self.gone.set_result(task.result())

    async def _wait(self) -> ProcessEnd:
        """Reap it; one that closed its channel and lives on is killed."""
        assert self._process is not None
        try:
            code = await asyncio.to_thread(self._process.wait, 2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = await asyncio.to_thread(self._process.wait)
        if self._process.stderr is not None:
            asyncio.get_running_loop().remove_reader(self._process.stderr)
            self._process.stderr.close()
        await kill_orphans(spare=set())
        number = -code if code < 0 else None
        return ProcessEnd(
            process="zygote",
            pid=self._process.pid,
            exit_code=code if code >= 0 else None,
            signal=number,
            signal_name=signal.Signals(number).name if number else None,
            last_lines=list(self._stderr),
        )

    def _read_stderr(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        try:
            data = os.read(self._process.stderr.fileno(), 65536)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._process.stderr)
        for line in data.decode(errors="replace").splitlines():
            self._stderr.append(line)
            log.warning("the zygote says", line=line)


async def kill_orphans(spare: set[int]) -> None:
    """Kill what a dead zygote left to this process, which is its subreaper, until nothing is left."""
    for _round in range(100):
        orphans = [pid for pid in process.children_of(os.getpid()) if pid not in spare]
        if not orphans:
            return
        for pid in orphans:
            _kill_and_reap(pid)
        await asyncio.sleep(0.01)
    log.error("processes of a dead zygote cannot be killed", pids=process.children_of(os.getpid()))


def _kill_and_reap(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, os.WNOHANG)
    except (ProcessLookupError, ChildProcessError):
        return


def environment(passed: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of tasks: what programs need to work at all, and what `tasks.env` names; nothing else."""
    return {name: environ[name] for name in (*_ENV_PASSED, *passed) if name in environ}
