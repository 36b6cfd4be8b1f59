"""A page of an execution's log as an answer: what matters first, repeated lines once with their count. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from actors.mcp_front.answers.answer import (
    LIST_CHARACTERS_MAX,
    TEXT_CHARACTERS_MAX,
    Answer,
    clip,
    clip_start,
    paragraphs,
)
from actors.mcp_front.tools.moments import iso
from actors.mcp_front.wording import Wording
from ratchet.analysis import logged_suggestions
from ratchet.bodies.telemetry import LogPage, StoredLogRecord
from ratchet.logsummary import Repeated, collapse, template
from ratchet.models import Execution, JsonObject, LogRecord, Status

Format = Literal["concise", "detailed"]

DETAILED_CHARACTERS_MAX = 40_000
_COUNT_CHARACTERS = 100  # what attempt, count, last_timestamp and the like add to an entry
_CONCISE_MESSAGE_MAX = 500
_CONCISE_CONTEXT_MAX = 400
_CONCISE_STACK_MAX = 1_500
_DETAILED_MESSAGE_MAX = 8_000
_LINE_MAX = 200


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was read for one answer.

    Attributes:
        page: The records asked for.
        shown: How many of them the answer shows.
        first_error: The first record of level error of the whole log, wherever it is.
        last: The newest records, where the page does not reach them.
        preceding: What came right before the first error, of whatever level, oldest first.
    """

    page: LogPage
    shown: int
    first_error: StoredLogRecord | None = None
    last: Sequence[StoredLogRecord] = ()
    preceding: Sequence[StoredLogRecord] = ()


def room(records: Sequence[StoredLogRecord], form: Format, *, failed: bool = False) -> int:
    """How many of these records one answer can show; at least one where there is any.

    Args:
        records: Those that were read.
        form: Of the answer.
        failed: Whether the execution failed.
    """
    left = _characters_max(form)
    known: set[tuple[int, str, str, str]] = set()
    for index, record in enumerate(records):
        key = (record.attempt, record.level, record.logger, template(record.message))
        if form == "concise" and key in known:
            continue
        known.add(key)
        left -= (
            len(json.dumps(_entry(Repeated(record.message, 1, record, record), form, failed=failed)))
            + _COUNT_CHARACTERS
        )
        if left < 0 and index:
            return index
    return len(records)


def logs(execution: Execution, fetched: Fetched, wording: Wording, form: Format) -> Answer:
    """The answer of `get_execution_logs`."""
    records = fetched.page.records[: fetched.shown]
    groups = _collapsed(records) if form == "concise" else [Repeated(one.message, 1, one, one) for one in records]
    entries = [_entry(group, form, failed=execution.status is Status.FAILED) for group in groups]
    if len(execution.attempts) > 1:
        entries = [{"attempt": group.first.attempt, **entry} for group, entry in zip(groups, entries, strict=True)]
    more = fetched.page.more or fetched.shown < len(fetched.page.records)
    summary = _summary(execution, fetched, records)
    structured: JsonObject = {
        "execution_id": execution.execution_id,
        "status": execution.status.value,
        "logs": entries,
        "summary": summary,
        "next_cursor": fetched.page.next_cursor,
        "more": more,
        "next": _next(execution, fetched, wording, more=more),
    }
    told = fetched.preceding if fetched.first_error not in records else ()
    head = _summary_text(execution, summary, [_brief(one) for one in told])
    body_max = (TEXT_CHARACTERS_MAX if form == "concise" else DETAILED_CHARACTERS_MAX) - len(head) - 500
    body = clip("\n".join(map(_text, entries)), body_max)
    text = paragraphs([head, body, structured["next"]])
    return Answer(structured, text, characters_max=_text_max(form))


def _collapsed(records: Sequence[StoredLogRecord]) -> list[Repeated[StoredLogRecord]]:
    """Every distinct line of an attempt once."""
    attempts = groupby(records, key=lambda record: record.attempt)
    return [group for _, said in attempts for group in collapse(list(said))]


def _characters_max(form: Format) -> int:
    return LIST_CHARACTERS_MAX - 1_500 if form == "concise" else DETAILED_CHARACTERS_MAX  # the rest: the summary


def _text_max(form: Format) -> int:
    return TEXT_CHARACTERS_MAX if form == "concise" else DETAILED_CHARACTERS_MAX


