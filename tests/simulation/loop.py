"""An event loop for many processes at once, in virtual time.

What runs belongs to the process whose context it has. Within a process things happen in the order in which asyncio
would have them; between processes the seed decides, as the scheduler of a machine would. A process can be killed, so
that nothing of it ever runs again, not even a `finally`; or stopped and continued.
"""

import asyncio
import heapq
import os
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

T = TypeVar("T")

STEP_SECONDS = 2e-6  # what it takes to run one callback
STEPS_MAX = 3_000_000
BURST_MAX = 12  # callbacks of one process before it may be another's turn
EPOCH_NS = 1_700_000_000 * 10**9


class Process:
    """Something that runs, stops and dies as a whole."""

    __slots__ = ("alive", "lined_up", "name", "ready", "stopped")

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.stopped = False
        self.lined_up = False
        self.ready: deque[_Handle] = deque()

    @property
    def runs(self) -> bool:
        return self.alive and not self.stopped


PROCESS: ContextVar[Process] = ContextVar("process")


def context_of(process: Process) -> Context:
    """A new context in which everything belongs to `process`."""
    context = copy_context()
    context.run(PROCESS.set, process)
    return context


class _Handle(asyncio.TimerHandle):
    __slots__ = ("args", "callback", "context", "due", "gone")

    def __init__(self, due: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context) -> None:
        self.due = due
        self.callback = callback
        self.args = args
        self.context = context
        self.gone = False

    def cancel(self) -> None:
        self.gone = True

    def cancelled(self) -> bool:
        return self.gone

    def when(self) -> float:
        return self.due


class SimulatedLoop(asyncio.AbstractEventLoop):
    """The machine that everything runs on.

    Attributes:
        now: Its monotonic clock.
        wall_offset: How far its wall clock was set forward, in seconds.
        over: Whether everything has ended: what is logged now does not count.
        crashes: What escaped from callbacks and tasks, with the process it escaped from.
    """

    def __init__(self, chance: Random) -> None:
        self.now = 0.0
        self.wall_offset = 0.0
        self.steps = 0
        self.over = False
        self.crashes: list[tuple[str, BaseException]] = []
        self.world = Process("world")
        self._chance = chance
        self._timers: list[tuple[float, int, Process, _Handle]] = []
        self._timed = 0
        self._lined_up: list[Process] = []
        self._tasks: list[asyncio.Task[Any]] = []

    # --- what asyncio asks of a loop ------------------------------------------------------------------------------

    def time(self) -> float:
        return self.now

    def random_bytes(self, count: int) -> bytes:
        return self._chance.randbytes(count)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> "asyncio.Task[Any]":
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        return task

    def call_soon(  # pyright: ignore[reportIncompatibleMethodOverride] - typeshed's is generic in the arguments
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Handle:
        context = copy_context() if context is None else context
        handle = _Handle(0.0, callback, args, context)
        self._line_up(context.get(PROCESS, self.world), handle)
        return handle

    def call_later(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Handle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Handle:
        context = copy_context() if context is None else context
        handle = _Handle(when, callback, args, context)
        self._timed += 1
        heapq.heappush(self._timers, (when, self._timed, context.get(PROCESS, self.world), handle))
        return handle

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """What would run in a thread runs here and now."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for it
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception") or RuntimeError(str(context.get("message")))
        self.crashes.append((PROCESS.get(self.world).name, error))

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run everything until `main` is over; then nothing runs any more.

        Raises:
            RuntimeError: It took more than `STEPS_MAX` callbacks, or nothing is left that could end it.
        """
        asyncio._set_running_loop(self)  # pyright: ignore[reportPrivateUsage] - meant for loops
        try:
            with _clocks_of(self):
                task = self.create_task(main, context=context_of(self.world))
                while not task.done():
                    self._step()
                return task.result()
        finally:
            self._bury()
            asyncio._set_running_loop(None)  # pyright: ignore[reportPrivateUsage]

    def kill(self, process: Process) -> None:
        """End a process as SIGKILL does."""
        process.alive = False
        process.ready.clear()

    def halt(self, process: Process) -> None:
        """Let nothing of it run, as SIGSTOP does."""
        process.stopped = True

    def go_on(self, process: Process) -> None:
        """Let it run again."""
        process.stopped = False
        if process.ready and not process.lined_up:
            process.lined_up = True
            self._lined_up.append(process)

    def stand_still(self, seconds: float) -> None:
        """The machine sleeps: time passes and nothing runs."""
        self.now += seconds

    def _line_up(self, process: Process, handle: _Handle) -> None:
        if not process.alive:
            return
        process.ready.append(handle)
        if not process.lined_up and not process.stopped:
            process.lined_up = True
            self._lined_up.append(process)

    def _step(self) -> None:
        timers, lined_up = self._timers, self._lined_up
        while timers and timers[0][0] <= self.now:
            _, _, process, handle = heapq.heappop(timers)
            if not handle.gone:
                self._line_up(process, handle)
        if not lined_up:
            if not timers:
                raise RuntimeError("nothing is scheduled any more")
            self.now = max(self.now, timers[0][0])
            return
        index = int(self._chance.random() * len(lined_up))
        process = lined_up[index]
        self._run_some(process)
        if not (process.ready and process.runs):
            process.lined_up = False
            lined_up[index] = lined_up[-1]
            lined_up.pop()

    def _run_some(self, process: Process) -> None:
        ready = process.ready
        for _ in range(1 + int(self._chance.random() * BURST_MAX)):
            if not (ready and process.runs):
                break
            handle = ready.popleft()
            if handle.gone:
                continue
            self.now += STEP_SECONDS
            self.steps += 1
            try:
                handle.context.run(handle.callback, *handle.args)
            except Exception as error:  # noqa: BLE001 - a finding, which the schedule reports
                self.crashes.append((process.name, error))
        if self.steps > STEPS_MAX:
            raise RuntimeError(f"more than {STEPS_MAX} callbacks: something goes round in circles")

    def _bury(self) -> None:
        """Close what is left, without letting it do anything that counts."""
        self.over = True
        self._timers.clear()
        self._lined_up.clear()
        crashes = len(self.crashes)
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue] - asyncio's own switch
                coroutine: Any = task.get_coro()
                try:
                    coroutine.close()
                except BaseException:  # noqa: BLE001 - its last words are of no consequence
                    continue
        self._tasks.clear()
        del self.crashes[crashes:]


@contextmanager
def _clocks_of(loop: SimulatedLoop) -> Generator[None]:
    """Have the clocks of the standard library tell the loop's time."""

    def wall_ns() -> int:
        return EPOCH_NS + int((loop.now + loop.wall_offset) * 1e9)

    with (
        patch.object(time, "time_ns", wall_ns),
        patch.object(time, "time", lambda: wall_ns() / 1e9),
        patch.object(time, "monotonic", loop.time),
        patch.object(os, "urandom", loop.random_bytes),
    ):
        yield
