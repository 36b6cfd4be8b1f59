"""What became of an attempt, from what its child said and how it ended: pure functions."""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from actors.worker.zygote import ChildExit
from ratchet.bodies.attempts import AttemptReport
from ratchet.models import Category, Failure, ProcessEnd, Rung


@dataclass(frozen=True, slots=True)
class Stopping:
    """An attempt is being ended from outside.

    Attributes:
        category: Why: cancelled, timeout or shutdown.
        reason: In words.
        rung: The highest rung of the kill ladder that was needed so far.
    """

    category: Category
    reason: str
    rung: Rung = "cooperative"


@dataclass(frozen=True, slots=True)
class Done:
    """The child's own word on how the attempt ended."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Died:
    """The child's process ended before it said anything."""

    exit: ChildExit
    last_lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ZygoteDied:
    """The zygote ended, and the child with it."""

    end: ProcessEnd


Outcome = Done | Died | ZygoteDied


@dataclass(frozen=True, slots=True)
class Identity:
    """Which attempt, and where it ran."""

    execution_id: str
    fence: int
    pid: int
    started_ns: int


def report(identity: Identity, outcome: Outcome, stopping: Stopping | None) -> AttemptReport:
    """The report of an attempt, without its telemetry's fate."""
    output, failure = None, None
    match outcome:
        case Done(body=body):
            failure = _told(body, stopping)
            output = body.get("output") if failure is None else None
        case Died():
            failure = _died(outcome, stopping)
        case ZygoteDied(end=end):
            failure = _zygote_died(end, stopping)
    return AttemptReport(
        execution_id=identity.execution_id,
        fence=identity.fence,
        pid=identity.pid,
        started_ns=identity.started_ns,
        ended_ns=time.time_ns(),
        output=output,
        failure=failure,
        stopped_by=stopping.rung if stopping is not None and failure is not None else None,
    )


def _told(body: dict[str, Any], stopping: Stopping | None) -> Failure | None:
    """The failure that a child reports, if it reports one; task code can forge this, but no more than its own end."""
    told = body.get("failure")
    if told is None:
        return None
    try:
        failure = Failure.model_validate(told)
    except ValidationError as error:
        message = f"the child's report of its failure cannot be read: {error.error_count()} errors"
        return Failure(category=Category.EXCEPTION, type="MalformedReport", message=message)
    if stopping is None:
        return failure
    return failure.model_copy(update={"category": stopping.category, "message": stopping.reason or failure.message})


def _died(outcome: Died, stopping: Stopping | None) -> Failure:
    ended = outcome.exit
    end = ProcessEnd(
        process="child",
        pid=ended.pid,
        exit_code=ended.exit_code,
        signal=ended.signal,
        signal_name=_signal_name(ended.signal),
        sent_by=stopping.rung if stopping is not None else None,
        cpu_seconds=ended.cpu_seconds,
        memory_bytes_max=ended.memory_bytes_max,
        last_lines=list(outcome.last_lines),
    )
    if stopping is not None:
        message = f"{stopping.reason}; its process was ended by {_signal_name(ended.signal) or 'its own exit'}"
        return Failure(category=stopping.category, type=_STOP_TYPES[stopping.category], message=message, process=end)
    category = Category.LIMIT if ended.signal in (signal.SIGXCPU, signal.SIGXFSZ) else Category.CRASHED
    return Failure(category=category, type="ProcessDied", message=_death(ended), process=end)


def _death(ended: ChildExit) -> str:
    who = f"the child process (pid {ended.pid})"
    peak = f"its memory peaked at {ended.memory_bytes_max / 2**20:.0f} MiB"
    match ended.signal:
        case None:
            return f"{who} exited with code {ended.exit_code} before the task returned (os._exit or a C library)"
        case signal.SIGKILL:
            return f"{who} was killed by SIGKILL, not by Ratchet: the kernel's out-of-memory killer or a person; {peak}"
        case signal.SIGXCPU:
            return f"{who} used up its CPU time (limits.cpu_seconds) and did not react"
        case number:
            return f"{who} was killed by {_signal_name(number)}; {peak}"


def _zygote_died(end: ProcessEnd, stopping: Stopping | None) -> Failure:
    cause = end.signal_name or f"exit code {end.exit_code}"
    message = f"the zygote (pid {end.pid}), which parents this attempt's process, ended: {cause}"
    category = Category.WORKER_LOST if stopping is None else stopping.category
    return Failure(category=category, type="ZygoteDied", message=message, process=end)


def _signal_name(number: int | None) -> str | None:
    if number is None:
        return None
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


_STOP_TYPES = {Category.CANCELLED: "Cancelled", Category.TIMEOUT: "Timeout", Category.SHUTDOWN: "Shutdown"}
