"""A page of executions as an answer. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from actors.mcp_front.answers.answer import LIST_CHARACTERS_MAX, Answer, clip, fitting, paragraphs
from actors.mcp_front.answers.execution_answers import asks_of, next_attempt_of
from actors.mcp_front.naming import ToolNames
from actors.mcp_front.tools.moments import iso
from ratchet.models import Execution, JsonObject, Status

_INPUT_CHARACTERS_MAX = 1_000
_MESSAGE_CHARACTERS_MAX = 200


def listed(executions: Sequence[Execution]) -> tuple[list[JsonObject], list[str]]:
    """As many of a page's executions as one answer has room for: structured rows and lines of text."""
    rows = [_row(one) for one in executions]
    lines = [_line(one) for one in executions]
    taken = fitting(rows, [len(json.dumps(row)) for row in rows], LIST_CHARACTERS_MAX)
    shown = fitting(taken, [len(one) + 1 for one in lines[: len(taken)]], LIST_CHARACTERS_MAX)
    return rows[: len(shown)], lines[: len(shown)]


def listing(rows: list[JsonObject], lines: list[str], *, next_cursor: str | None, names: ToolNames) -> Answer:
    """The answer of `list_executions`."""
    advice = None
    if next_cursor is not None:
        advice = f"For more make the same call with cursor {json.dumps(next_cursor)}."
    elif not rows:
        run = f" To run a task call {names.advertised('execute_task')}." if names.offers("execute_task") else ""
        advice = f"No execution matches.{run}"
    structured: JsonObject = {"executions": rows, "next_cursor": next_cursor, "next": advice}
    return Answer(structured, paragraphs([*lines, advice]))


def _row(execution: Execution) -> JsonObject:
    row: JsonObject = {
        "execution_id": execution.execution_id,
        "task_id": execution.task_id,
        "status": execution.status.value,
        "duration_ms": execution.duration_ms,
        "created_at": iso(execution.created_ns),
        "started_at": iso(execution.started_ns),
        "ended_at": iso(execution.ended_ns),
        "source": {"kind": execution.source.kind, "client": execution.source.client},
    }
    if execution.asks:
        row["asks"] = asks_of(execution)[:1]
    if execution.next_attempt is not None:
        row["next_attempt"] = next_attempt_of(execution.next_attempt)
    for name, value in (("input", execution.input), ("metadata", execution.metadata)):
        _add_bounded(row, name, value)
    if execution.failure is not None and execution.status is Status.FAILED:
        row["error_type"] = execution.failure.type
        row["error_category"] = execution.failure.category.value
        row["error_message"] = clip(execution.failure.message, _MESSAGE_CHARACTERS_MAX)
    return row


def _add_bounded(row: JsonObject, name: str, value: Any) -> None:
    if name == "metadata" and not value:
        return
    if len(json.dumps(value)) <= _INPUT_CHARACTERS_MAX:
        row[name] = value
    else:
        row[f"{name}_truncated"] = True


def _line(execution: Execution) -> str:
    parts = [iso(execution.created_ns) or "", execution.execution_id, execution.task_id, execution.status.value]
    if execution.duration_ms is not None:
        parts.append(f"{execution.duration_ms:g} ms")
    if execution.asks:
        parts.append(f"asks its caller: {clip(execution.asks[0].text, _MESSAGE_CHARACTERS_MAX)}")
    if execution.failure is not None and execution.status is Status.FAILED:
        parts.append(f"{execution.failure.type}: {clip(execution.failure.message, _MESSAGE_CHARACTERS_MAX)}")
    return "  ".join(parts)
