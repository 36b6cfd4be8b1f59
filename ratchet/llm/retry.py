"""After an error of an LLM's route: try it again, ask the next route, or give up. Pure."""

from typing import Final

from ratchet.errors import (
    LlmAnswerError,
    LlmCutError,
    LlmError,
    LlmNoCallerError,
    LlmRateLimitedError,
    LlmRefusedError,
    LlmTimeoutError,
)

_FIRST_SECONDS: Final = 0.5
_DELAY_SECONDS_MAX: Final = 20.0
# What is wrong with a provider (its key, its account, its model), and not with the question.
_PROVIDERS_FAULT: Final = (401, 402, 403, 404)


def delay_before_retry(
    error: LlmError, tries: int, *, retries: int, left_seconds: float, chance: float
) -> float | None:
    """Seconds to wait before the same route is tried again; None: not at all.

    Exponential backoff with full jitter; a provider that says when to come back is taken at its word.

    Args:
        error: How the last try ended.
        tries: How many there were.
        retries: How many may follow the first.
        left_seconds: Time until nobody waits for the answer any more.
        chance: From 0 to 1, random.
    """
    if tries > retries or not error.retryable or isinstance(error, (LlmTimeoutError, LlmAnswerError)):
        return None  # one more timeout would cost as much again; whoever answers wrongly has been asked twice already
    asked = error.details.get("retry_after_seconds") if isinstance(error, LlmRateLimitedError) else None
    delay = chance * min(_DELAY_SECONDS_MAX, _FIRST_SECONDS * 2 ** (tries - 1)) if asked is None else float(asked)
    return delay if delay <= _DELAY_SECONDS_MAX and delay < left_seconds else None


def falls_back(error: LlmError) -> bool:
    """Whether another route may answer what this one did not. What was refused is not asked of somebody else."""
    if isinstance(error, LlmRefusedError):
        return error.details.get("status") in _PROVIDERS_FAULT
    return error.retryable or isinstance(error, (LlmAnswerError, LlmCutError, LlmNoCallerError))