def _entry(group: Repeated[StoredLogRecord], form: Format, *, failed: bool) -> JsonObject:
    record, concise = group.first, form == "concise"
    message_max = _CONCISE_MESSAGE_MAX if concise else _DETAILED_MESSAGE_MAX
    entry: JsonObject = {
        "timestamp": iso(record.at_ns),
        "level": record.level,
        "logger": record.logger,
        "message": clip(group.template, message_max),
    }
    if group.count > 1:
        entry |= {
            "count": group.count,
            "last_timestamp": iso(group.last.at_ns),
            "example": clip(record.message, _LINE_MAX),
        }
    if record.context:
        context = json.dumps(record.context)
        if not concise or len(context) <= _CONCISE_CONTEXT_MAX:
            entry["context"] = record.context
        else:
            entry["context_text"] = clip(context, _CONCISE_CONTEXT_MAX)
    if record.error is not None or record.stack_trace is not None:
        entry["error_info"] = _error_info(record, concise=concise, failed=failed)
    return entry


def _error_info(record: LogRecord, *, concise: bool, failed: bool) -> JsonObject:
    info: JsonObject = {}
    if record.error is not None:
        info |= {"type": record.error.type, "message": clip(record.error.message, _CONCISE_MESSAGE_MAX)}
    if record.stack_trace is not None:
        stack_max = _CONCISE_STACK_MAX if concise else _DETAILED_MESSAGE_MAX
        info["stack_trace"] = clip_start(record.stack_trace, stack_max)
    if record.error is not None and (advice := logged_suggestions(record.error, failed=failed)):
        info["suggestions"] = advice
    return info


def _summary(execution: Execution, fetched: Fetched, shown: Sequence[StoredLogRecord]) -> JsonObject:
    counts = fetched.page.counts
    summary: JsonObject = {"total": sum(counts.values()), "counts": counts, "shown": len(shown)}
    if (error := fetched.first_error) is not None:
        summary["first_error"] = {
            "timestamp": iso(error.at_ns),
            "logger": error.logger,
            "message": clip(error.message, _CONCISE_MESSAGE_MAX),
            "preceding": [_brief(one) for one in fetched.preceding],
        }
        if error.error is not None:
            summary["first_error"]["type"] = error.error.type
    if fetched.last:
        summary["last"] = [_brief(one) for one in fetched.last]
    if any(one.telemetry == "incomplete" for one in execution.attempts):
        summary["incomplete"] = True
    if execution.logs_pruned_ns is not None:
        summary["pruned_at"] = iso(execution.logs_pruned_ns)
    return summary


def _brief(record: LogRecord) -> str:
    return f"{record.level}: {clip(record.message, _LINE_MAX)}"


def _summary_text(execution: Execution, summary: JsonObject, preceding: Sequence[str]) -> str:
    counts = ", ".join(f"{count} {level}" for level, count in summary["counts"].items() if count)
    error = summary.get("first_error")
    return paragraphs(
        [
            f"{execution.task_id} ({execution.status.value}): {summary['total']} log records"
            + (f" ({counts}), {summary['shown']} of them here." if counts else "."),
            "Some records were lost with the process that made them." if summary.get("incomplete") else None,
            f"The log was removed at {summary['pruned_at']} (`retention.logs`)." if "pruned_at" in summary else None,
            f"First error, {error['timestamp']}: {error['message']}" if error else None,
            "Before it:\n" + "\n".join(f"  {one}" for one in preceding) if preceding else None,
            "Last records:\n" + "\n".join(f"  {one}" for one in summary["last"]) if "last" in summary else None,
        ]
    )


def _text(entry: JsonObject) -> str:
    attempt = f"[attempt {entry['attempt']}] " if "attempt" in entry else ""
    text = f"{attempt}{entry['timestamp']} {entry['level']} {entry['logger']}: {entry['message']}"
    if "count" in entry:
        text += f" [{entry['count']} times until {entry['last_timestamp']}; the first: {entry['example']}]"
    if "context" in entry:
        text += f" {json.dumps(entry['context'], ensure_ascii=False)}"
    elif "context_text" in entry:
        text += f" {entry['context_text']}"
    if info := entry.get("error_info"):
        if "type" in info:
            text += f"\n  {info['type']}: {info['message']}"
        if "stack_trace" in info:
            text += "\n  " + info["stack_trace"].rstrip().replace("\n", "\n  ")
        text += "".join(f"\n  Suggestion: {one}" for one in info.get("suggestions", ()))
    return text


def _next(execution: Execution, fetched: Fetched, wording: Wording, *, more: bool) -> str | None:
    cursor = fetched.page.next_cursor
    if more:
        return f"For the records that follow make the same call with cursor {json.dumps(cursor)}."
    if not execution.status.terminal:
        follow = wording.follow(execution.execution_id)
        return f"It is {execution.status.value}: more may follow. To wait for its end call {follow}."
    if not fetched.page.records and sum(fetched.page.counts.values()):
        return "Records exist, but none matches: leave out level, search or cursor."
    return None
