"""Where clients come: submit, read, list and cancel executions.

Accepted means durable: nothing is answered before the row is committed. A client mints the execution's id, so asking
again after a lost connection finds the execution instead of making another.
"""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

import msgpack

from actors.task_runner.behalf import acting, task_action
from actors.task_runner.callers import Callers
from actors.task_runner.catalogue import Catalogue
from actors.task_runner.dispatcher import Dispatcher
from actors.task_runner.ledger import Ledger
from actors.task_runner.live import Live, new_attempt
from actors.task_runner.node_code import NodeCode
from actors.task_runner.waiting import next_attempt_of, why_it_is_not_tried_yet, why_it_waits
from actors.task_runner.workers import Workers
from ipc.link import Request
from ratchet import rpc
from ratchet.bodies.executions import CancelExecution, ExecutionPage, GetExecution, ListExecutions, Submit, Waiting
from ratchet.errors import IdempotencyConflictError, InvalidInputError, QueueFullError, TooManyExecutionsError
from ratchet.lifecycle import State
from ratchet.models import Execution, JsonObject, Lineage, Source, Status, Task
from ratchet.policy.client import Client
from ratchet.policy.decision import Action
from ratchet.policy.enforce import require, unknown_execution
from ratchet.validation import summarize

INPUT_BYTES_MAX = 1024 * 1024
_REPLY_MARGIN_SECONDS = 0.5  # a wait ends this long before the caller gives up on the call
_TOGETHER_SECONDS = 0.02  # what a task asks at one moment is asked of its caller at one time


@dataclass(frozen=True, slots=True)
class Origin:
    """What an execution that a task called has beside what clients say of theirs.

    Attributes:
        lineage: Who called it.
        deadline: Loop time at which it must have ended.
    """

    lineage: Lineage
    deadline: float | None


