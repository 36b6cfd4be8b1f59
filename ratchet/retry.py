"""`Retry`: what a task's author says about trying again, and what that says of an exception.

Exceptions are told apart here, in the child, where their classes are; whether another attempt follows, and when, is
decided by the task-runner (`ratchet.next_attempt`) from what this leaves of the policy: numbers.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from ratchet.errors import Permanent, Retryable, TaskDefinitionError

if TYPE_CHECKING:
    from ratchet.models import RetryPolicy

ATTEMPTS_MAX = 100
WAIT_SECONDS_MAX = 86_400.0
_MEMBERS_MAX = 1_000  # of an exception group

ErrorClasses = type[BaseException] | tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True)
class Retry:
    """When an attempt that failed is followed by another: `@task(retry=Retry(5, backoff=2, on=ConnectionError))`.

    Attributes:
        max_attempts: How often the task may fail in all, the first attempt included: 1 to 100.
        backoff: Seconds (or a timedelta) before the second attempt; doubled for each one after it. A sequence gives
            every wait, and its last one is repeated.
        jitter: The part of a wait that is left to chance, 0 to 1: with 0.5 it takes half to all of its time.
        on: Exceptions that are worth another attempt. What ran out of the task's `timeout` counts as a `TimeoutError`.
        never_on: Exceptions that are not, although `on` has them.
        backoff_max: The longest wait that doubling leads to.

    Raises:
        TaskDefinitionError: One of them is not usable.
    """

    max_attempts: int = 3
    backoff: float | timedelta | Sequence[float | timedelta] = 1.0
    jitter: float = 0.5
    on: ErrorClasses = Exception
    never_on: ErrorClasses = ()
    backoff_max: float | timedelta = 300.0

    def __post_init__(self) -> None:
        _attempts(self.max_attempts)
        _part(self.jitter)
        _classes("on", self.on)
        _classes("never_on", self.never_on)
        self.waits_seconds()

    def waits_seconds(self) -> list[float]:
        """The wait before the second attempt, the third, and so on; the last one is repeated. At least one."""
        if isinstance(self.backoff, Sequence):
            if not self.backoff:
                raise TaskDefinitionError("Retry: backoff has no wait in it")
            return [_seconds("backoff", one) for one in self.backoff[: ATTEMPTS_MAX - 1]]
        first, most = _seconds("backoff", self.backoff), _seconds("backoff_max", self.backoff_max)
        waits = [min(first, most)]
        while waits[-1] < most and waits[-1] > 0 and len(waits) < self.max_attempts - 1:
            waits.append(min(2 * waits[-1], most))
        return waits

    def covers(self, error: type[BaseException]) -> bool:
        """Whether this class of exceptions is worth another attempt."""
        return issubclass(error, self.on) and not issubclass(error, self.never_on)


def policy_of(retry: Retry) -> "RetryPolicy":
    """What the task-runner decides from."""
    from ratchet.models import RetryPolicy

    return RetryPolicy(
        max_attempts=retry.max_attempts,
        waits_seconds=retry.waits_seconds(),
        jitter=float(retry.jitter),
        timeouts=retry.covers(TimeoutError),
        on=[one.__name__ for one in _classes("on", retry.on)],
        never_on=[one.__name__ for one in _classes("never_on", retry.never_on)],
    )


def worth_another(retry: Retry | None, error: BaseException) -> bool | None:
    """Whether an exception is worth another attempt; None where neither it nor a policy says anything.

    `Permanent` and `never_on` win over `Retryable`, and that over `on`. Of an exception group one member is enough for
    a no, and for a yes of `on` all of them are needed.
    """
    members = list(_members(error))
    if any(isinstance(one, Permanent) for one in members):
        return False
    if retry is not None and any(isinstance(one, retry.never_on) for one in (error, *members)):
        return False
    if any(isinstance(one, Retryable) for one in members):
        return True
    if retry is None:
        return None
    return isinstance(error, retry.on) or all(isinstance(one, retry.on) for one in members)


def asks_for(error: BaseException) -> float | None:
    """In how many seconds an exception wants the next attempt: the longest that a `Retryable` in it names."""
    named = [one.after_seconds for one in _members(error) if isinstance(one, Retryable)]
    return max((one for one in named if one is not None), default=None)


def says_so_itself(error: BaseException) -> bool:
    """Whether the exception asks for another attempt by itself, whatever a policy says."""
    return any(isinstance(one, Retryable) for one in _members(error))


def _members(error: BaseException) -> Iterator[BaseException]:
    """The exceptions that a group consists of, at whatever depth; of any other exception itself."""
    waiting, seen = [error], 0
    while waiting and seen < _MEMBERS_MAX:
        one = waiting.pop()
        if isinstance(one, BaseExceptionGroup):
            waiting += cast("tuple[BaseException, ...]", one.exceptions)
            continue
        seen += 1
        yield one


def _attempts(given: object) -> None:
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= ATTEMPTS_MAX:
        raise TaskDefinitionError(f"Retry: max_attempts must be 1 to {ATTEMPTS_MAX}, not {given!r}")


def _part(given: object) -> None:
    if not isinstance(given, int | float) or not 0 <= given <= 1:
        raise TaskDefinitionError(f"Retry: jitter is a part of the wait, 0 to 1, not {given!r}")


def _classes(name: str, given: object) -> tuple[type[BaseException], ...]:
    found = cast("tuple[object, ...]", given) if isinstance(given, tuple) else (given,)
    for one in found:
        if not (isinstance(one, type) and issubclass(one, BaseException)):
            raise TaskDefinitionError(f"Retry: {name} is an exception class, or a tuple of them; {one!r} is none")
    return cast("tuple[type[BaseException], ...]", found)


def _seconds(name: str, given: object) -> float:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if not isinstance(seconds, int | float) or not math.isfinite(seconds) or not 0 <= seconds <= WAIT_SECONDS_MAX:
        raise TaskDefinitionError(f"Retry: {name} must be 0 to {WAIT_SECONDS_MAX:g} seconds, not {given!r}")
    return float(seconds)
