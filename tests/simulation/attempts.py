"""What must be so of an execution's attempts: how many there are, that they follow one another, and when."""

from itertools import pairwise

from ratchet.models import Category, Execution
from ratchet.next_attempt import DEATHS_MAX, is_death
from tests.simulation.tasks import IDEMPOTENT, POLICIES
from tests.simulation.truth import Ran, Truth

_SHORT_SECONDS = 0.001  # what the clocks of a machine may differ by


def wrong_with_attempts(execution: Execution, truth: Truth) -> list[str]:
    """In words."""
    ran = {fence: one for (key, fence), one in sorted(truth.ran.items()) if key == execution.execution_id}
    found = [*_too_many(execution)]
    fences = [one.fence for one in execution.attempts]
    if fences != sorted(set(fences)):
        found.append(f"has attempts {fences}")
    if execution.task_id not in IDEMPOTENT:
        found += _ran_anew(ran)
        raised = sum(one.ended == "raised" for one in ran.values())
        allowed = raised + 1 if execution.task_id in POLICIES else 1
        if truth.effects[execution.execution_id] > allowed:
            found.append(f"is not idempotent and had its effect {truth.effects[execution.execution_id]} times")
    if not truth.clock_set:
        found += _too_early(execution, ran)
    return found


def _too_many(execution: Execution) -> list[str]:
    failures = [one.failure for one in execution.attempts if one.failure is not None]
    failed = sum(one.category in (Category.EXCEPTION, Category.TIMEOUT) for one in failures)
    died = sum(map(is_death, failures))
    policy = execution.retry
    allowed = 1 if policy is None else policy.max_attempts
    found = [f"failed {failed} times and may {allowed} times"] if failed > allowed else []
    return [*found, f"{died} processes died under it"] if died > DEATHS_MAX else found


def _ran_anew(ran: dict[int, Ran]) -> list[str]:
    """An attempt of what is not idempotent is followed by another only once its task has raised."""
    return [
        f"is not idempotent, and attempt {after} began though attempt {before} {ran[before].ended or 'runs'}"
        for before, after in pairwise(ran)
        if ran[before].ended != "raised" or ran[before].ended_at > ran[after].began_at
    ]


def _too_early(execution: Execution, ran: dict[int, Ran]) -> list[str]:
    """The wait between two attempts is the one that the first of them, or the policy, asked for."""
    found: list[str] = []
    ended = {one.fence: one.failure for one in execution.attempts}
    for before, after in pairwise(ran):
        failure, policy = ended.get(before), execution.retry
        if failure is None or policy is None or failure.category is not Category.EXCEPTION:
            continue
        asked = failure.retry_after_seconds
        least = min(policy.waits_seconds) * (1 - policy.jitter) if asked is None else asked
        waited = ran[after].began_at - ran[before].ended_at
        if waited < least - _SHORT_SECONDS:
            found.append(f"attempt {after} began {waited:.3f} s after attempt {before}, which wanted {least:g} s")
    return found
