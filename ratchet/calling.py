"""What the calls of a context to other processes have in common: a span, a way of waiting, typed errors.

`ctx.run`, and whatever else a task asks of Ratchet, is one method here: `Calls.make`. It goes out through a `Line`: the
child's (`ratchet.runtime.calls`), or the one that answers in tests (`ratchet.testing`). Knows nothing of processes.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ratchet.errors import CallError

if TYPE_CHECKING:
    from ratchet.context import Span

OUTSTANDING_MAX = 256  # calls of one execution at a time
STREAM_ITEMS = 64  # items of a stream that are on their way to a task that has not taken them

ReplyT = TypeVar("ReplyT")
Body = dict[str, Any]


class Line(Protocol):
    """Carries calls out of the task and their answers back. Any thread may use it."""

    def start(self, method: str, body: Body, *, timeout_seconds: float | None, span_id: str | None) -> "Future[Body]":
        """Begin a call; cancelling the future withdraws it.

        Args:
            method: A row of the worker's table (`actors/worker/relay.py`).
            body: The request, as JSON types, without what the worker says of the caller.
            timeout_seconds: After this it is given up; None: with the attempt.
            span_id: The span that makes it.

        Returns:
            A future with the body of the reply, or the error as `ratchet.errors` has it.

        Raises:
            CallError: Nothing can be called from here, or too much is outstanding.
        """
        ...

    def open_stream(self, method: str, body: Body, *, timeout_seconds: float | None, span_id: str | None) -> "Items":
        """Begin a stream; arguments and errors as of `start`."""
        ...


class Items(Protocol):
    """The items of one stream, for one reader."""

    def take(self) -> "Future[Body | None]":
        """The next item; None after the last one. What the callee raised, the future raises."""
        ...

    def close(self) -> None:
        """No more is wanted: the callee hears it, unless it has ended."""
        ...


class NoLine:
    """The line of a context that nobody answers."""

    def start(self, method: str, body: Body, *, timeout_seconds: float | None, span_id: str | None) -> "Future[Body]":
        """Refuse.

        Raises:
            CallError: Always.
        """
        del body, timeout_seconds, span_id
        raise CallError(f"{method} cannot be called: this context belongs to no execution that Ratchet runs")

    def open_stream(self, method: str, body: Body, *, timeout_seconds: float | None, span_id: str | None) -> Items:
        """Refuse likewise."""
        self.start(method, body, timeout_seconds=timeout_seconds, span_id=span_id)
        raise AssertionError("it has refused")


class Calls:
    """Makes calls for a context.

    Args:
        line: What carries them.
        span: Makes a span of the context: takes its name, attributes and kind.
    """

    def __init__(self, line: Line, span: "Callable[[str, dict[str, Any], str], Span]") -> None:
        self._line = line
        self._span = span

    def make(
        self,
        method: str,
        body: Body,
        read: "Callable[[Body, Span], ReplyT]",
        *,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        timeout_seconds: float | None = None,
    ) -> ReplyT:
        """One call under a span of its own, made where there is no running event loop, else for `await`.

        What is returned inside a running event loop is a coroutine of the result instead of the result, whatever the
        type says (`AsyncContext` says it right): nothing blocks a loop, and an `await` that was forgotten is warned of
        in the log of the execution.

        Args:
            method: A row of the worker's table.
            body: The request as JSON types.
            read: Makes the result of the reply; may say more about the span. What it raises, the call raises.
            name: Of the span.
            attributes: Of the span.
            timeout_seconds: After this the call fails; None: it may take as long as the attempt.

        Raises:
            RatchetError: As the callee raised it; `CallError` where it was the way there that failed.
        """
        span = self._span(name, dict(attributes or {}), "client")
        if _in_event_loop():
            return self._awaited(method, body, read, span, timeout_seconds)  # pyright: ignore[reportReturnType]
        with span:
            future = self._line.start(method, body, timeout_seconds=timeout_seconds, span_id=span.span_id)
            try:
                reply = future.result()
            except BaseException:
                future.cancel()  # without effect on one that has ended
                raise
            return read(reply, span)

    def open_stream(
        self, method: str, body: Body, *, name: str, attributes: Mapping[str, Any], timeout_seconds: float | None
    ) -> "tuple[Items, Span]":
        """Begin a stream, and the span of it, which the caller ends; arguments as of `make`."""
        span = self._span(name, dict(attributes), "client")
        span.begin_beside()
        try:
            return self._line.open_stream(method, body, timeout_seconds=timeout_seconds, span_id=span.span_id), span
        except BaseException as error:
            span.end_beside(error)
            raise

    async def _awaited(
        self,
        method: str,
        body: Body,
        read: "Callable[[Body, Span], ReplyT]",
        span: "Span",
        timeout_seconds: float | None,
    ) -> ReplyT:
        with span:
            future = self._line.start(method, body, timeout_seconds=timeout_seconds, span_id=span.span_id)
            return read(await asyncio.wrap_future(future), span)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
