"""`Context`: what a running task can say (logs, progress, spans), ask, and know about its execution.

A context hands what is said to a `Sink` and what is asked to a `Line` (`ratchet.calling`): the child's, which go to the
worker, or those of `ratchet.testing`. Knows nothing of processes or messages.
"""

import os
import sys
import time
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, overload

from ratchet.calling import Calls, Line, NoLine
from ratchet.llm.asking import Llm, Mcp
from ratchet.plain import text

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from ratchet.llm.asking import AsyncLlm, AsyncMcp
    from ratchet.models import Level

OutputT = TypeVar("OutputT")


class Sink(Protocol):
    """Where a context's words go. Every method may be called from any thread."""

    def log(
        self, level: "Level", logger: str, message: object, context: dict[str, Any], error: BaseException | None = None
    ) -> None:
        """One log record; whatever the message is, it is made text."""
        ...

    def progress(self, current: float, total: float | None, message: str | None) -> None:
        """How far the task is."""
        ...

    def entered(self, span: "Span") -> None:
        """A span has just begun."""
        ...

    def span(self, span: "Span") -> None:
        """A span that has just ended."""
        ...


def new_span_id() -> str:
    """16 random hex digits; not from `random`, which the task may have seeded."""
    return os.urandom(8).hex()


class Span:
    """A named, timed part of a task: `with ctx.span("parse", rows=10) as span: span.set("bad", 2)`.

    Spans nest through a context variable: in coroutines and, inside Ratchet, in threads too. An exception that leaves
    the block marks the span as failed and goes on.

    Attributes:
        name: What was timed.
        kind: OpenTelemetry's span kind.
        span_id: 16 hex digits.
        parent_id: The enclosing span, or None for the root.
        attributes: What was said about it.
        start_ns: Nanoseconds since the epoch; 0 before it is entered.
        end_ns: The same; 0 until it is left.
        status: "unset" while open, then "ok" or "error".
        status_message: What went wrong.
    """

    def __init__(
        self, sink: Sink, name: str, attributes: dict[str, Any], root_id: str | None, kind: str = "internal"
    ) -> None:
        self._sink = sink
        self._root_id = root_id
        self._outer: Span | None = None
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self.span_id = new_span_id()
        self.parent_id: str | None = None
        self.start_ns = 0
        self.end_ns = 0
        self.status = "unset"
        self.status_message: str | None = None

    def set(self, key: str, value: object) -> None:
        """Add or replace one attribute."""
        self.attributes[key] = value

    def fail(self, message: str) -> None:
        """Mark the span as failed although no exception leaves it."""
        self.status = "error"
        self.status_message = message

    def __enter__(self) -> Self:
        self._outer = _current.get()
        self.parent_id = self._outer.span_id if self._outer else self._root_id
        _current.set(self)
        self.start_ns = time.time_ns()
        self._sink.entered(self)
        return self

    def begin_beside(self) -> None:
        """Enter it without making it the innermost: for work that goes on between other statements of the task."""
        outer = _current.get()
        self.__enter__()
        _current.set(outer)

    def end_beside(self, error: BaseException | None = None) -> None:
        """Leave it likewise."""
        now = _current.get()
        self.__exit__(None if error is None else type(error), error, None)
        _current.set(now)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end_ns = time.time_ns()
        _current.set(self._outer)
        if error is not None:
            self.fail(f"{type(error).__name__}: {text(error, 1024)}")
        elif self.status == "unset":
            self.status = "ok"
        self._sink.span(self)


_current: ContextVar[Span | None] = ContextVar("ratchet_span", default=None)


def current_span() -> Span | None:
    """The innermost open span of this thread or coroutine."""
    return _current.get()


def resume_span(span: Span | None) -> None:
    """Make a span the innermost open one here: for work that was handed over from elsewhere."""
    _current.set(span)


class Log:
    """`ctx.log("text", key=value)`, and one method a level."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def __call__(self, message: object, /, **context: Any) -> None:
        """Record at level info. Keyword arguments become the record's context."""
        self._sink.log("info", "ctx", message, context)

    def debug(self, message: object, /, **context: Any) -> None:
        """Record at level debug: kept only where the execution is traced."""
        self._sink.log("debug", "ctx", message, context)

    def info(self, message: object, /, **context: Any) -> None:
        """Record at level info."""
        self._sink.log("info", "ctx", message, context)

    def warning(self, message: object, /, **context: Any) -> None:
        """Record at level warn."""
        self._sink.log("warn", "ctx", message, context)

    def error(self, message: object, /, **context: Any) -> None:
        """Record at level error."""
        self._sink.log("error", "ctx", message, context)

    def exception(self, message: object, /, **context: Any) -> None:
        """Record at level error with the exception that is being handled."""
        self._sink.log("error", "ctx", message, context, sys.exception())


