"""Why an execution waits, in words."""

from datetime import UTC, datetime
from pathlib import Path

from actors.task_runner.node_code import NodeCode, short
from actors.task_runner.workers import Workers
from ratchet.models import Execution, NextAttempt
from ratchet.next_attempt import Past, is_death


def why_it_waits(version: str, path: str | None, ahead: int, workers: Workers, code: NodeCode) -> str:
    """What has to happen before the execution can run.

    Args:
        version: The task version it would run in.
        path: The task's file; None where there is none by now.
        ahead: How many executions come before it.
        workers: Who could take it.
        code: What the nodes among them have.
    """
    reasons = code.why_not(version)
    if not workers.slots:
        return "no worker is connected" + (f": {reasons}" if reasons else "")
    slots = workers.slots_for(version)
    if slots:
        which = "" if slots == workers.slots else " that have its version"
        return f"all {slots} slots{which} are busy; {ahead} executions are ahead of this one"
    file = Path(path).name if path is not None else "its task file"
    return f"no worker has version {short(version)} of {file}: {reasons}"


def next_attempt_of(execution: Execution) -> NextAttempt | None:
    """What a queued execution waits for that has failed before and is not due yet; None of any other."""
    ended = [one for one in execution.attempts if one.failure is not None]
    if execution.due_ns is None or not ended:
        return None
    last = ended[-1]
    assert last.failure is not None
    return NextAttempt(
        number=last.number + 1,
        starts_ns=execution.due_ns,
        failure=last.failure,
        failed=Past.of(ended).failures,
        max_attempts=None if execution.retry is None or is_death(last.failure) else execution.retry.max_attempts,
    )


def why_it_is_not_tried_yet(following: NextAttempt) -> str:
    """The same in words."""
    failure, at = following.failure, datetime.fromtimestamp(following.starts_ns / 1e9, UTC)
    used = "" if following.max_attempts is None else f" ({following.failed} of {following.max_attempts} have failed)"
    return (
        f"attempt {following.number} starts at {at.isoformat(timespec='seconds').replace('+00:00', 'Z')}{used}; "
        f"attempt {following.number - 1} ended as {failure.category.value}, {failure.type}: {failure.message[:200]}"
    )
