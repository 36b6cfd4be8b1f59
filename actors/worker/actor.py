"""A worker's process: takes orders from the runner, has children run them, reports until it is answered."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from actors.worker.child import Child
from actors.worker.describe import describe
from actors.worker.pool import Fork, Pool
from actors.worker.run import Run
from actors.worker.zygote import Zygote, environment
from ipc.errors import IpcError
from ipc.link import Request
from ratchet import messages, rpc
from ratchet.actor import ActorHost
from ratchet.bodies.attempts import (
    AttemptOrder,
    AttemptReport,
    AttemptTaken,
    DescribeFile,
    FileDescription,
    RegisterWorker,
    Reregister,
    StopAttempt,
)
from ratchet.bodies.common import Empty
from ratchet.bodies.health import Health
from ratchet.bodies.inspection import InspectAttempt, Inspection
from ratchet.cluster.code import locate
from ratchet.config import secret_values
from ratchet.errors import RatchetError, StaleFenceError, StartupError, UnavailableError
from ratchet.health import ProcessHealth
from ratchet.models import Category, Failure
from ratchet.redaction import Redactor

log = structlog.stdlib.get_logger("worker")

_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
_ZYGOTE_RETRY_SECONDS = (0.0, 0.1, 0.2, 0.5, 1.0)
_STOP_MARGIN_SECONDS = 3.0  # of the drain's time, kept for the kill ladder and the last reports


class WorkerActor:
    """One worker.

    Args:
        host: The process.
        zygote: Makes a zygote, not started yet.
        fork: Makes a child of one.
    """

    def __init__(self, host: ActorHost, *, zygote: Callable[..., Zygote] = Zygote, fork: Fork = Child.fork) -> None:
        config = host.setup.config
        self._host = host
        self._config = config
        self._process = ProcessHealth(host.setup.name)
        self._redactor = Redactor(secret_values(config, os.environ))
        size = config.workers.children
        busy_max = size * (1 + config.executions.depth_max)
        self._new_zygote = zygote
        self._pool = Pool(size=size, busy_max=busy_max, reuse=config.executions.child_reuse, fork=fork)
        self._zygote: Zygote | None = None
        self._held: dict[str, int] = {}  # fence by execution, from the order until the attempt is over
        self._runs: dict[str, Run] = {}  # those of them that a child has
        self._reporting: set[tuple[str, int]] = (
            set()
        )  # execution and fence of those that are over, until it is answered
        self._idle = asyncio.Event()
        self._draining = False
        self._link = host.connect(self._methods(), on_welcome=self._welcomed)

    async def run(self) -> None:
        """Work until drained."""
        self._zygote = await self._start_zygote()
        self._host.own(self._keep_zygote(), name="zygote")
        self._host.ready()
        self._reregister()
        await self._host.drain.wait()
        await self._drain()

    # --- the zygote -----------------------------------------------------------------------------------------------

    async def _start_zygote(self) -> Zygote:
        config = self._config
        limits = {
            "memory_bytes": config.limits.memory_bytes,
            "file_bytes": config.limits.file_bytes,
            "open_files": config.limits.open_files,
        }
        zygote = self._new_zygote(
            config.tasks.python,
            environment(config.tasks.env, os.environ),
            self._host.setup.project.folder,
            limits,
            self._pool.exited,
        )
        try:
            await zygote.start()
        except UnavailableError as error:
            raise StartupError(error.message) from error
        return zygote

    async def _keep_zygote(self) -> None:
        """Replace the zygote whenever it dies; its attempts died with it."""
        while True:
            assert self._zygote is not None
            end = await self._zygote.gone
            log.error("the zygote died", pid=end.pid, signal=end.signal_name, exit_code=end.exit_code)
            for run in self._runs.values():
                run.zygote_died(end)
            self._pool.forget()
            self._zygote = await self._restart_zygote()

    async def _restart_zygote(self) -> Zygote:
        failed = 0
        while True:
            await asyncio.sleep(_ZYGOTE_RETRY_SECONDS[min(failed, len(_ZYGOTE_RETRY_SECONDS) - 1)])
            try:
                return await self._start_zygote()
            except StartupError as error:
                failed += 1
                log.error("the zygote did not start", error=error.message, failures=failed)

    # --- what the runner asks -------------------------------------------------------------------------------------

    def _methods(self) -> dict[str, "rpc.Handler"]:
        return rpc.methods(
            {
                messages.RUN_ATTEMPT: self._take,
                messages.STOP_ATTEMPT: self._stop,
                messages.INSPECT_ATTEMPT: self._inspect,
                messages.DESCRIBE_FILE: self._describe,
                messages.REREGISTER: self._on_reregister,
                messages.GET_HEALTH: self._health,
            }
        )

    async def _take(self, order: AttemptOrder, _request: Request) -> AttemptTaken:
        """Take an attempt; an error means that nothing of it has run."""
        order = self._located(order)
        if order.runner != self._link.hub_incarnation:
            raise StaleFenceError("the order is from an earlier task-runner")
        if self._draining:
            raise UnavailableError("this worker is draining")
        if order.execution_id in self._held or (order.execution_id, order.fence) in self._reporting:
            raise StaleFenceError(f"execution {order.execution_id} has another attempt in this worker")
        zygote = self._zygote
        if zygote is None or zygote.gone.done():
            raise UnavailableError("the zygote is being replaced")
        self._held[order.execution_id] = order.fence
        # Whoever ordered it may give up meanwhile, and then cannot know how far it has come: it goes on.
        return await asyncio.shield(asyncio.create_task(self._hand_over(order, zygote)))

    async def _hand_over(self, order: AttemptOrder, zygote: Zygote) -> AttemptTaken:
        try:
            return await self._give_to_child(order, zygote)
        except UnavailableError:
            del self._held[order.execution_id]
            self._reregister()  # it may have been said to be in flight
            raise

    async def _give_to_child(self, order: AttemptOrder, zygote: Zygote) -> AttemptTaken:
        child = await self._pool.acquire(zygote, order.version)
        run = Run(order, child, self._link, self._redactor, self._config)
        self._runs[order.execution_id] = run
        self._idle.clear()
        try:
            await run.start()
        except OSError as error:
            del self._runs[order.execution_id]
            self._pool.retire(child)
            raise UnavailableError(f"a warm child (pid {child.pid}) was gone: {error}") from error
        self._host.own(self._see_through(run, child.pid), name=f"attempt {order.execution_id}")
        return AttemptTaken(pid=child.pid)

    def _located(self, order: AttemptOrder) -> AttemptOrder:
        """The order, with its file as it is called on this machine."""
        if self._host.setup.membership is None:
            return order
        path = locate(order.file, self._config.tasks.paths)
        if path is None:
            raise UnavailableError(f"there is no task file {order.file} on this machine")
        return order.model_copy(update={"path": str(path)})

    async def _see_through(self, run: Run, pid: int) -> None:
        ended = await run.finish()
        self._pool.release(run.child, reusable=run.reusable)
        # Its successor may be ordered as soon as the end is recorded, which is before that is answered.
        del self._runs[run.order.execution_id], self._held[run.order.execution_id]
        key = (run.order.execution_id, run.order.fence)
        self._reporting.add(key)
        log.debug("attempt over", execution=run.order.execution_id, pid=pid, failed=ended.failure is not None)
        ended = await run.flush(ended)
        await self._report(ended)
        self._reporting.remove(key)
        if not self._runs and not self._reporting:
            self._idle.set()

    async def _report(self, ended: AttemptReport) -> None:
        """Tell the runner until it has recorded the end, or says that this attempt is of no consequence."""
        tries = 0
        while True:
            try:
                await self._call_report(ended)
            except StaleFenceError as error:
                log.warning("a report was refused", error=error.message)
                return
            except (IpcError, UnavailableError) as error:
                log.warning("a report was not answered; trying again", error=str(error))
            except (RatchetError, ValueError) as error:
                log.error("a report was not understood; the failure to report is reported", error=str(error))
                ended = _unreportable(ended, error)
            else:
                return
            await asyncio.sleep(_RETRY_SECONDS[min(tries, len(_RETRY_SECONDS) - 1)])
            tries += 1

    async def _call_report(self, ended: AttemptReport) -> None:
        await rpc.call(self._link, messages.REPORT_ATTEMPT, ended, timeout_seconds=10.0)

    async def _stop(self, body: StopAttempt, _request: Request) -> Empty:
        run = self._runs.get(body.execution_id)
        if run is not None and run.order.fence == body.fence:
            run.stop(body.category, body.reason)
        return Empty()

    async def _inspect(self, body: InspectAttempt, _request: Request) -> Inspection:
        run = self._runs.get(body.execution_id)
        if run is None or run.order.fence != body.fence:
            raise StaleFenceError(f"execution {body.execution_id} does not run here any more")
        return await run.inspect()

    async def _describe(self, body: DescribeFile, _request: Request) -> FileDescription:
        if self._zygote is None:
            raise UnavailableError("the zygote is being started")
        return await describe(self._pool, self._zygote, body.path, self._config.tasks.paths)

    async def _health(self, _body: Empty, _request: Request) -> Health:
        return self._process.report(
            slots=0 if self._draining else self._config.workers.children,
            slots_busy=len(self._runs),
            counters=dict(self._link.counters),
        )

    # --- what it tells the runner -----------------------------------------------------------------------------------

    def _welcomed(self, _hub_incarnation: str) -> None:
        self._reregister()

    async def _on_reregister(self, _body: Reregister, _request: Request) -> Empty:
        self._reregister()
        return Empty()

    def _reregister(self) -> None:
        if self._zygote is not None and self._link.hub_incarnation is not None:
            self._host.own(self._register(), name="register")

    async def _register(self) -> None:
        tries = 0
        while True:
            body = RegisterWorker(
                name=self._host.setup.name,
                incarnation=self._host.setup.incarnation,
                pid=os.getpid(),
                slots=0 if self._draining else self._config.workers.children,
                in_flight=[*self._held.items(), *self._reporting],
            )
            try:
                await rpc.call(self._link, messages.REGISTER_WORKER, body, timeout_seconds=5.0)
            except (IpcError, RatchetError) as error:
                log.warning("not registered; trying again", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS[min(tries, len(_RETRY_SECONDS) - 1)])
                tries += 1
            else:
                return

    # --- the end ------------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Take nothing more, let what runs end, stop what does not, and report all of it."""
        self._draining = True
        self._reregister()
        grace = self._config.executions.grace_seconds
        hastened = True
        while self._runs and hastened:
            self._host.hastened.clear()
            hastened = await self._until_idle_or_hastened(self._host.drain_seconds - grace - _STOP_MARGIN_SECONDS)
        for run in self._runs.values():
            run.stop(Category.SHUTDOWN, "Ratchet was shut down before the execution ended")
        await self._until_idle(grace + _STOP_MARGIN_SECONDS)
        await self._host.farewell()
        if self._zygote is not None:
            await self._zygote.close()

    async def _until_idle_or_hastened(self, seconds: float) -> bool:
        """Whether there is less time now than there was."""
        waits = {asyncio.create_task(event.wait()) for event in (self._idle, self._host.hastened)}
        try:
            await asyncio.wait(waits, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        return self._host.hastened.is_set()

    async def _until_idle(self, seconds: float) -> None:
        if self._runs or self._reporting:
            await _within(seconds, self._idle.wait())


async def _within(seconds: float, work: Awaitable[Any]) -> None:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await work
    except TimeoutError:
        return


def _unreportable(ended: AttemptReport, error: Exception) -> AttemptReport:
    failure = Failure(
        category=Category.INVALID_OUTPUT,
        type=type(error).__name__,
        message=f"the task ended, but its result could not be reported: {error}",
    )
    return ended.model_copy(update={"output": None, "failure": failure})


async def main(host: ActorHost) -> None:
    """Be a worker until drained."""
    await WorkerActor(host).run()
