"""What the SDK raises, and what that means to whoever asked."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx2

from ratchet.errors import (
    LlmAnswerError,
    LlmCutError,
    LlmError,
    LlmRateLimitedError,
    LlmRefusedError,
    LlmTimeoutError,
    LlmUnavailableError,
)

_SAID_CHARACTERS_MAX: Final = 500
# 408 and 409 are what servers say that are about to be well again.
_TRANSIENT: Final = (408, 409)
_NO_MONEY: Final = ("insufficient_quota", "billing_hard_limit_reached")


@contextmanager
def translated(route: str) -> Generator[None]:
    """Raise the SDK's errors as ours."""
    import openai

    try:
        yield
    except openai.APITimeoutError:
        raise LlmTimeoutError(f"{route} did not answer in time", details={"route": route}) from None
    except openai.APIConnectionError as error:
        raise _connection(route, error.__cause__ or error) from None
    except openai.APIStatusError as error:
        raise status_error(route, error.status_code, error.code, error.message, error.response.headers) from None
    except httpx2.TimeoutException:
        raise LlmTimeoutError(f"{route} fell silent in the middle of its answer", details={"route": route}) from None
    except httpx2.HTTPError as error:
        raise _connection(route, error) from None
    except (openai.APIError, ValueError) as error:
        raise malformed(route, str(error)[:_SAID_CHARACTERS_MAX]) from None


def status_error(route: str, status: int, code: str | None, said: str, headers: Mapping[str, str]) -> LlmError:
    """The error that an HTTP status stands for.

    Args:
        route: Who answered so.
        status: 400 or more.
        code: The provider's own word for it.
        said: Its message.
        headers: Of the answer.
    """
    details: dict[str, Any] = {"route": route, "status": status}
    message = f"{route} answered {status}: {said[:_SAID_CHARACTERS_MAX]}"
    if status == 429 and code in _NO_MONEY:
        return LlmRefusedError(message, details={**details, "status": 402})
    if status == 429:
        if (seconds := retry_after(headers)) is not None:
            details["retry_after_seconds"] = seconds
        return LlmRateLimitedError(message, details=details)
    if status >= 500 or status in _TRANSIENT:
        return LlmUnavailableError(message, details=details)
    return LlmRefusedError(message, details=details)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to wait; None where it does not say, or gives a date."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def malformed(route: str, why: str) -> LlmAnswerError:
    """What came is no answer."""
    return LlmAnswerError(f"the answer of {route} cannot be used: {why}", details={"route": route})


def refused_content(route: str, said: str | None) -> LlmRefusedError:
    """The model, or a filter behind it, will not answer."""
    why = said[:_SAID_CHARACTERS_MAX] if said else "its content filter ended the answer"
    return LlmRefusedError(f"{route} does not answer this: {why}", details={"route": route})


def _connection(route: str, cause: BaseException) -> LlmError:
    details = {"route": route}
    if isinstance(cause, (httpx2.RemoteProtocolError, httpx2.ReadError)):
        return LlmCutError(f"the answer of {route} ended in the middle: {cause}", details=details)
    return LlmUnavailableError(f"{route} cannot be reached: {type(cause).__name__}: {cause}", details=details)
