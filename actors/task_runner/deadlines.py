"""Executions that wait, for a slot or for their next attempt, beyond the time by which they must have ended.

Those that run are ended by their worker, which knows the time that is left to the attempt.
"""

from collections.abc import Iterable, Iterator

from actors.task_runner.live import Live
from ratchet.models import Category, Failure, Status


def overdue(lives: Iterable[Live], *, now: float) -> Iterator[tuple[Live, Failure]]:
    """Those whose time is up, each with the failure that it ends with."""
    for live in lives:
        if live.deadline is not None and live.deadline <= now and live.state.status is Status.QUEUED:
            yield live, _failure(live)


def _failure(live: Live) -> Failure:
    execution = live.execution
    ended = [one.failure for one in execution.attempts if one.failure is not None]
    waited = "before it could start" if not ended else f"while it waited for attempt {live.state.fence + 1}"
    last = f"; attempt {live.state.fence} ended as {ended[-1].type}: {ended[-1].message}" if ended else ""
    given = "" if execution.deadline_ns is None else f" of {(execution.deadline_ns - execution.created_ns) / 1e9:.3g} s"
    return Failure(category=Category.TIMEOUT, type="Timeout", message=f"its time{given} was up {waited}{last}")
