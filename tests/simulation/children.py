"""The boundary of a worker, simulated: its zygote, and its ends of the channels to each child.

What is beyond it, the processes and what they run, is `tests.simulation.tasks`. Messages wait in the channel as in a
socket's buffer: whoever dies leaves behind what it has written, and nothing is read while the worker pauses.
"""

import asyncio
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import Any, cast

from actors.worker.child import Child, OnLine, OnMessage
from actors.worker.zygote import ChildExit, Zygote
from ratchet.errors import UnavailableError
from ratchet.models import ProcessEnd
from tests.simulation.machine import Machine
from tests.simulation.tasks import ChildProcess

_FORK_SECONDS = 0.004
_START_SECONDS = 0.15
_TELL_SECONDS = 0.0003


class SimulatedZygote(Zygote):
    """A zygote of the worker in whose context it is made."""

    def __init__(
        self,
        python: Path,
        environment: Mapping[str, str],
        folder: Path,
        limits: Mapping[str, int],
        on_exit: Callable[[int, ChildExit], None],
        *,
        machine: Machine,
        worker: str,
    ) -> None:
        super().__init__(python, environment, folder, limits, on_exit)
        self.children: dict[int, ChildProcess] = {}
        self.alive = False
        self.worker = worker
        self.machine = machine
        self._context = copy_context()
        self._number = machine.new_pid()
        machine.zygotes[worker] = self

    @property
    def pid(self) -> int:
        return self._number

    async def start(self) -> None:
        await asyncio.sleep(self.machine.within(_START_SECONDS))
        self.alive = True

    async def fork(self, fds: Sequence[int]) -> tuple[int, int]:
        raise NotImplementedError("a simulated child has no descriptors")

    async def spawn(self, end: "SimulatedChild") -> ChildProcess:
        """A new child whose worker's end this is.

        Raises:
            UnavailableError: The zygote is gone.
        """
        if not self.alive:
            raise UnavailableError("the zygote is being replaced; try again")
        await asyncio.sleep(self.machine.within(_FORK_SECONDS))
        if not self.alive:
            raise UnavailableError("the zygote died while it forked; try again")
        self._slots += 1
        child = ChildProcess(self.machine, end, self._slots, worker=self.worker, on_death=self._reap)
        self.children[child.slot] = child
        return child

    def signal(self, slot: int, number: int, *, tree: bool = False) -> None:
        self.machine.later(_TELL_SECONDS, self._pass_on, slot, number)

    def _pass_on(self, slot: int, number: int) -> None:
        if self.alive and slot in self.children:
            self.children[slot].take_signal(number)

    def _reap(self, child: ChildProcess, number: int | None, code: int | None) -> None:
        if not self.alive:
            return
        how = ChildExit(child.pid, code, number, 0.01, 10**7)
        self.machine.loop.call_later(
            self.machine.within(_TELL_SECONDS), self._tell_exit, child.slot, how, context=self._context
        )

    def _tell_exit(self, slot: int, how: ChildExit) -> None:
        self.children.pop(slot, None)
        if self.alive:
            self._on_exit(slot, how)

    def kill(self) -> None:
        self.die()

    def die(self) -> None:
        """End it and, a little later, all of its children."""
        if not self.alive:
            return
        self.alive = False
        for child in self.children.values():
            child.die_soon(signal.SIGKILL)
        end = ProcessEnd(process="zygote", pid=self.pid, signal=9, signal_name="SIGKILL")
        delay = 0.03 + self.machine.within(0.02)  # it is reaped when nothing of it is left
        self.machine.loop.call_later(delay, self._tell_end, end, context=self._context)

    def _tell_end(self, end: ProcessEnd) -> None:
        if not self.gone.done():
            self.gone.set_result(end)

    async def close(self) -> None:
        self.alive = False
        for child in self.children.values():
            child.die_soon(signal.SIGKILL)
        await asyncio.sleep(0.05)


class SimulatedChild(Child):
    """The worker's ends of the channels of one child."""

    def __init__(self, zygote: SimulatedZygote) -> None:
        self._zygote = zygote
        self._context = copy_context()
        self._machine = zygote.machine
        self._said: deque[tuple[str, dict[str, Any]]] = deque()
        self._called: deque[tuple[str, dict[str, Any]]] = deque()
        self._lines: deque[str] = deque()
        self._process: ChildProcess | None = None
        self._on_message = self._on_line = self._on_call = None
        self._reading = True
        self._closed = False
        self.slot = 0
        self.pid = 0
        self.version = None
        self.runs = 0
        self.last_lines = deque(maxlen=20)
        self.exit = asyncio.get_running_loop().create_future()

    @classmethod
    async def fork(cls, zygote: Zygote) -> "SimulatedChild":
        simulated = cast("SimulatedZygote", zygote)
        child = cls(simulated)
        child._process = await simulated.spawn(child)
        child.slot, child.pid = child._process.slot, child._process.pid
        return child

    def attach(self, on_message: OnMessage, on_line: OnLine, on_call: OnMessage | None = None) -> None:
        self._on_message, self._on_line, self._on_call = on_message, on_line, on_call
        self.last_lines.clear()

    def detach(self) -> None:
        self._on_message = self._on_line = self._on_call = None

    async def send(self, kind: str, body: dict[str, Any]) -> None:
        self._write(kind, body)
        await asyncio.sleep(0)

    async def answer(self, kind: str, body: dict[str, Any]) -> None:
        self._write(kind, body)
        await asyncio.sleep(0)

    def _write(self, kind: str, body: dict[str, Any]) -> None:
        process = self._process
        if self._closed or process is None or not process.process.alive:
            raise BrokenPipeError("the child is gone")
        self._machine.loop.call_later(_TELL_SECONDS, process.take, kind, body, context=process.context)

    def signal(self, number: int, *, tree: bool = False) -> None:
        if not self.exit.done():
            self._zygote.signal(self.slot, number, tree=tree)

    def pause(self) -> None:
        self._reading = False

    def resume(self) -> None:
        if not self._closed:
            self._reading = True
            self._read()

    def drain_calls(self) -> None:
        while self._called and not self._closed:
            kind, body = self._called.popleft()
            if self._on_call is not None:
                self._on_call(kind, body)

    def drain_pipes(self) -> None:
        while self._lines:
            line = self._lines.popleft()
            self.last_lines.append(line)
            if self._on_line is not None:
                self._on_line("stdout", line)

    def ended(self, how: ChildExit) -> None:
        while self._said and not self._closed:
            self._take_one()
        self.drain_pipes()
        if not self.exit.done():
            self.exit.set_result(how)
        self.close()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._reading = False
            if self._process is not None:
                self._process.hang_up()

    # --- what the child's process puts into the channels ----------------------------------------------------------

    def say(self, kind: str, body: dict[str, Any]) -> None:
        self._said.append((kind, body))
        self._wake(self._read)

    def call(self, kind: str, body: dict[str, Any]) -> None:
        self._called.append((kind, body))
        self._wake(self.drain_calls)

    def line(self, text: str) -> None:
        self._lines.append(text)
        self._wake(self._read)

    def _wake(self, read: Callable[[], object]) -> None:
        self._machine.loop.call_later(_TELL_SECONDS, read, context=self._context)

    def _read(self) -> bool:
        while self._said and self._reading and not self._closed:
            self._take_one()
        if self._reading and not self._closed:
            self.drain_pipes()
        return False

    def _take_one(self) -> None:
        kind, body = self._said.popleft()
        if self._on_message is not None:
            self._on_message(kind, body)
