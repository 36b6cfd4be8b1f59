"""Where tasks come that run other tasks: the procedure `calls.run`.

The task mints the id of the execution that it calls, so a call that is sent again, because the runner or the way to it
went away meanwhile, finds the execution instead of making another. It is answered with the end. When nobody waits for
that any more, the execution is cancelled.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from actors.task_runner.desk import Desk, Origin
from actors.task_runner.dispatcher import Dispatcher
from actors.task_runner.ledger import Ledger
from actors.task_runner.live import Live
from ipc.link import Request
from ratchet.bodies.executions import RunTask, Submit
from ratchet.errors import CallTimeoutError, ForbiddenError, StaleFenceError, TooDeepError
from ratchet.messages import RunEnd
from ratchet.models import Execution, Lineage, Source

_WITHDRAWN = "the execution that called it no longer waits for it"
_END_SECONDS = 5.0  # an execution whose time is up gets this long to say so itself
_FOREVER_SECONDS = 365 * 86_400.0


class CallDesk:
    """Runs tasks for tasks.

    Args:
        desk: Accepts executions.
        ledger: What has not ended.
        dispatcher: Cancels.
        depth_max: How deep executions may call one another; one that a client asked for has depth 0.
        spawn: Runs something beside the requests.
        draining: Whether requests end because this process does: then what they wait for goes on.
    """

    def __init__(
        self,
        *,
        desk: Desk,
        ledger: Ledger,
        dispatcher: Dispatcher,
        depth_max: int,
        spawn: Callable[[Coroutine[Any, Any, Any], str], object],
        draining: Callable[[], bool],
    ) -> None:
        self._desk = desk
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._depth_max = depth_max
        self._spawn = spawn
        self._draining = draining

    async def run(self, body: RunTask, request: Request) -> RunEnd:
        """Run a task for the attempt that asks, and answer with its end.

        Raises:
            StaleFenceError: That attempt is not its execution's current one.
            ForbiddenError: The id belongs to an execution that was not called by it.
            TooDeepError: It is called too deep down already.
            UnknownTaskError, BrokenTaskError, InvalidInputError, StoreError: It was not accepted.
            CallTimeoutError: It had not ended when its time was up.
        """
        parent = self._parent(body, request)
        lineage = _lineage(parent.execution, body)
        if lineage.depth > self._depth_max:
            raise TooDeepError(
                f"{body.task_id!r} would be called {lineage.depth} executions deep and may be {self._depth_max} "
                f"(executions.depth_max); the first one was {lineage.root_id}",
                details={"depth": lineage.depth, "depth_max": self._depth_max, "root_id": lineage.root_id},
            )
        deadline = _deadline(body, request)
        try:
            live = await self._desk.accept(_submission(body, parent.execution), Origin(lineage, deadline))
            execution = await (self._earlier(body, lineage) if live is None else self._until_end(live, deadline))
        except asyncio.CancelledError:
            if not self._draining():
                self._spawn(self._withdraw(body.run_id), "withdraw")
            raise
        return RunEnd(
            execution_id=execution.execution_id,
            task_id=execution.task_id,
            status=execution.status,
            output=execution.output,
            failure=execution.failure,
        )

    def _parent(self, body: RunTask, request: Request) -> Live:
        live = self._ledger.live.get(body.execution_id)
        attempt = live.attempt if live is not None else None
        if live is None or attempt is None or not live.state.status.active or attempt.fence != body.fence:
            raise StaleFenceError(f"attempt {body.fence} of {body.execution_id} does not run, so it calls nothing")
        if attempt.worker != request.source:
            raise StaleFenceError(f"attempt {body.fence} of {body.execution_id} does not run in {request.source}")
        return live

    async def _earlier(self, body: RunTask, lineage: Lineage) -> Execution:
        """What was called under this id and has ended, while the runner or the way to it was gone."""
        found = await self._ledger.store.get(body.run_id)
        if found is None or found.lineage is None or found.lineage.parent_id != lineage.parent_id:
            raise ForbiddenError(f"{body.run_id} is no execution that {lineage.parent_id} called")
        return found

    async def _until_end(self, live: Live, deadline: float | None) -> Execution:
        left = _FOREVER_SECONDS
        if deadline is not None:
            left = max(0.0, deadline - asyncio.get_running_loop().time()) + _END_SECONDS
        async for execution in live.changes(left):
            if execution.status.terminal:
                return execution
        await self._dispatcher.cancel(live, "its time was up")
        raise CallTimeoutError(
            f"{live.execution.task_id} ({live.execution.execution_id}) had not ended when its time was up; "
            f"it was {live.execution.status.value} and is cancelled",
            details={"execution_id": live.execution.execution_id},
        )

    async def _withdraw(self, execution_id: str) -> None:
        live = await self._desk.accepting(execution_id)
        if live is not None:
            await self._dispatcher.give_up(live, _WITHDRAWN)


def _lineage(parent: Execution, body: RunTask) -> Lineage:
    above = parent.lineage
    return Lineage(
        parent_id=parent.execution_id,
        parent_attempt=body.fence,
        root_id=above.root_id if above is not None else parent.execution_id,
        depth=above.depth + 1 if above is not None else 1,
        span_id=body.span_id,
    )


def _deadline(body: RunTask, request: Request) -> float | None:
    """The loop time at which the execution must have ended: the caller's, or an earlier one that it asked for."""
    if body.timeout_seconds is None:
        return request.deadline
    asked = asyncio.get_running_loop().time() + body.timeout_seconds
    return asked if request.deadline is None else min(asked, request.deadline)


def _submission(body: RunTask, parent: Execution) -> Submit:
    """What a client would send; nobody's permissions count, since the task's author calls, and its owner stays."""
    return Submit(
        execution_id=body.run_id,
        task_id=body.task_id,
        input=body.input,
        source=Source(kind="task", client=parent.source.client),
        trace=parent.trace,
        priority=parent.priority,
    )
