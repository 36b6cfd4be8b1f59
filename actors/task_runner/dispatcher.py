"""Brings queued executions to workers and takes back what became of them.

An attempt is recorded before its order leaves, so that it cannot run unrecorded. Where the fate of an order is
unknown the worker is asked what it holds; a worker that is gone is known by the supervisor's exit report, by another
incarnation that registers under its name, or by its lease.
"""

import asyncio
from collections.abc import Callable

import structlog

from actors.task_runner.catalogue import Catalogue
from actors.task_runner.deadlines import overdue
from actors.task_runner.delays import Delays, seconds_until_due
from actors.task_runner.families import Families
from actors.task_runner.ledger import Ledger, undisturbed
from actors.task_runner.live import Live, attempts_with, new_attempt, undelivered
from actors.task_runner.losses import Losses
from actors.task_runner.queue import ReadyQueue
from actors.task_runner.reports import Reports, Spawn
from actors.task_runner.workers import Worker, Workers
from ipc.errors import BusyError, DeniedError, IpcError, UnknownMethodError, UnreachableError
from ipc.link import Link
from ratchet import messages, rpc
from ratchet.bodies.attempts import (
    AttemptOrder,
    AttemptProgress,
    AttemptReport,
    RegisterWorker,
    Reregister,
    StopAttempt,
)
from ratchet.config import Config
from ratchet.errors import RatchetError, RequestError, StaleFenceError, StoreError, UnavailableError
from ratchet.lifecycle import CancelRequested, Effect, Ended, Finish, Placed, Requeue, Stop, Undelivered, Unrunnable
from ratchet.models import Attempt, Category, Failure, Task

log = structlog.stdlib.get_logger("task-runner")

_ORDER_SECONDS = 30.0
_STOP_SECONDS = 10.0
_REFUSED_SECONDS = 0.2  # a worker that refused gets nothing for this long
_UNDELIVERED_MAX = 50  # orders of one execution that one worker may refuse: that is no passing weakness
_STORE_RETRY_SECONDS = 1.0
_SECONDS_MIN = 0.05  # an attempt gets this much time at least

Limits = Callable[[Task], float]
Leases = Callable[[str | None], float]