class Context:
    """Given to a task that has a parameter annotated with it; its name and place are the author's choice.

    Attributes:
        log: Records log lines; callable, with one method a level.
        llm: Asks LLMs: `ctx.llm.complete("…").text`.
        mcp: Calls other MCP servers: `ctx.mcp.call_tool("search", "lookup", {"words": "…"}).text`.
        execution_id: The execution that runs.
        attempt: Which try this is, from 1.
        task_id: The task that runs.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        execution_id: str,
        attempt: int = 1,
        task_id: str,
        root_span_id: str | None = None,
        line: Line | None = None,
    ) -> None:
        self._sink = sink
        self._root_span_id = root_span_id
        self._calls = Calls(line or NoLine(), self._span)
        self.llm = Llm(self._calls)
        self.mcp = Mcp(self._calls)
        self.log = Log(sink)
        self.execution_id = execution_id
        self.attempt = attempt
        self.task_id = task_id

    def progress(self, current: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the task is: `ctx.progress(3, 10, "third file")`."""
        self._sink.progress(current, total, message)

    def span(self, name: str, /, **attributes: Any) -> Span:
        """A span to enter with `with`; keyword arguments become its attributes."""
        return self._span(name, attributes, "internal")

    @overload
    def run(
        self,
        task: "Callable[..., Coroutine[Any, Any, OutputT]]",
        given: "Mapping[str, Any] | None" = None,
        /,
        *,
        timeout: float | None = None,
    ) -> OutputT: ...

    @overload
    def run(
        self,
        task: "Callable[..., OutputT]",
        given: "Mapping[str, Any] | None" = None,
        /,
        *,
        timeout: float | None = None,
    ) -> OutputT: ...

    @overload
    def run(self, task: str, given: "Mapping[str, Any] | None" = None, /, *, timeout: float | None = None) -> Any: ...

    def run(
        self,
        task: "str | Callable[..., Any]",
        given: "Mapping[str, Any] | None" = None,
        /,
        *,
        timeout: float | None = None,
    ) -> Any:
        """Run another task and return its output: `total = ctx.run(add, {"a": 1, "b": 2})`.

        It becomes an execution of its own, with its own process, log and trace, and belongs to whoever asked for this
        one. It ends when this one ends. While this one waits, it takes up no slot of its worker.

        Args:
            task: The decorated function, or the id of a task in any file.
            given: The input object; models, dates and the like are made JSON.
            timeout: Seconds after which it must have ended; it never gets more than this execution has left.

        Returns:
            The output: where the function is given, as what its return annotation says, else as JSON types. Where an
            event loop runs: a coroutine of that, to be awaited.

        Raises:
            ExecutionFailedError: It failed or was cancelled; `execution_id` and `details` say which, and why.
            UnknownTaskError, BrokenTaskError, InvalidInputError: It cannot be run, or not with this input.
            TooDeepError: Executions call one another deeper than `executions.depth_max`.
            CallError: It could not be called, or did not end in time.
        """
        from ratchet.task_runs import run_task_of  # which needs pydantic; to say something needs nothing

        return run_task_of(self._calls, task, given, timeout)

    def _span(self, name: str, attributes: dict[str, Any], kind: str) -> Span:
        return Span(self._sink, name, attributes, self._root_span_id, kind)


class AsyncContext(Context):
    """What an asynchronous task annotates its context with: the same, with types that say which calls are awaited.

    What a context asks (`run`) blocks in a synchronous task and is awaited where an event loop runs. That is decided
    at each call, whatever the annotation is; only type checkers see the difference between the two classes.
    """

    if TYPE_CHECKING:
        llm: AsyncLlm  # pyright: ignore[reportIncompatibleVariableOverride] - as with `run`
        mcp: AsyncMcp  # pyright: ignore[reportIncompatibleVariableOverride]

    @overload
    def run(
        self,
        task: "Callable[..., Coroutine[Any, Any, OutputT]]",
        given: "Mapping[str, Any] | None" = None,
        /,
        *,
        timeout: float | None = None,
    ) -> "Coroutine[Any, Any, OutputT]": ...

    @overload
    def run(
        self,
        task: "Callable[..., OutputT]",
        given: "Mapping[str, Any] | None" = None,
        /,
        *,
        timeout: float | None = None,
    ) -> "Coroutine[Any, Any, OutputT]": ...

    @overload
    def run(
        self, task: str, given: "Mapping[str, Any] | None" = None, /, *, timeout: float | None = None
    ) -> "Coroutine[Any, Any, Any]": ...

    def run(  # pyright: ignore[reportIncompatibleMethodOverride] - what is awaited is no result; that is the point
        self,
        task: "str | Callable[..., Any]",
        given: "Mapping[str, Any] | None" = None,
        /,
        *,
        timeout: float | None = None,
    ) -> "Coroutine[Any, Any, Any]":
        """`Context.run`, to be awaited."""
        return super().run(task, given, timeout=timeout)
