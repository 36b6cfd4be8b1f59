"""An execution that has not ended yet, as the task-runner holds it in memory, with those who wait for it."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from ratchet.lifecycle import Ended, State
from ratchet.models import Attempt, Category, Execution, Failure
from ratchet.next_attempt import NOT_DELIVERED, Past


@dataclass(slots=True, eq=False)
class Live:
    """The runner's view of one unfinished execution.

    Attributes:
        execution: What everybody else gets to see; what is in the store, plus the progress.
        state: What `ratchet.lifecycle` decides from.
        lock: Held while an event is applied, so that the store sees one transition after the other.
        deadline: Loop time at which it must have ended; None: only its task's own time is limited.
        ordering: An order for its current attempt is on its way, its fate not known yet.
        doubtful: Nor could it be learned from the answer: its worker has to say whether it has it.
    """

    execution: Execution
    state: State
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    deadline: float | None = None
    ordering: bool = False
    doubtful: bool = False
    _waiting: dict[asyncio.Event, None] = field(default_factory=dict[asyncio.Event, None])  # in order of arrival

    def ended(self, fence: int, failure: Failure | None) -> Ended:
        """The event that attempt `fence` is over, with what the decision about another one needs."""
        left = None if self.deadline is None else self.deadline - asyncio.get_running_loop().time()
        return Ended(fence, failure, left_seconds=left, chance=random.random())  # noqa: S311 - it spreads load

    @property
    def attempt(self) -> Attempt | None:
        """The current one, or the last."""
        return self.execution.attempts[-1] if self.execution.attempts else None

    def amend(self, **changes: Any) -> None:
        """Replace fields that nobody waits for."""
        self.execution = self.execution.model_copy(update=changes)

    def update(self, **changes: Any) -> None:
        """Replace fields of the execution and wake whoever waits."""
        self.amend(**changes)
        for event in self._waiting:
            event.set()

    async def changes(self, seconds: float) -> AsyncGenerator[Execution]:
        """The execution now and after each change, conflated, until it is terminal or `seconds` have passed."""
        deadline = asyncio.get_running_loop().time() + seconds
        changed = asyncio.Event()
        self._waiting[changed] = None
        try:
            while True:
                changed.clear()
                yield self.execution
                if self.execution.status.terminal:
                    return
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
        except TimeoutError:
            yield self.execution
        finally:
            del self._waiting[changed]


def restored(execution: Execution, asks: frozenset[str] = frozenset()) -> Live:
    """A live execution from what the store says of it."""
    state = State(
        status=execution.status,
        fence=execution.attempts[-1].fence if execution.attempts else 0,
        idempotent=execution.idempotent,
        retry=execution.retry,
        cancel_requested=execution.cancel_requested is not None,
        past=Past.of(execution.attempts),
        asks=asks,
    )
    return Live(execution=execution, state=state, deadline=_deadline(execution))


def _deadline(execution: Execution) -> float | None:
    """The loop time of an execution's deadline; a wall clock that was set back does not put it off for long."""
    if execution.deadline_ns is None:
        return None
    left_ns = min(execution.deadline_ns - time.time_ns(), execution.deadline_ns - execution.created_ns)
    return asyncio.get_running_loop().time() + left_ns / 1e9


def attempts_with(execution: Execution, attempt: Attempt) -> list[Attempt]:
    """The attempts, with `attempt` in place of the one of the same fence, or added; the newest stays the last."""
    others = [one for one in execution.attempts if one.fence != attempt.fence]
    return sorted([*others, attempt], key=lambda one: one.fence)


def with_attempt(execution: Execution, attempt: Attempt) -> Execution:
    """The execution with these attempts."""
    return execution.model_copy(update={"attempts": attempts_with(execution, attempt)})


def new_attempt(fence: int, *, worker: str, incarnation: str, version: str) -> Attempt:
    """An attempt that starts now."""
    return Attempt(
        number=fence,
        fence=fence,
        version=version,
        worker=worker,
        worker_incarnation=incarnation,
        started_ns=time.time_ns(),
    )


def undelivered(attempt: Attempt) -> Attempt:
    """The attempt, whose order never reached its worker, as it is remembered."""
    message = f"{attempt.worker} never got the order; the execution waits for another attempt"
    failure = Failure(category=Category.WORKER_LOST, type=NOT_DELIVERED, message=message)
    return attempt.model_copy(update={"ended_ns": time.time_ns(), "failure": failure})