class Dispatcher:
    """The queue, the workers, and every attempt between them.

    Args:
        ledger: What has not ended.
        catalogue: What there is to run.
        workers: Who runs it.
        link: The way to them.
        incarnation: Of this runner.
        config: Says whom tasks may ask.
        spawn: Runs something beside the requests.
        timeout_of: How long an execution of a task may take, in seconds.
        lease_of: How long a worker, by name, may be silent before its attempts are given up, in seconds.
        found_other: Told of a worker on a node that found another version than it was ordered to run.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        catalogue: Catalogue,
        workers: Workers,
        link: Link,
        incarnation: str,
        config: Config,
        spawn: Spawn,
        timeout_of: Limits,
        attempt_ended: Callable[[Live], None],
        lease_of: Leases,
        found_other: Callable[[str, str], None],
    ) -> None:
        self.queue = ReadyQueue()
        self.delays = Delays(self.enqueue)
        self._ledger = ledger
        self._catalogue = catalogue
        self._workers = workers
        self._link = link
        self._incarnation = incarnation
        self._config = config
        self._spawn = spawn
        self._timeout_of = timeout_of
        self._attempt_ended = attempt_ended
        self.families = Families(ledger, workers, lambda live, reason: spawn(self.give_up(live, reason), "give up"))
        self.losses = Losses(ledger, workers, self._settle, lease_of)
        self.reports = Reports(ledger, link, spawn, self._follow, found_other)

    # --- towards the workers ------------------------------------------------------------------------------------

    def reserve(self, execution_id: str, version: str, *, called: bool = False) -> Worker | None:
        """A free slot for a new execution, held for it; None where none is free, or clients' executions wait already.

        One that a task `called` does not line up behind those.
        """
        worker = None if len(self.queue) and not called else self._workers.choose(version, now=self._now())
        if worker is not None:
            worker.assign(execution_id, 1, version)
        return worker

    def take_up(self, live: Live) -> None:
        """Let an execution wait that an earlier runner left queued: for its time, then for a slot."""
        seconds = seconds_until_due(live.execution)
        if seconds > 0:
            self.delays.hold(live, seconds)
        else:
            self.enqueue(live)

    def enqueue(self, live: Live) -> None:
        """Let an execution wait for a slot."""
        self._push(live)
        self.fill()

    def _push(self, live: Live) -> None:
        execution = live.execution
        depth = execution.lineage.depth if execution.lineage is not None else 0
        self.queue.push(
            execution.execution_id, priority=execution.priority, created_ns=execution.created_ns, depth=depth
        )

    def fill(self) -> None:
        """Give free slots to those who wait; one whose version no free worker has does not hold up the others."""
        passed: list[Live] = []
        while len(self.queue) and self._workers.any_free(now=self._now()):
            live = self._ledger.live.get(self.queue.pop() or "")
            if live is None:
                continue
            version = self._catalogue.version_now(live.execution)
            worker = self._workers.choose(version, now=self._now())
            if worker is None:
                passed.append(live)
                continue
            worker.assign(live.execution.execution_id, live.state.fence + 1, version)
            self._spawn(self._start(live, worker), "start")
        for live in passed:
            self._push(live)

    def order(self, live: Live, task: Task, worker: Worker) -> None:
        """Send the recorded attempt on its way."""
        live.ordering, live.doubtful = True, False
        self._spawn(self._order(live, task, worker), "order")

    async def _start(self, live: Live, worker: Worker) -> None:
        execution_id, fence = live.execution.execution_id, live.state.fence + 1
        try:
            task = await self._catalogue.find(live.execution.task_id)
            live.update(version=task.version)
            if not self._workers.fits(worker, task.version):
                worker.release(execution_id, fence)
                return self.enqueue(live)
            attempt = new_attempt(fence, worker=worker.name, incarnation=worker.incarnation, version=task.version)
            live.ordering = True  # as soon as it is seen to run: a worker that does not hold it has not got it yet
            await self._ledger.apply(live, Placed(), attempt=attempt)
        except RequestError as error:
            worker.release(execution_id, fence)
            failure = Failure(category=Category.TASK_BROKEN, type=type(error).__name__, message=error.message)
            await self._settle(live, Unrunnable(failure), None)
        except StaleFenceError:  # cancelled meanwhile
            live.ordering = False
            worker.release(execution_id, fence)
            self.fill()
        except UnavailableError as error:
            log.error("an attempt could not be started; trying again", execution=execution_id, error=error.message)
            live.ordering = False
            worker.release(execution_id, fence)
            await asyncio.sleep(_STORE_RETRY_SECONDS)
            self.enqueue(live)
        else:
            self.order(live, task, worker)

    async def _order(self, live: Live, task: Task, worker: Worker) -> None:
        fence = live.state.fence
        order = AttemptOrder(
            execution_id=live.execution.execution_id,
            attempt=fence,
            fence=fence,
            runner=self._incarnation,
            task_id=task.task_id,
            function=task.function,
            path=task.path,
            file=self._catalogue.name_of(task),
            version=task.version,
            input=live.execution.input,
            trace=live.execution.trace,
            client=live.execution.source.client,
            timeout_seconds=self._seconds_for(live, task),
            may_ask_llm=self._config.asks_llm,
            may_call_mcp=self._config.calls_mcp,
        )
        try:
            taken = await rpc.call(
                self._link, messages.RUN_ATTEMPT, order, target=worker.name, timeout_seconds=_ORDER_SECONDS
            )
        except (UnreachableError, BusyError, DeniedError, UnknownMethodError, RatchetError) as error:
            log.info("a worker did not take an attempt", worker=worker.name, error=str(error))
            worker.unavailable_until = self._now() + _REFUSED_SECONDS
            asyncio.get_running_loop().call_later(_REFUSED_SECONDS, self.fill)
            live.ordering = False
            await self._undelivered(live, fence)
        except IpcError as error:
            log.warning("the fate of an order is unknown", worker=worker.name, error=str(error))
            live.ordering, live.doubtful = False, True
            self._ask(worker.name)
        else:
            live.ordering = False
            if live.state.fence == fence and live.attempt is not None and not live.state.status.terminal:
                self._amend(live, live.attempt.model_copy(update={"pid": taken.pid}))
            if live.state.cancel_requested:
                self.stop(live)

    def _seconds_for(self, live: Live, task: Task) -> float:
        seconds = self._timeout_of(task)
        return seconds if live.deadline is None else min(seconds, max(_SECONDS_MIN, live.deadline - self._now()))

    async def give_up(self, live: Live, reason: str) -> None:
        """Ask an execution to stop that nobody waits for any more, as long as the store cannot take it."""
        while not live.state.status.terminal:
            try:
                return await self.cancel(live, reason)
            except StoreError as error:
                log.error("a cancel could not be recorded; trying again", error=error.message)
                await asyncio.sleep(_STORE_RETRY_SECONDS)
        return None

    def _amend(self, live: Live, attempt: Attempt) -> None:
        live.amend(attempts=attempts_with(live.execution, attempt))

    async def cancel(self, live: Live, reason: str) -> None:
        """Ask an execution to stop; idempotent.

        Raises:
            StoreError: The request could not be recorded.
        """
        await undisturbed(self._cancel(live, reason))

    async def _cancel(self, live: Live, reason: str) -> None:
        try:
            effect = await self._ledger.apply(live, CancelRequested(), reason=reason)
        except StaleFenceError:  # it ended meanwhile
            return
        self._follow(live, effect)

    def stop(self, live: Live) -> None:
        """Have the current attempt ended."""
        attempt = live.attempt
        if attempt is not None and attempt.worker is not None:
            reason = live.execution.cancel_requested or ""
            self._spawn(self._stop(attempt.worker, live.execution.execution_id, attempt.fence, reason), "stop")

    async def _stop(self, worker: str, execution_id: str, fence: int, reason: str) -> None:
        body = StopAttempt(execution_id=execution_id, fence=fence, reason=reason)
        try:
            await rpc.call(self._link, messages.STOP_ATTEMPT, body, target=worker, timeout_seconds=_STOP_SECONDS)
        except (IpcError, RatchetError) as error:
            # A worker that comes back is told again when it registers; one that does not is found dead.
            log.warning("a worker could not be told to stop an attempt", worker=worker, error=str(error))

    # --- from the workers -----------------------------------------------------------------------------------------

    async def report(self, body: AttemptReport, source: str) -> None:
        """An attempt of the worker `source` is over.

        Raises:
            StaleFenceError: It is not the current one.
            StoreError: The end could not be recorded; it must be reported again.
        """
        await undisturbed(self.reports.take(body, source))

    def progress(self, body: AttemptProgress) -> None:
        """A running attempt got further."""
        live = self._ledger.live.get(body.execution_id)
        if live is not None and live.state.fence == body.fence and live.state.status.active:
            live.update(progress=body.progress)

    async def register(self, body: RegisterWorker, *, slots: int) -> None:
        """A worker says what it offers and what it holds: take up what it runs, order anew what never reached it."""
        known = self._workers.get(body.name)
        if known is not None and known.incarnation != body.incarnation:
            self._workers.remove(known.name, known.incarnation)
        worker = self._workers.register(
            body.name,
            body.incarnation,
            pid=body.pid,
            slots=slots,
            describes=bool(body.slots),
            now=self._now(),
        )
        held = set(body.in_flight)
        for live in list(self._ledger.live.values()):
            attempt = live.attempt
            if attempt is None or not live.state.status.active or attempt.worker != body.name:
                continue
            if attempt.worker_incarnation != body.incarnation:
                self._spawn(self.losses.worker_replaced(live, attempt.fence, body.name), "replaced")
            elif (live.execution.execution_id, attempt.fence) in held:
                self._adopt(live, attempt, worker)
            elif not live.ordering:
                self._spawn(self._undelivered(live, attempt.fence), "undelivered")
        self._stop_strays(worker, held)
        self.fill()

    def _adopt(self, live: Live, attempt: Attempt, worker: Worker) -> None:
        live.doubtful = False
        worker.assign(live.execution.execution_id, attempt.fence, live.execution.version)
        if live.state.cancel_requested:
            self.stop(live)

    def _ask(self, worker: str | None) -> None:
        """Have a worker say what it has in hand."""
        rpc.cast(self._link, messages.REREGISTER, Reregister(), target=worker)

    def _stop_strays(self, worker: Worker, held: set[tuple[str, int]]) -> None:
        """End attempts that the worker runs but that are not current any more; their reports would be refused."""
        for execution_id, fence in held:
            live = self._ledger.live.get(execution_id)
            if live is None or live.state.fence != fence:
                self._spawn(self._stop(worker.name, execution_id, fence, "the attempt is no longer current"), "stray")

    async def expire_leases(self, *, uptime_seconds: float) -> None:
        """Give up attempts whose worker has been silent too long; the runner is up for `uptime_seconds`."""
        for live in self._ledger.live.values():
            if live.doubtful and live.state.status.active and live.attempt is not None:
                self._ask(live.attempt.worker)  # what was asked before may be lost
        await self.losses.expire_leases(now=self._now(), uptime_seconds=uptime_seconds)

    async def expire_deadlines(self) -> None:
        """End those that wait beyond the time by which they must have ended."""
        for live, failure in list(overdue(self._ledger.live.values(), now=self._now())):
            await self._settle(live, Unrunnable(failure), None)

    # --- what follows --------------------------------------------------------------------------------------------

    async def _undelivered(self, live: Live, fence: int) -> None:
        attempt = live.attempt
        if attempt is None or attempt.fence != fence:  # found out in another way meanwhile
            return
        ended = undelivered(attempt)
        tries = sum(one.failure == ended.failure for one in live.execution.attempts)
        event = Undelivered(fence) if tries < _UNDELIVERED_MAX else live.ended(fence, ended.failure)
        await self._settle(live, event, ended)

    async def _settle(self, live: Live, event: Ended | Undelivered | Unrunnable, attempt: Attempt | None) -> None:
        """Apply what nobody will report again; wait as long as the store cannot take it."""
        while True:
            try:
                effect = await self._ledger.apply(live, event, attempt=attempt)
            except StaleFenceError:
                return None
            except StoreError as error:
                log.error("an end could not be recorded; trying again", error=error.message)
                await asyncio.sleep(_STORE_RETRY_SECONDS)
            else:
                return self._follow(live, effect)

    def _follow(self, live: Live, effect: Effect) -> None:
        """Do what a recorded effect asks for."""
        match effect:
            case Finish():
                self._attempt_ended(live)
                self.families.attempt_ended(live)
                self.queue.discard(live.execution.execution_id)
                self.delays.drop(live.execution.execution_id)
                self._release(live)
                self.fill()
            case Requeue(delay_seconds=delay):
                self._attempt_ended(live)
                self.families.attempt_ended(live)
                self._release(live)
                if delay > 0:
                    self.delays.hold(live, delay)
                    self.fill()
                else:
                    self.enqueue(live)
            case Stop():
                if not live.ordering:  # else it is stopped once the order's fate is known
                    self.stop(live)
            case _:
                pass

    def _release(self, live: Live) -> None:
        attempt = live.attempt
        worker = self._workers.get(attempt.worker) if attempt is not None else None
        if attempt is not None and worker is not None:
            worker.release(live.execution.execution_id, attempt.fence)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