class Desk:
    """The procedures `executions.*`."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        catalogue: Catalogue,
        dispatcher: Dispatcher,
        workers: Workers,
        callers: Callers,
        code: NodeCode,
        queue_size: int,
        unfinished_max: int | None,
        on_accept: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._workers = workers
        self._callers = callers
        self._code = code
        self._queue_size = queue_size
        self._unfinished_max = unfinished_max
        self._on_accept = on_accept
        self._accepting: dict[str, asyncio.Task[Live | None]] = {}

    async def submit(self, body: Submit, request: Request) -> Execution:
        """Accept an execution (or find it, if it was accepted before) and wait for it as long as asked.

        Raises:
            ForbiddenError: The client may not run this task.
            UnknownTaskError, BrokenTaskError: There is no such task to run.
            InvalidInputError: The input does not fit the task's schema.
            IdempotencyConflictError: The key was used with another task or input.
            QueueFullError, TooManyExecutionsError: Too many wait already, or are unfinished of this client.
            StoreError: It could not be recorded, so it was not accepted.
        """
        _require_bounded(len(request.body))
        require(acting(body, request), task_action(body.task_id))
        accepting = self._accepting.get(body.execution_id)
        live = self._ledger.live.get(body.execution_id) if accepting is None else await asyncio.shield(accepting)
        if live is not None:
            _require_owner(live.execution, body.client)
            _require_same(live.execution, body)
            return await self._wait(live, body, request)
        earlier = await self._same_key(body)
        if earlier is None:
            live = await self._accept_once(body)
            if live is not None:
                _require_owner(live.execution, body.client)  # another may have been faster under the same id
                _require_same(live.execution, body)
                return await self._wait(live, body, request)
            earlier = await self._same_key(body) or await self._find(body.execution_id, body.client)
        _require_same(earlier, body)
        return await self._follow(earlier, body, request)

    async def get(self, body: GetExecution, request: Request) -> Execution:
        """An execution as it is, or as it is once it ended or `wait_seconds` have passed.

        Raises:
            UnknownExecutionError: No execution of the client has this id.
        """
        execution = await self._find(body.execution_id, acting(body, request))
        return await self._follow(execution, body, request)

    async def list(self, body: ListExecutions, request: Request) -> ExecutionPage:
        """A page of executions (the client's own), those that run with their newest progress."""
        acting(body, request)
        page = await self._ledger.store.list(body)
        live = self._ledger.live  # where one is asked for anew that has ended, what is there is not accepted
        seen = [
            self._view(live[one.execution_id].execution)
            if one.execution_id in live and not one.status.terminal
            else one
            for one in page.executions
        ]
        return page.model_copy(update={"executions": seen})

    async def cancel(self, body: CancelExecution, request: Request) -> Execution:
        """Ask an execution to stop, then wait for its end as long as asked. One that ended stays as it is.

        Raises:
            ForbiddenError: The client may not cancel.
            UnknownExecutionError: No execution of the client has this id.
            StoreError: The request could not be recorded.
        """
        client = acting(body, request)
        require(client, Action("can_execute_tasks"))
        execution = await self._find(body.execution_id, client)
        live = await self.accepting(body.execution_id)
        if live is not None:
            await self._dispatcher.cancel(live, body.reason)
        return await self._follow(execution, body, request)

    # --- accepting ------------------------------------------------------------------------------------------------

    async def accept(self, body: Submit, origin: Origin) -> Live | None:
        """Accept an execution that a task calls; None where it was accepted before and has ended.

        A full queue does not refuse it: those who wait in it may wait for the very slot that the caller holds.

        Raises:
            UnknownTaskError, BrokenTaskError, InvalidInputError: There is no such task to run, or not with this input.
            StoreError: It could not be recorded, so it was not accepted.
        """
        _require_bounded(len(rpc.encode(body)))
        live = await self.accepting(body.execution_id)
        if live is None:
            return await self._accept_once(body, origin)
        if live.execution.lineage is None or live.execution.lineage.parent_id != origin.lineage.parent_id:
            return None
        live.deadline = _earlier(live.deadline, origin.deadline)
        return live

    async def accepting(self, execution_id: str) -> Live | None:
        """The unfinished execution of this id, once it is decided whether it is accepted; None where there is none."""
        accepting = self._accepting.get(execution_id)
        if accepting is not None:
            await asyncio.wait({accepting})
        return self._ledger.live.get(execution_id)

    async def _accept_once(self, body: Submit, origin: Origin | None = None) -> Live | None:
        """Accept in a task of its own, so that a caller that gives up cannot leave it half done.

        Whoever came here with the same id while the caller was looking elsewhere has begun it.
        """
        accepting = self._accepting.get(body.execution_id)
        if accepting is None:
            if (live := self._ledger.live.get(body.execution_id)) is not None:
                return live
            accepting = asyncio.create_task(self._accept(body, origin))
            self._accepting[body.execution_id] = accepting
            accepting.add_done_callback(lambda _: self._accepting.pop(body.execution_id, None))
        return await asyncio.shield(accepting)

    async def _accept(self, body: Submit, origin: Origin | None) -> Live | None:
        """The new execution; None where this id or idempotency key was accepted before."""
        task = await self._catalogue.find(body.task_id, body.client)
        problems = self._catalogue.validator(task).problems(body.input)
        if problems:
            raise InvalidInputError(
                f"the input of {task.task_id!r} is not valid: {summarize(problems)}",
                details={"problems": [one.model_dump() for one in problems]},
            )
        _require_packable(body.input)
        self._require_room(body.source)
        live = _new(body, task, origin)
        lineage = live.execution.lineage
        self._dispatcher.families.expect(body.execution_id, lineage)
        worker = self._dispatcher.reserve(body.execution_id, task.version, called=lineage is not None)
        if worker is None and lineage is None:
            self._require_queue()
        if worker is not None:
            attempt = new_attempt(1, worker=worker.name, incarnation=worker.incarnation, version=task.version)
            live.state = State(status=Status.RUNNING, fence=1, idempotent=task.idempotent, retry=task.retry)
            live.update(status=Status.RUNNING, attempts=[attempt], started_ns=attempt.started_ns)
            live.ordering = True  # a worker that does not hold it has not got it yet
        accepted = False
        try:
            accepted = await self._ledger.accept(live)
        finally:
            if not accepted:
                self._dispatcher.families.forget(body.execution_id, lineage)
                if worker is not None:
                    worker.release(body.execution_id, 1)
                    self._dispatcher.fill()
        if not accepted:
            return None
        self._on_accept()
        if worker is not None:
            self._dispatcher.order(live, task, worker)
            self._dispatcher.fill()  # it may have got another slot than the one that was lent for it
        else:
            self._dispatcher.enqueue(live)
        self._dispatcher.families.accepted(live)
        return live

    def _require_queue(self) -> None:
        waiting = len(self._dispatcher.queue)
        if waiting >= self._queue_size:
            raise QueueFullError(
                f"{waiting} executions are waiting and no more may; try again in a few seconds",
                details={"waiting": waiting, "queue_size": self._queue_size},
            )

    def _require_room(self, source: Source) -> None:
        """Between this and the execution's entry into the ledger nothing may be awaited, or the bound would be none."""
        if self._unfinished_max is None or source.kind != "mcp":
            return
        sources = (live.execution.source for live in self._ledger.live.values())
        unfinished = sum((one.kind, one.client) == (source.kind, source.client) for one in sources)
        if unfinished >= self._unfinished_max:
            raise TooManyExecutionsError(
                f"client {source.client!r} has {unfinished} unfinished executions and may have {self._unfinished_max}; "
                "wait for one of them to end, or cancel one",
                details={"unfinished": unfinished, "unfinished_max": self._unfinished_max},
            )

    async def _same_key(self, body: Submit) -> Execution | None:
        if body.idempotency_key is None:
            return None
        return await self._ledger.store.find_idempotency(body.source.client, body.idempotency_key)

    # --- reading ----------------------------------------------------------------------------------------------------

    async def _find(self, execution_id: str, client: Client | None) -> Execution:
        live = await self.accepting(execution_id)
        found = live.execution if live is not None else await self._stored(execution_id)
        if found is None:
            raise unknown_execution(execution_id)
        _require_owner(found, client)
        return found

    async def _stored(self, execution_id: str) -> Execution | None:
        found = await self._ledger.store.get(execution_id)
        return None if found is None else self._dispatcher.reports.seen(found)

    async def _follow(self, execution: Execution, body: Waiting, request: Request) -> Execution:
        if execution.status.terminal:
            return execution
        live = await self.accepting(execution.execution_id)
        if live is not None:
            return await self._wait(live, body, request)
        return await self._find(execution.execution_id, None)  # it ended between two looks

    async def _wait(self, live: Live, body: Waiting, request: Request) -> Execution:
        if body.can_answer:
            self._callers.seen(live.execution.execution_id)
        seconds = body.wait_seconds
        if request.deadline is not None:
            left = request.deadline - asyncio.get_running_loop().time() - _REPLY_MARGIN_SECONDS
            seconds = min(seconds, left)
        if seconds <= 0 or live.execution.status.terminal:
            return self._view(live.execution)
        told = _progress(live.execution)
        with self._callers.waiting(live.execution.execution_id, able=body.can_answer):
            async with aclosing(live.changes(seconds)) as changes:
                async for execution in changes:
                    if body.can_answer and any(ask.key not in body.asked for ask in execution.asks):
                        await asyncio.sleep(_TOGETHER_SECONDS)
                        break
                    news = _progress(execution)
                    if news != told and not execution.status.terminal:
                        request.progress(rpc.encode_progress(news))
                        told = news
        return self._view(live.execution)

    def _view(self, execution: Execution) -> Execution:
        if execution.status is not Status.QUEUED:
            return self._dispatcher.reports.seen(execution)
        if execution.execution_id in self._dispatcher.delays:
            return self._delayed(self._dispatcher.reports.seen(execution))
        return self._dispatcher.reports.seen(execution).model_copy(update={"waiting_for": self._waiting_for(execution)})

    def _delayed(self, execution: Execution) -> Execution:
        following = next_attempt_of(execution)
        why = "its time has not come" if following is None else why_it_is_not_tried_yet(following)
        return execution.model_copy(update={"waiting_for": why, "next_attempt": following})

    def _waiting_for(self, execution: Execution) -> str:
        order = list(self._dispatcher.queue)
        ahead = order.index(execution.execution_id) if execution.execution_id in order else 0
        version, path = self._catalogue.version_now(execution), self._catalogue.path_of(execution.task_id)
        return why_it_waits(version, path, ahead, self._workers, self._code)


def _require_owner(execution: Execution, client: Client | None) -> None:
    require(client, Action(None, owner=execution.source.client), execution_id=execution.execution_id)


def _new(body: Submit, task: Task, origin: Origin | None) -> Live:
    now_ns, now = time.time_ns(), asyncio.get_running_loop().time()
    deadline = origin.deadline if origin is not None else None
    if body.timeout_seconds is not None:
        deadline = _earlier(deadline, now + body.timeout_seconds)
    deadline_ns = None if deadline is None else now_ns + int((deadline - now) * 1e9)
    execution = Execution(
        execution_id=body.execution_id,
        task_id=task.task_id,
        version=task.version,
        status=Status.QUEUED,
        input=body.input,
        trace=body.trace,
        priority=body.priority,
        idempotent=task.idempotent,
        retry=task.retry,
        deadline_ns=deadline_ns,
        idempotency_key=body.idempotency_key,
        metadata=body.metadata,
        source=body.source,
        lineage=origin.lineage if origin is not None else None,
        created_ns=now_ns,
    )
    return Live(execution=execution, state=State(idempotent=task.idempotent, retry=task.retry), deadline=deadline)


def _progress(execution: Execution) -> JsonObject:
    progress = execution.progress.model_dump() if execution.progress is not None else {}
    return {"execution_id": execution.execution_id, "status": execution.status.value, **progress}


def _require_bounded(size: int) -> None:
    """An execution, its input and its output travel in one message; what is larger belongs into a file."""
    if size > INPUT_BYTES_MAX:
        raise InvalidInputError(
            f"input and metadata are {size} bytes of JSON and may be {INPUT_BYTES_MAX}; put the data into a file and "
            "give the task its path",
            details={"bytes": size, "bytes_max": INPUT_BYTES_MAX},
        )


def _require_packable(task_input: JsonObject) -> None:
    """What a child cannot be sent must not be accepted."""
    try:
        msgpack.packb(task_input)
    except (OverflowError, ValueError) as error:
        raise InvalidInputError(
            f"the input cannot be given to a task: {error}; integers have at most 64 bits and text is valid Unicode"
        ) from None


def _earlier(one: float | None, other: float | None) -> float | None:
    return min((at for at in (one, other) if at is not None), default=None)


def _same_input(one: JsonObject, other: JsonObject) -> bool:
    """Whether they are the same JSON; that of an execution just accepted is the very object, and may be large."""
    return one is other or _canonical(one) == _canonical(other)


def _canonical(task_input: JsonObject) -> str:
    """The same text for the same JSON; to Python `1`, `1.0` and `true` are equal."""
    return json.dumps(task_input, sort_keys=True)


def _require_same(found: Execution, body: Submit) -> None:
    if found.task_id == body.task_id and _same_input(found.input, body.input):
        return
    used = "execution id" if found.execution_id == body.execution_id else f"idempotency key {body.idempotency_key!r}"
    raise IdempotencyConflictError(
        f"this {used} belongs to {found.execution_id}, which has another task or input; use a new one",
        details={"execution_id": found.execution_id, "task_id": found.task_id},
    )
