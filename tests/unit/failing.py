"""Real failures for tests of the analysis: task code is written to a file, runs, and what it raises is described."""

import itertools
import linecache
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ratchet.analysis import Analysis, analyze
from ratchet.models import Attempt, Category, Execution, Failure, JsonObject, LogRecord, Source, Status, Task
from ratchet.runtime.failure import Describer

ANY_OBJECT: JsonObject = {"type": "object"}
SECOND = 1_000_000_000
_numbers = itertools.count(1)


class TaskFile:
    """A file of task code in a task folder.

    Attributes:
        path: Where it is.
        source: Its text.
    """

    def __init__(self, folder: Path, source: str, name: str = "demo.py") -> None:
        self.path = folder / name
        self.source = textwrap.dedent(source)
        self.path.write_text(self.source, encoding="utf-8")
        linecache.checkcache(str(self.path))
        self._describer = Describer([str(folder)], str(self.path), {"memory_bytes": 1 << 30})

    def failure(self, function: str, **given: Any) -> Failure:
        """What calling a function of it fails with."""
        names: dict[str, Any] = {"__name__": "ratchet_task_0123456789abcdef"}
        exec(compile(self.source, str(self.path), "exec"), names)
        try:
            names[function](**given)
        except BaseException as error:  # noqa: BLE001 - describing whatever was raised is the point
            return self._describer.failure(error)
        raise AssertionError(f"{function} did not fail")

    def analysis(
        self,
        function: str,
        given: JsonObject | None = None,
        *,
        schema: JsonObject = ANY_OBJECT,
        logs: Sequence[LogRecord] = (),
        earlier: Sequence[Execution] = (),
        **changes: Any,
    ) -> Analysis:
        """The analysis of an execution of a function of it."""
        execution = failed(self.failure(function, **(given or {})), given, task_id=function, **changes)
        task = task_of(execution, path=str(self.path), schema=schema)
        return analyze(execution, task=task, log_tail=logs, earlier=earlier, sources={str(self.path): self.source})


def failed(failure: Failure | None, given: JsonObject | None = None, **changes: Any) -> Execution:
    """An execution that failed so."""
    number = next(_numbers)
    fields: dict[str, Any] = {
        "execution_id": f"exec_{number:06}",
        "task_id": "demo",
        "version": "a" * 64,
        "status": Status.FAILED,
        "input": given or {},
        "failure": failure,
        "attempts": [Attempt(number=1, fence=1, worker="worker:1", started_ns=number * SECOND)],
        "source": Source(kind="mcp"),
        "created_ns": number * SECOND,
        "started_ns": number * SECOND,
        "ended_ns": number * SECOND + SECOND // 2,
    }
    return Execution(**{**fields, **changes})


def completed(given: JsonObject, **changes: Any) -> Execution:
    """An execution that completed."""
    return failed(None, given, **{"status": Status.COMPLETED, **changes})


def task_of(execution: Execution, *, path: str = "/tasks/demo.py", schema: JsonObject = ANY_OBJECT) -> Task:
    """The task of an execution, unchanged since."""
    return Task(
        task_id=execution.task_id,
        function=execution.task_id,
        path=path,
        version=execution.version,
        input_schema=schema,
    )


def logged(message: str, level: str = "info", **context: Any) -> LogRecord:
    """A log record."""
    body = {"sequence": next(_numbers), "at_ns": 1, "level": level, "logger": "ctx", "message": message}
    return LogRecord.model_validate({**body, "context": context})


def raised(message: str, kind: str = "ValueError", category: Category = Category.EXCEPTION, **fields: Any) -> Failure:
    """A failure without a chain, as a runtime other than the child's would report it."""
    return Failure(category=category, type=kind, message=message, **fields)
