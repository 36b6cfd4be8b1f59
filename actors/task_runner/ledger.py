"""Every execution that has not ended, in memory and in the store; the one place where its state changes.

An event is decided by `ratchet.lifecycle`, made durable, and only then visible: to memory, to those who wait, and to
the caller, who performs what the returned effect asks for.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from actors.task_runner.live import Live, attempts_with, restored
from ratchet.bodies.asks import AskRecord
from ratchet.errors import IdempotencyConflictError, StaleFenceError
from ratchet.lifecycle import Effect, Event, Finish, Order, Refuse, Requeue, Resume, Stop, Suspend, step
from ratchet.models import Attempt, Execution, Status
from ratchet.stores.asks import AskStore
from ratchet.stores.executions import ExecutionStore

ATTEMPT_ENDED = "the attempt that asked has ended"

T = TypeVar("T")


def _nothing() -> None:
    """What is done beside most announcements."""


async def undisturbed(work: Coroutine[Any, Any, T]) -> T:
    """Do `work` to its end, also where whoever waits for it gives up: what becomes durable must become known, too."""
    return await asyncio.shield(asyncio.create_task(work))


def _ignore(_execution: Execution) -> None:
    """What is done where nobody wants to hear of it."""


class Ledger:
    """The unfinished executions by id.

    Attributes:
        told: Called with every execution that was accepted, or came into another state.
    """

    def __init__(self, store: ExecutionStore, asks: AskStore) -> None:
        self.store = store
        self._asks = asks
        self.live: dict[str, Live] = {}
        self.told: Callable[[Execution], None] = _ignore

    async def restore(self) -> list[Live]:
        """Take up what an earlier process left unfinished."""
        asked: dict[str, set[str]] = {}
        for ask in await self._asks.open():
            asked.setdefault(ask.execution_id, set()).add(ask.key)
        for execution in await self.store.unfinished():
            asks = frozenset(asked.get(execution.execution_id, ()))
            self.live[execution.execution_id] = restored(execution, asks)
        return list(self.live.values())

    async def accept(self, live: Live) -> bool:
        """Make a new execution durable, with its first attempt if it has one.

        Returns False where its id or its idempotency key is known already; nothing has changed then.

        Raises:
            StoreError: It could not be recorded; nothing of it is left.
        """
        execution = live.execution
        self.live[execution.execution_id] = live
        inserted = False
        try:
            async with live.lock:
                inserted = await self.store.insert(execution, live.attempt)
        except IdempotencyConflictError:
            return False
        finally:
            if not inserted:
                del self.live[execution.execution_id]
        if inserted:
            self.told(live.execution)
        return inserted

    async def apply(
        self,
        live: Live,
        event: Event,
        *,
        attempt: Attempt | None = None,
        output: Any = None,
        reason: str = "",
        ask: AskRecord | None = None,
        announcing: Callable[[], None] = _nothing,
    ) -> Effect:
        """Decide, record, publish.

        Args:
            live: The execution the event is about.
            event: What happened.
            attempt: The attempt as it is after the event; needed for `Placed`, `Undelivered` and `Ended`.
            output: What a completed attempt returned.
            reason: Why a cancel was requested.
            ask: The question as it is after `Asked` or `Settled`.
            announcing: Called once it is durable, in the turn of the loop in which waiters are told, before them.

        Returns:
            What the caller must do now; it is durable already.

        Raises:
            StaleFenceError: The event is about an attempt or an execution that is over.
            StoreError: It could not be recorded; nothing has changed.
        """
        return await undisturbed(self._apply(live, event, attempt, output, reason, ask, announcing))

    async def _apply(
        self,
        live: Live,
        event: Event,
        attempt: Attempt | None,
        output: Any,
        reason: str,
        ask: AskRecord | None,
        announcing: Callable[[], None],
    ) -> Effect:
        async with live.lock:
            state, effect = step(live.state, event)
            if isinstance(effect, Suspend | Resume):
                assert ask is not None
                changes = await self._record_ask(effect, ask, state.status)
            else:
                changes = await self._record(live, effect, attempt=attempt, output=output, reason=reason)
            if isinstance(effect, Finish | Requeue):
                changes["asks"] = []  # its own ended with the attempt, and so do the executions that it called
            live.state = state
            announcing()
            live.update(**changes)
            self.told(live.execution)
            if isinstance(effect, Finish):
                self.live.pop(live.execution.execution_id, None)
        return effect

    async def _record_ask(self, effect: Suspend | Resume, ask: AskRecord, status: Status) -> dict[str, Any]:
        if isinstance(effect, Suspend):
            await self._asks.insert(ask)
        elif ask.state == "answered":
            await self._asks.settle(ask, ask.state, said=ask.answer)
        else:
            await self._asks.settle(ask, ask.state, reason=ask.reason)
        return {"status": status}

    async def _record(
        self, live: Live, effect: Effect, *, attempt: Attempt | None, output: Any, reason: str
    ) -> dict[str, Any]:
        """Make an effect durable; returns how the execution changes."""
        execution = live.execution
        match effect:
            case Order():
                assert attempt is not None
                await self.store.start_attempt(execution.execution_id, attempt, version=execution.version)
                started_ns = execution.started_ns or attempt.started_ns
                return _with(execution, attempt, status=Status.RUNNING, started_ns=started_ns, due_ns=None)
            case Requeue(fence=fence, delay_seconds=delay):
                assert attempt is not None
                due_ns = time.time_ns() + int(delay * 1e9) if delay else None
                await self.store.requeue(execution.execution_id, fence, attempt, due_ns=due_ns, asked=_asked(live))
                return _with(execution, attempt, status=Status.QUEUED, progress=None, due_ns=due_ns)
            case Stop():
                await self.store.set_cancel_requested(execution.execution_id, reason)
                return {"cancel_requested": reason}
            case Finish():
                return await self._finish(live, effect, attempt=attempt, output=output, reason=reason)
            case Suspend() | Resume():
                raise AssertionError("recorded with its question")
            case Refuse(why=why):
                raise StaleFenceError(
                    f"execution {execution.execution_id}: {why}; it is {execution.status} "
                    f"and its current attempt is {live.state.fence}"
                )

    async def _finish(
        self, live: Live, effect: Finish, *, attempt: Attempt | None, output: Any, reason: str
    ) -> dict[str, Any]:
        execution = live.execution
        ended_ns = attempt.ended_ns if attempt is not None and attempt.ended_ns else time.time_ns()
        changes: dict[str, Any] = {
            "status": effect.status,
            "failure": effect.failure,
            "ended_ns": ended_ns,
            "due_ns": None,
        }
        if effect.status is Status.CANCELLED and execution.cancel_requested is None:
            await self.store.set_cancel_requested(execution.execution_id, reason)
            changes["cancel_requested"] = reason
        await self.store.finish(
            execution.execution_id,
            live.state.fence,
            status=effect.status,
            ended_ns=ended_ns,
            output=output,
            failure=effect.failure,
            progress=execution.progress,
            attempt=attempt,
            asked=_asked(live),
        )
        if effect.status is Status.COMPLETED:
            changes["output"] = output
        return changes if attempt is None else _with(execution, attempt, **changes)


def _asked(live: Live) -> str | None:
    """Why what the attempt that ends has asked gets no answer; None where it has asked nothing."""
    return ATTEMPT_ENDED if live.state.asks else None


def _with(execution: Execution, attempt: Attempt, **changes: Any) -> dict[str, Any]:
    return {**changes, "attempts": attempts_with(execution, attempt)}
