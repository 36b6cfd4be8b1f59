"""Executions, log records and spans to make answers of."""

from typing import Any

from actors.mcp_front.links import Links
from actors.mcp_front.naming import ToolNames
from actors.mcp_front.wording import Wording
from ratchet.bodies.telemetry import StoredLogRecord, StoredSpan
from ratchet.models import (
    Attempt,
    Category,
    ExceptionInfo,
    Execution,
    Failure,
    Frame,
    Level,
    Source,
    Status,
)

START_NS = 1_785_231_000_000_000_000
MS = 1_000_000
WORDING = Wording(ToolNames(), Links("http://127.0.0.1:8090"), 55.0)


def execution(status: Status = Status.COMPLETED, **changes: Any) -> Execution:
    """An execution that took 1.5 s."""
    ended = START_NS + 1500 * MS if status.terminal else None
    fields: dict[str, Any] = {
        "execution_id": "exec_1",
        "task_id": "validate-csv",
        "version": "v1",
        "status": status,
        "input": {"file": "a.csv"},
        "attempts": [Attempt(number=1, fence=1, worker="worker:1", started_ns=START_NS, ended_ns=ended)],
        "source": Source(kind="mcp"),
        "created_ns": START_NS,
        "started_ns": START_NS,
        "ended_ns": ended,
    }
    return Execution(**{**fields, **changes})


def failure(category: Category = Category.EXCEPTION, **changes: Any) -> Failure:
    """A failure with a cause, a frame in the task and one in a library."""
    frames = [
        Frame(file="/tasks/csv.py", line=12, function="parse", source="    return int(cell)\n", in_task=True),
        Frame(file="/lib/numbers.py", line=3, function="convert"),
    ]
    chain = [
        ExceptionInfo(type="RowError", message="row 7 is bad", frames=frames),
        ExceptionInfo(type="ValueError", message="invalid literal", relation="cause"),
    ]
    fields: dict[str, Any] = {
        "category": category,
        "type": "RowError",
        "message": "row 7 is bad",
        "chain": chain,
        "stack_trace": "Traceback …\nRowError: row 7 is bad\n",
    }
    return Failure(**{**fields, **changes})


def record(sequence: int, message: str, level: Level = "info", **changes: Any) -> StoredLogRecord:
    """A log record; one a millisecond."""
    fields: dict[str, Any] = {
        "attempt": 1,
        "sequence": sequence,
        "at_ns": START_NS + sequence * MS,
        "level": level,
        "logger": "ctx",
        "message": message,
    }
    return StoredLogRecord(**{**fields, **changes})


def span(span_id: str, start_ms: int, end_ms: int, parent_id: str | None = None, **changes: Any) -> StoredSpan:
    """A span between two moments."""
    fields: dict[str, Any] = {
        "attempt": 1,
        "sequence": 0,
        "span_id": span_id,
        "parent_id": parent_id,
        "name": f"span {span_id}",
        "start_ns": START_NS + start_ms * MS,
        "end_ns": START_NS + end_ms * MS,
        "status": "ok",
    }
    return StoredSpan(**{**fields, **changes})
