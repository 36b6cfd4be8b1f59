"""Other executions of the same task: those that failed in the same way, and what differs since one last completed."""

from collections.abc import Sequence
from datetime import UTC, datetime

from ratchet.analysis.corrections.schema_repair import as_json
from ratchet.analysis.corrections.successes import changed_values, difference
from ratchet.analysis.fingerprint import fingerprint
from ratchet.analysis.result import Changes, SimilarFailures, Versions
from ratchet.models import Execution, Failure, Status

_IDS_MAX = 5
_DIFFERENCES_MAX = 5
_VERSION_CHARACTERS = 12


def others_of(execution: Execution, executions: Sequence[Execution]) -> list[Execution]:
    """The other executions of the same task, newest first, each once."""
    found = {one.execution_id: one for one in executions if one.task_id == execution.task_id}
    found.pop(execution.execution_id, None)
    return sorted(found.values(), key=lambda one: (-one.created_ns, one.execution_id))


def completed(others: Sequence[Execution]) -> list[Execution]:
    """Those that completed, in the order given."""
    return [one for one in others if one.status is Status.COMPLETED]


def similar_failures(execution: Execution, failure: Failure, others: Sequence[Execution]) -> SimilarFailures:
    """Those of `others` (newest first) that failed in the same way, and whether one of their inputs worked later."""
    mark = fingerprint(failure)
    alike = [one for one in others if one.failure is not None and fingerprint(one.failure) == mark]
    first = min([execution, *alike], key=lambda one: one.created_ns)
    return SimilarFailures(
        fingerprint=mark,
        count=len(alike),
        same_input=sum(one.input == execution.input for one in alike),
        first_seen=iso(first.created_ns),
        execution_ids=[one.execution_id for one in alike[:_IDS_MAX]],
        later_success=_later_success([execution, *alike], others),
    )


def changed_since(execution: Execution, others: Sequence[Execution]) -> Changes | None:
    """What differs from the last execution that completed before this one; None where there is none."""
    earlier = [one for one in completed(others) if one.created_ns < execution.created_ns]
    if not earlier:
        return None
    last = earlier[0]
    changed = [difference(one) for one in changed_values(last.input, execution.input)]
    version = None
    if last.version != execution.version:
        version = Versions(then=_short(last.version), now=_short(execution.version))
    before, now = _worker(last), _worker(execution)
    changes = Changes(
        execution_id=last.execution_id,
        completed_at=iso(last.ended_ns),
        summary="",
        task_version=version,
        input=changed[:_DIFFERENCES_MAX],
        input_total=len(changed),
        worker=Versions(then=before, now=now) if before != now else None,
    )
    return changes.model_copy(update={"summary": _summary(changes)})


def iso(at_ns: int | None) -> str | None:
    """`2026-07-28T09:30:00.125Z`; None where it is unknown or no time that a calendar has."""
    if at_ns is None:
        return None
    try:
        at = datetime.fromtimestamp(at_ns // 1_000_000 / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _later_success(failed: Sequence[Execution], others: Sequence[Execution]) -> str | None:
    """The execution that this one's input, else a similar one's, completed with afterwards."""
    for one in failed:
        for other in completed(others):
            if other.created_ns > one.created_ns and other.input == one.input:
                return other.execution_id
    return None


def _summary(changes: Changes) -> str:
    parts: list[str] = []
    if changes.task_version is not None:
        parts.append("the task's code changed")
    if changes.input:
        one = changes.input[0]
        more = f" and {changes.input_total - 1} more" if changes.input_total > 1 else ""
        parts.append(f"the input differs at {one.path or '/'} (then {as_json(one.then)}, now {as_json(one.now)}){more}")
    what = "; ".join(parts) or "neither the task's code nor the input changed"
    return f"Since {changes.execution_id} completed, {what}."


def _worker(execution: Execution) -> str | None:
    return execution.attempts[-1].worker if execution.attempts else None


def _short(version: str) -> str:
    return version[:_VERSION_CHARACTERS]
