"""For authors: test a task without Ratchet running.

`RecordingContext` is a context that remembers; `run_task` calls a task the way Ratchet does, with its input and output
checked. A task that needs neither is an ordinary function: call it.
"""

import asyncio
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ratchet.authoring import definition_of
from ratchet.context import Context, Span
from ratchet.errors import CallError, RatchetError
from ratchet.llm.pretend import Tools, answers
from ratchet.llm.script import Rule
from ratchet.models import JsonObject, Level, Model
from ratchet.plain import text
from ratchet.schema import Interface
from ratchet.task_runs import METHOD, pretended_end

OUTPUT_BYTES_MAX = 4 * 1024 * 1024  # the default of limits.output_bytes

__all__ = ["ProgressUpdate", "RecordedLog", "RecordingContext", "Rule", "run_task"]


@dataclass(frozen=True, slots=True)
class RecordedLog:
    """What one `ctx.log` call said."""

    level: Level
    message: str
    context: dict[str, Any] = field(default_factory=dict[str, Any])
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class ProgressUpdate:
    """What one `ctx.progress` call said."""

    current: float
    total: float | None = None
    message: str | None = None


class _Memory:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.logs: list[RecordedLog] = []
        self.spans: list[Span] = []
        self.progress_updates: list[ProgressUpdate] = []

    def log(
        self,
        level: Level,
        logger: str,
        message: object,
        context: dict[str, Any],
        error: BaseException | None = None,
    ) -> None:
        self.logs.append(RecordedLog(level, text(message), context, error))

    def progress(self, current: float, total: float | None, message: str | None) -> None:
        self.progress_updates.append(ProgressUpdate(current, total, message))

    def entered(self, span: Span) -> None:
        """What matters to a test is the span that has ended."""

    def span(self, span: Span) -> None:
        self.spans.append(span)


class _Answers:
    """A line that answers at once, without any process."""

    def __init__(self, answers: Mapping[str, Callable[[JsonObject], Model]]) -> None:
        self._answers = answers

    def start(
        self, method: str, body: JsonObject, *, timeout_seconds: float | None, span_id: str | None
    ) -> Future[JsonObject]:
        del timeout_seconds, span_id
        future: Future[JsonObject] = Future()
        try:
            future.set_result(self._answers[method](body).model_dump(mode="json"))
        except KeyError:
            raise CallError(f"{method} cannot be called: this context is for tests, and answers no such call") from None
        except RatchetError as error:
            future.set_exception(error)
        return future

    def open_stream(
        self, method: str, body: JsonObject, *, timeout_seconds: float | None, span_id: str | None
    ) -> "_Pieces":
        whole = self.start(method.replace("stream", "complete"), body, timeout_seconds=timeout_seconds, span_id=span_id)
        return _Pieces(whole)


class _Pieces:
    """An answer in words, and then the whole of it."""

    def __init__(self, whole: Future[JsonObject]) -> None:
        self._whole = whole
        self._items: list[JsonObject | None] | None = None

    def take(self) -> Future[JsonObject | None]:
        future: Future[JsonObject | None] = Future()
        if (error := self._whole.exception()) is not None:
            future.set_exception(error)
            return future
        if self._items is None:
            made = self._whole.result()
            words: list[str] = re.findall(r"\S+\s*|\s+", made["text"])
            self._items = [*({"text": word} for word in words), {"completion": made}, None]
        future.set_result(self._items.pop(0))
        return future

    def close(self) -> None:
        pass


class RecordingContext(Context):
    """A context for tests: `ctx = RecordingContext(); my_task(ctx, rows=3); assert ctx.logs[0].message == "done"`.

    What the task asks is answered by what is given here: `RecordingContext(llm=[Rule("capital", "Paris")],
    mcp={"search": {"lookup": lambda arguments: "found"}})`.

    Args:
        execution_id: As the task sees it.
        attempt: The same.
        task_id: The same.
        llm: What `ctx.llm` answers: the first rule that fits.
        mcp: Functions by server and tool for `ctx.mcp`: from the arguments to text, or any other JSON.
        runs: Functions by task id for `ctx.run`, from the input to the output; one that raises, fails the execution.

    Attributes:
        logs: What was logged, in order.
        spans: Spans that have ended, in the order they ended; `parent_id` is the `span_id` of the one around it.
        progress_updates: What was said about progress, in order.
    """

    def __init__(
        self,
        *,
        execution_id: str = "test",
        attempt: int = 1,
        task_id: str = "test",
        llm: Sequence[Rule] = (),
        mcp: Tools | None = None,
        runs: Mapping[str, Callable[[JsonObject], Any]] | None = None,
    ) -> None:
        memory = _Memory()
        line = _Answers({**answers(llm, mcp or {}), METHOD: lambda body: pretended_end(runs or {}, body)})
        super().__init__(memory, execution_id=execution_id, attempt=attempt, task_id=task_id, line=line)
        self.logs = memory.logs
        self.spans = memory.spans
        self.progress_updates = memory.progress_updates


def run_task(
    function: Callable[..., Any],
    input: JsonObject | None = None,  # noqa: A002 - what Ratchet calls it everywhere
    *,
    context: Context | None = None,
    output_bytes: int = OUTPUT_BYTES_MAX,
) -> Any:
    """Run a task as Ratchet does: the input is validated by the task's types, the output made JSON and checked.

    Asynchronous tasks run in an event loop of their own; in a test that has one, await the function itself.

    Args:
        function: A function decorated with `@task`.
        input: The input object, as JSON types.
        context: Given to a task that wants one; default: a new `RecordingContext`.
        output_bytes: The largest output that is taken.

    Returns:
        The output as JSON types.

    Raises:
        TaskDefinitionError: It is no task, or its types have no JSON schema.
        InvalidInputError: The input does not fit; `details["problems"]` says where.
        InvalidOutputError: The output does not fit the return annotation, or is not JSON.
    """
    definition = definition_of(function)
    interface = Interface(definition)
    bound = interface.bind(input or {}, context or RecordingContext(task_id=definition.task_id))
    result = function(*bound.args, **bound.kwargs)
    if inspect.iscoroutine(result):
        result = asyncio.run(result)
    return interface.dump(result, output_bytes)
