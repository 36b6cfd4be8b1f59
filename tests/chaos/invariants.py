"""What must hold after whatever was done to the processes: pure functions from the evidence to complaints."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ratchet.models import Attempt, Category, Execution, Failure, Status
from tests.chaos.evidence import Evidence, Try
from tests.chaos.faults import Strike
from tests.chaos.load import Told
from tests.chaos.plan import LEASE_SECONDS, SUPERVISOR

# What a fault sets off may come a little later: a restart's backoff, a resend, a flush that is given up.
_AFTERWARDS_SECONDS: Final = 12.0
# Less than that is made up for: what stores do not take is kept, and sent again for five seconds.
_OUTAGE_SECONDS: Final = 3.5
_PASSED_BY_TELEMETRY: Final = {SUPERVISOR, "task-runner", "worker"}
_NEVER_DELIVERED: Final = "NotDelivered"
_CALLERS_END: Final = ("the execution that called it",)


def complaints(told: Told, evidence: Evidence, strikes: Sequence[Strike]) -> list[str]:
    """Everything that should not be."""
    found = [*_accepted(told, evidence)]
    causes = Causes(told, strikes)
    for execution in evidence.executions:
        found += _ended(execution, evidence, causes)
        found += _ran_once(execution, evidence)
        found += _telemetry(execution, evidence, causes)
    return found


def _accepted(told: Told, evidence: Evidence) -> Iterator[str]:
    """What was accepted is there and ended as it was told, nothing ran unrecorded, and a key stands for one."""
    known = {one.execution_id: one for one in evidence.executions}
    for execution_id in told.accepted.keys() - known.keys():
        yield f"{execution_id} ({told.accepted[execution_id]}) was accepted and is gone"
    for execution_id, status in told.ends.items():
        if execution_id in known and known[execution_id].status != status:
            yield f"{execution_id} is {known[execution_id].status}, and somebody was told that it had ended {status}"
    for key, ids in told.keys.items():
        if len(ids) > 1:
            yield f"{key} stands for {sorted(ids)}"
    for execution_id, attempt in evidence.marks.effects:
        if execution_id not in known:
            yield f"{execution_id} (attempt {attempt}) ran and is not recorded"
    by_key = [one.idempotency_key for one in evidence.executions if one.idempotency_key is not None]
    if len(by_key) != len(set(by_key)):
        yield "an idempotency key made two executions"


def _ended(execution: Execution, evidence: Evidence, causes: "Causes") -> Iterator[str]:
    """It has ended, for a reason that is true."""
    name = f"{execution.execution_id} ({execution.task_id})"
    if not execution.status.terminal:
        yield f"{name} is {execution.status}"
        return
    for attempt in execution.attempts:
        if attempt.failure is not None and not causes.explains(execution, attempt, attempt.failure):
            yield f"{name}, attempt {attempt.number}: untrue: {_told(attempt.failure)}"
        if attempt.ended_ns is None:
            yield f"{name}, attempt {attempt.number} has no end"
    match execution.status:
        case Status.COMPLETED if execution.task_id in _RETURNS_NUMBER:
            if execution.output != execution.input["number"]:
                yield f"{name} returned {execution.output!r}"
        case Status.FAILED if execution.failure is None:
            yield f"{name} failed without a reason"
        case Status.FAILED if not execution.attempts:
            yield f"{name} failed without an attempt: {_told(execution.failure)}"
        case Status.CANCELLED if not causes.cancelled(execution):
            yield f"{name} was cancelled and nobody had asked for it: {execution.cancel_requested}"
        case _:
            pass


def _ran_once(execution: Execution, evidence: Evidence) -> Iterator[str]:
    """The effect was had once at most where it may not be had twice, and by attempts that are recorded."""
    name = f"{execution.execution_id} ({execution.task_id})"
    effects = evidence.marks.effects
    had = 0
    for attempt in execution.attempts:
        count = effects[execution.execution_id, attempt.number]
        had += count
        if count > 1:
            yield f"{name}, attempt {attempt.number} ran {count} times"
        if count and attempt.failure is not None and attempt.failure.type == _NEVER_DELIVERED:
            yield f"{name}, attempt {attempt.number} ran and is recorded as never delivered"
    recorded = {one.number for one in execution.attempts}
    if any(effects[execution.execution_id, number] for number in range(1, 60) if number not in recorded):
        yield f"{name} ran in an attempt that is not recorded"
    if had > 1 and not execution.idempotent:
        yield f"{name} ran {had} times"
    if execution.status is Status.COMPLETED and not had:
        yield f"{name} completed and did not run"


def _telemetry(execution: Execution, evidence: Evidence, causes: "Causes") -> Iterator[str]:
    """What an attempt said is stored, once and in order, or the attempt says that it may not be."""
    for attempt in execution.attempts:
        one: Try = (execution.execution_id, attempt.number)
        complete = attempt.telemetry == "complete"
        for kind, stored, said in (
            ("lines", evidence.lines.get(one, []), evidence.marks.said.get(one)),
            ("spans", evidence.spans.get(one, []), evidence.marks.traced.get(one)),
        ):
            name = f"{execution.execution_id} ({execution.task_id}), attempt {attempt.number}"
            if len(stored) != len(set(stored)) or stored != sorted(stored):
                yield f"{name}: {kind} are stored twice or out of order: {stored}"
            if complete and stored != list(range(len(stored))):
                yield f"{name} says that its telemetry is complete; its {kind} have a gap: {stored}"
            if complete and said is not None and len(stored) != said:
                yield f"{name} says that its telemetry is complete; {len(stored)} of {said} {kind} are stored"
        if attempt.telemetry == "incomplete" and not causes.silenced(attempt):
            yield f"{execution.execution_id}, attempt {attempt.number}: telemetry incomplete, and nothing had happened"


_RETURNS_NUMBER: Final = {"quick", "again", "slow", "logging", "tracing", "starting"}


class Causes:
    """Whether a failure is what really happened."""

    def __init__(self, told: Told, strikes: Sequence[Strike]) -> None:
        self._told = told
        self._strikes = strikes

    def explains(self, execution: Execution, attempt: Attempt, failure: Failure) -> bool:
        """Whether one of the faults, or the task itself, is the cause that is named."""
        match failure.category:
            case Category.EXCEPTION:
                return _own_failure(execution, failure) or self._refused(execution, attempt, failure)
            case Category.CRASHED:
                return self._killed(failure, "child") and failure.process is not None and failure.process.signal == 9
            case Category.WORKER_LOST:
                return self._lost(attempt, failure)
            case Category.SHUTDOWN:
                return any(one.fault.kind == "restart" for one in self._during(attempt, attempt.worker))
            case Category.TIMEOUT:
                return execution.task_id == "overrunning" or any(
                    one.fault.kind == "stop" for one in self._during(attempt, None)
                )
            case Category.CANCELLED:
                return self.cancelled(execution)
            case _:
                return False

    def cancelled(self, execution: Execution) -> bool:
        """Whether somebody asked for it."""
        if execution.execution_id in self._told.cancelled:
            return True
        return execution.lineage is not None and (execution.cancel_requested or "").startswith(_CALLERS_END)

    def anything(self, attempt: Attempt) -> bool:
        """Whether anybody was struck while it ran, or a little before or after."""
        return any(self._during(attempt, None))

    def silenced(self, attempt: Attempt) -> bool:
        """Whether somebody was struck so that telemetry may be lost: a store for long, or anybody else it passes."""
        if attempt.failure is not None and attempt.failure.category is Category.WORKER_LOST:
            return True
        return any(
            one.fault.seconds >= _OUTAGE_SECONDS or one.fault.target in _PASSED_BY_TELEMETRY
            for one in self._during(attempt, None)
        )

    def _lost(self, attempt: Attempt, failure: Failure) -> bool:
        match failure.type:
            case "NotDelivered":
                return self.anything(attempt)
            case "WorkerDied":
                return self._killed(failure, "worker")
            case "ZygoteDied":
                return self._killed(failure, "zygote")
            case "WorkerReplaced":
                struck = self._during(attempt, attempt.worker)
                return any(one.fault.kind in ("kill", "restart") for one in struck)
            case "LeaseExpired":
                struck = self._during(attempt, attempt.worker)
                return any(one.victim == attempt.worker and one.fault.seconds >= LEASE_SECONDS for one in struck)
            case _:
                return False

    def _refused(self, execution: Execution, attempt: Attempt, failure: Failure) -> bool:
        """Whether a task could not call another because that could not be recorded: it is told so."""
        struck = self._during(attempt, "task-runner")
        full = any(one.fault.kind == "full disk" for one in struck)
        return execution.task_id == "family" and failure.type == "StoreError" and full

    def _killed(self, failure: Failure, target: str) -> bool:
        process = failure.process
        kinds = ("kill", "restart")
        return process is not None and any(
            one.pid == process.pid and one.fault.target == target and one.fault.kind in kinds for one in self._strikes
        )

    def _during(self, attempt: Attempt, victim: str | None) -> Iterable[Strike]:
        """Those of this victim, and of the supervisor, that fell while the attempt was in somebody's hands."""
        began = attempt.started_ns / 1e9
        ended = (attempt.ended_ns or attempt.started_ns) / 1e9
        for one in self._strikes:
            near = one.began <= ended + _AFTERWARDS_SECONDS and one.ended >= began - _AFTERWARDS_SECONDS
            if near and (victim is None or one.victim == victim or one.fault.target == SUPERVISOR):
                yield one


def _own_failure(execution: Execution, failure: Failure) -> bool:
    match execution.task_id:
        case "failing":
            return failure.type == "RuntimeError" and failure.message.startswith("as asked")
        case "family":
            return failure.type.endswith("ExecutionFailedError")
        case _:
            return False


def _told(failure: Failure | None) -> str:
    return "nothing" if failure is None else f"{failure.category}: {failure.type}: {failure.message}"
