"""Whether it is worth running the same input again: what the class of the error says, and what is known beside it."""

from ratchet.analysis.result import Changes, Retryable, SimilarFailures
from ratchet.analysis.taxonomy import ErrorClass
from ratchet.models import Execution, Task

# Where code or input were wrong, and neither changed, something else must have.
_ABOUT_CODE_OR_INPUT = ("bug", "task_error", "bad_input", "invalid_output")
_TRIES_MAX = 3


def retryable(
    kind: ErrorClass, execution: Execution, task: Task | None, similar: SimilarFailures, changes: Changes | None
) -> Retryable:
    """Whether the same input may succeed, and the strongest reason for it."""
    if task is None:
        return Retryable(value=False, reason="The task is not there any more, or its file cannot be loaded.")
    if kind.name in (*_ABOUT_CODE_OR_INPUT, "task_broken") and task.version != execution.version:
        return Retryable(value=True, reason="The task's code has changed since: the same input may succeed now.")
    if kind.name in _ABOUT_CODE_OR_INPUT and changes is not None and _nothing(changes):
        reason = f"{changes.execution_id} completed with the same code and input, so the cause lies outside of both."
        return Retryable(value=True, reason=reason)
    reason = kind.reason
    if kind.retryable and similar.later_success is not None:
        reason = f"{reason} {similar.later_success} completed with the same input after such a failure."
    if kind.retryable and not execution.idempotent:
        reason += " The task is not declared idempotent: see first that running it twice does no harm."
    return Retryable(value=kind.retryable, reason=reason)


def tried_in_vain(similar: SimilarFailures) -> bool:
    """Whether this input was tried so often without success that one more time is no plan."""
    return similar.same_input >= _TRIES_MAX and similar.later_success is None


def _nothing(changes: Changes) -> bool:
    return changes.task_version is None and changes.input_total == 0
