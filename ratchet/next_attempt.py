"""Whether another attempt follows one that failed, and when: one pure function; and the report of a poison execution.

Three things end attempts, and are counted apart. A *failure* is the task's own word: its policy says how many there may
be. A *death* is a process that died under it, the child's or the worker's: nobody knows what it had done by then, so
only what is idempotent goes on, and not over `DEATHS_MAX` dead processes. A *shutdown* is nobody's fault and counts for
nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ratchet.models import Attempt, Category, Failure, RetryPolicy
from ratchet.retry import WAIT_SECONDS_MAX

DEATHS_MAX: Final = 3
POISON: Final = "PoisonExecution"
NOT_DELIVERED: Final = "NotDelivered"

_FAILURES: Final = frozenset({Category.EXCEPTION, Category.LIMIT, Category.TIMEOUT})
_DEATHS: Final = frozenset({Category.CRASHED, Category.WORKER_LOST})
_SHOWN_CHARACTERS_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Death:
    """A process died under this attempt."""

    attempt: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class Past:
    """What became of an execution's attempts so far.

    Attributes:
        failures: How many failed.
        deaths: Those that processes died under.
    """

    failures: int = 0
    deaths: tuple[Death, ...] = ()

    @classmethod
    def of(cls, attempts: Iterable[Attempt]) -> "Past":
        """What is recorded of these."""
        past = cls()
        for attempt in attempts:
            if attempt.failure is not None:
                past = past.after(attempt.fence, attempt.failure)
        return past

    def after(self, attempt: int, failure: Failure) -> "Past":
        """With one more."""
        if is_death(failure):
            return Past(self.failures, (*self.deaths, Death(attempt, failure)))
        return Past(self.failures + (failure.category in _FAILURES), self.deaths)


@dataclass(frozen=True, slots=True)
class Again:
    """Another attempt follows, so many seconds later."""

    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class GiveUp:
    """None follows: the execution fails with this."""

    failure: Failure


def is_death(failure: Failure) -> bool:
    """Whether a process died under the attempt; one whose worker never got it had none."""
    return failure.category in _DEATHS and failure.type != NOT_DELIVERED


def next_attempt(
    failure: Failure,
    past: Past,
    *,
    policy: RetryPolicy | None,
    idempotent: bool,
    left_seconds: float | None,
    chance: float,
) -> Again | GiveUp:
    """What follows an attempt that failed.

    It waits as its policy says, of which `jitter` is the part that is left to chance; a task that says when it wants to
    be tried again is taken at its word, for up to a day.

    Args:
        failure: How it ended.
        past: All attempts so far, this one included.
        policy: What the task says of failures; None: nothing.
        idempotent: Whether running it twice does no harm.
        left_seconds: Time until the execution must have ended; None: any.
        chance: From 0 to 1, random.
    """
    if is_death(failure) and idempotent and len(past.deaths) >= DEATHS_MAX:
        return GiveUp(poison(past.deaths))
    why_not = _why_not(failure, past, policy, idempotent=idempotent)
    delay = 0.0 if why_not is not None else _delay(failure, past, policy, chance)
    if why_not is None and left_seconds is not None and delay >= left_seconds:
        why_not = f"the next one would start in {delay:.3g} s, and {max(0.0, left_seconds):.3g} s are left"
    if why_not is None:
        return Again(delay)
    return GiveUp(failure if policy is None else failure.model_copy(update={"gave_up": why_not}))


def _why_not(failure: Failure, past: Past, policy: RetryPolicy | None, *, idempotent: bool) -> str | None:
    """Why no other attempt may follow, the time that is left aside; None: one may."""
    match failure.category:
        case Category.WORKER_LOST if failure.type == NOT_DELIVERED:
            return "no worker takes it"
        case Category.WORKER_LOST | Category.SHUTDOWN:
            return None if idempotent else "the task is not idempotent, and nobody knows how far it got"
        case Category.CRASHED if policy is not None:
            return None if idempotent else "its process died, and the task is not idempotent"
        case Category.EXCEPTION | Category.LIMIT | Category.TIMEOUT if policy is not None:
            return _why_no_failure(failure, past.failures, policy, idempotent=idempotent)
        case category:
            return f"no attempt follows one that ended as {category.value}"


def _why_no_failure(failure: Failure, failures: int, policy: RetryPolicy, *, idempotent: bool) -> str | None:
    if failure.category is Category.TIMEOUT:
        if not policy.timeouts:
            return "its policy does not cover TimeoutError"
        if not idempotent:
            return "it was interrupted, and the task is not idempotent"
    elif failure.retryable is None:
        return "the same work would hit the limit again"
    elif not failure.retryable:
        return f"its policy does not cover {failure.type}"
    if failures >= policy.max_attempts:
        return f"it failed {failures} times, as often as it may"
    return None


def _delay(failure: Failure, past: Past, policy: RetryPolicy | None, chance: float) -> float:
    if policy is None or failure.category in (Category.WORKER_LOST, Category.SHUTDOWN):
        return 0.0  # whatever ended it was not the task, so waiting changes nothing
    if failure.retry_after_seconds is not None:
        return min(failure.retry_after_seconds, WAIT_SECONDS_MAX)
    tries = len(past.deaths) if is_death(failure) else past.failures
    waits = policy.waits_seconds
    whole = min(waits[min(max(tries, 1), len(waits)) - 1], WAIT_SECONDS_MAX)
    return whole * (1 - policy.jitter * chance)


def poison(deaths: Sequence[Death]) -> Failure:
    """The report of an execution under which one process after the other died; it is not run again."""
    last = deaths[-1].failure
    told = "; ".join(f"attempt {one.attempt}: {one.failure.message[:_SHOWN_CHARACTERS_MAX]}" for one in deaths)
    return Failure(
        category=Category.POISON,
        type=POISON,
        message=f"{len(deaths)} processes died under it, so it is not tried again. {told}",
        process=last.process,
        details={"deaths": [_death(one) for one in deaths]},
    )


def _death(death: Death) -> dict[str, object]:
    failure = death.failure
    found: dict[str, object] = {
        "attempt": death.attempt,
        "category": failure.category.value,
        "type": failure.type,
        "message": failure.message[:_SHOWN_CHARACTERS_MAX],
    }
    if failure.process is not None:
        found["process"] = failure.process.model_dump(exclude_none=True, exclude={"last_lines"})
    return found
