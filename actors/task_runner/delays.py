"""Queued executions whose time has not come: each has a timer, and lines up for a slot when it fires.

When that is, is in the store (`due_ns`), so another runner takes it up.
"""

import asyncio
import time
from collections.abc import Callable

from actors.task_runner.live import Live
from ratchet.models import Execution, Status

_MARGIN_SECONDS = 0.001  # the timer's clock is not the one that says when its time has come


class Delays:
    """The timers by execution; never more than there are unfinished executions.

    Args:
        due: Told of one whose time has come.
    """

    def __init__(self, due: Callable[[Live], None]) -> None:
        self._due = due
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def __contains__(self, execution_id: object) -> bool:
        return execution_id in self._timers

    def hold(self, live: Live, seconds: float) -> None:
        """Let it wait for so long before it lines up."""
        execution_id = live.execution.execution_id
        self.drop(execution_id)
        self._timers[execution_id] = asyncio.get_running_loop().call_later(seconds + _MARGIN_SECONDS, self._fire, live)

    def drop(self, execution_id: str) -> None:
        """It does not wait any more."""
        timer = self._timers.pop(execution_id, None)
        if timer is not None:
            timer.cancel()

    def _fire(self, live: Live) -> None:
        self._timers.pop(live.execution.execution_id, None)
        if live.state.status is Status.QUEUED:
            self._due(live)


def seconds_until_due(execution: Execution) -> float:
    """How long a queued execution still has to wait; a wall clock that was set back does not make that longer."""
    if execution.due_ns is None:
        return 0.0
    decided_ns = execution.attempts[-1].ended_ns if execution.attempts else execution.created_ns
    left_ns = execution.due_ns - time.time_ns()
    if decided_ns is not None:
        left_ns = min(left_ns, execution.due_ns - decided_ns)
    return max(0.0, left_ns / 1e9)
