"""An execution as an answer: run, status, cancel. Pure.

A text is cut to what a model can take in; the structured output is whole as long as the wire can carry it, because the
next task may need it.
"""

import json
from collections.abc import Sequence

from actors.mcp_front.answers.answer import STRUCTURED_BYTES_MAX, Answer, clip, compact, paragraphs, wire_bytes
from actors.mcp_front.answers.failures import error_of, error_text, next_after_failure
from actors.mcp_front.tools.moments import iso
from actors.mcp_front.wording import Wording
from ratchet.models import (
    Attempt,
    Execution,
    Failure,
    JsonObject,
    Lineage,
    NextAttempt,
    OpenAsk,
    Progress,
    Source,
    Status,
)

OUTPUT_TEXT_CHARACTERS_MAX = 5_500
_INPUT_TEXT_CHARACTERS_MAX = 600
_INPUT_BYTES_MAX = 48 * 1024
_MESSAGE_CHARACTERS_MAX = 200
_LATE_CHARACTERS_MAX = 200
_ATTEMPTS_MAX = 5
_ASKS_MAX = 5


def ran(execution: Execution, wording: Wording) -> Answer:
    """The answer of `execute_task`."""
    structured, parts = _outcome(execution, wording)
    return _answer(execution, structured, [_headline(execution), *parts, _next(structured)])


def status(
    execution: Execution,
    wording: Wording,
    *,
    output_offset: int = 0,
    reruns: Sequence[Execution] = (),
    called: Sequence[Execution] = (),
) -> Answer:
    """The answer of `get_execution_status`.

    Args:
        execution: The execution.
        wording: The front's.
        output_offset: Where in the JSON text of the output the text shown begins.
        reruns: Executions whose metadata names this one as their original, newest first.
        called: Executions that its task called, newest first.
    """
    structured, parts = _outcome(execution, wording, output_offset=output_offset)
    structured |= _record(execution)
    if reruns:
        structured["reruns"] = [{"execution_id": one.execution_id, "status": one.status.value} for one in reruns]
    if called:
        structured["called"] = [
            {"execution_id": one.execution_id, "task_id": one.task_id, "status": one.status.value} for one in called
        ]
    _fit(structured)
    told = [
        *_details(execution, structured),
        f"Run again as {', '.join(f'{one.execution_id} ({one.status})' for one in reruns)}" if reruns else None,
        f"Called {', '.join(f'{one.task_id} {one.execution_id} ({one.status})' for one in called)}" if called else None,
    ]
    return _answer(execution, structured, [_headline(execution), *parts, *told, _next(structured)])


def _record(execution: Execution) -> JsonObject:
    """What is stored of an execution beside its outcome; what it does not have is left out."""
    found: JsonObject = {
        "version": execution.version,
        "trace": execution.trace,
        "priority": execution.priority,
        "source": _source(execution.source),
        "attempts": [_attempt(one, execution.version) for one in execution.attempts[-_ATTEMPTS_MAX:]],
        "created_at": iso(execution.created_ns),
        "started_at": iso(execution.started_ns),
        "ended_at": iso(execution.ended_ns),
    }
    if execution.deadline_ns is not None:
        found["deadline_at"] = iso(execution.deadline_ns)
    for name in ("waiting_for", "cancel_requested", "idempotency_key"):
        if (value := getattr(execution, name)) is not None:
            found[name] = value
    if execution.metadata:
        found["metadata"] = execution.metadata
    if execution.lineage is not None:
        found["called_by"] = _caller(execution.lineage)
    if wire_bytes(compact(execution.input)) <= _INPUT_BYTES_MAX:
        return {**found, "input": execution.input}
    return {**found, "input_truncated": True}


def _details(execution: Execution, structured: JsonObject) -> list[str | None]:
    """The same in words; None where there is nothing to say."""
    return [
        f"Input: {clip(compact(execution.input), _INPUT_TEXT_CHARACTERS_MAX)}",
        _times(structured),
        f"Waiting: {execution.waiting_for}" if execution.waiting_for and execution.next_attempt is None else None,
        f"Cancel requested: {execution.cancel_requested}" if execution.cancel_requested is not None else None,
        f"Metadata: {clip(compact(execution.metadata), _INPUT_TEXT_CHARACTERS_MAX)}" if execution.metadata else None,
        _caller_text(execution.lineage),
        f"Attempts: {len(execution.attempts)}" if len(execution.attempts) > 1 else None,
    ]


def cancelled(execution: Execution, wording: Wording) -> Answer:
    """The answer of `cancel_execution`."""
    structured = _core(execution, wording)
    rung = execution.attempts[-1].stopped_by if execution.attempts else None
    if execution.status is Status.CANCELLED:
        how = {
            None: _cancelled_between(execution),
            "cooperative": "The task was asked to stop and did.",
            "term": "The task did not react to the request; SIGTERM ended its process.",
            "kill": "The task reacted neither to the request nor to SIGTERM; SIGKILL ended its processes.",
        }[rung]
    elif execution.status.terminal:
        how = f"It had ended already: {execution.status.value}."
    else:
        how = "It was asked to stop and has not ended yet."
        structured["next"] = f"Call {wording.follow(execution.execution_id)}."
    structured |= {"stopped_by": rung, "message": how}
    return Answer(structured, paragraphs([_headline(execution), how, _next(structured)]))


def _cancelled_between(execution: Execution) -> str:
    """Of an execution that was cancelled while nothing of it ran, as far as is known."""
    if not execution.attempts:
        return "It was cancelled before it ran."
    last = execution.attempts[-1].failure
    if last is not None and execution.failure is None:
        return f"It was cancelled while it waited for another attempt, after {last.type}."
    return "It was cancelled."


def _answer(execution: Execution, structured: JsonObject, parts: Sequence[str | None]) -> Answer:
    return Answer(structured, paragraphs(parts), failed=execution.status is Status.FAILED)


def _core(execution: Execution, wording: Wording) -> JsonObject:
    asks = {"asks": asks_of(execution)} if execution.asks else {}
    following = {"next_attempt": next_attempt_of(execution.next_attempt)} if execution.next_attempt else {}
    return (
        asks
        | following
        | {
            "execution_id": execution.execution_id,
            "task_id": execution.task_id,
            "status": execution.status.value,
            "duration_ms": execution.duration_ms,
            "progress": progress_of(execution.progress),
            "trace_url": wording.links.trace(execution.execution_id),
            "logs_url": wording.links.logs(execution.execution_id),
            "next": None,
        }
    )


def _outcome(execution: Execution, wording: Wording, *, output_offset: int = 0) -> tuple[JsonObject, list[str | None]]:
    """What came of it so far: structured, and the lines that say it."""
    structured = _core(execution, wording)
    parts: list[str | None] = []
    match execution:
        case Execution(status=Status.COMPLETED):
            parts = _output(execution, structured, wording, output_offset)
        case Execution(status=Status.FAILED, failure=failure) if failure is not None:
            structured["error"] = error = error_of(failure)
            structured["next"] = next_after_failure(execution, failure, wording.names)
            parts = [error_text(error)]
        case Execution(status=Status.CANCELLED):
            reason = execution.cancel_requested
            parts = [f"Reason: {reason}" if reason else None]
        case Execution(asks=[_, *_] as asks):
            follow = wording.follow(execution.execution_id)
            structured["next"] = (
                "It waits for an answer of its caller's LLM. A client that offers sampling is asked while it waits: "
                f"call {follow}. Without an answer it goes on when the question expires."
            )
            parts = [_progress_text(execution.progress), *map(_ask_text, asks[:_ASKS_MAX])]
        case _:
            structured["next"] = f"It goes on by itself. To wait for it call {wording.follow(execution.execution_id)}."
            waits = f"Waiting: {execution.waiting_for}" if execution.next_attempt is not None else None
            parts = [_progress_text(execution.progress), waits]
    return structured, parts


def _output(execution: Execution, structured: JsonObject, wording: Wording, offset: int) -> list[str | None]:
    text = compact(execution.output)
    if wire_bytes(text) <= STRUCTURED_BYTES_MAX:
        structured["output"] = execution.output
    else:
        structured["output_truncated"] = True
    shown = text[offset : offset + OUTPUT_TEXT_CHARACTERS_MAX]
    end = offset + len(shown)
    whole = offset == 0 and end >= len(text)
    if not whole:
        structured |= {"output_text": shown, "output_offset": offset, "output_characters": len(text)}
    if end < len(text):
        more = wording.names.call("get_execution_status", execution_id=execution.execution_id, output_offset=end)
        structured["next"] = f"For more of the output call {more}."
    head = "Output:" if whole else f"Output (characters {offset} to {end} of {len(text)}):"
    return [f"{head} {shown}"]


def _fit(structured: JsonObject) -> None:
    """Leave out what the wire cannot carry besides the rest."""
    for name, note in (("metadata", None), ("input", "input_truncated"), ("output", "output_truncated")):
        if _bytes(structured) <= STRUCTURED_BYTES_MAX:
            return
        if structured.pop(name, None) is not None and note is not None:
            structured[note] = True


def _bytes(structured: JsonObject) -> int:
    return len(json.dumps(structured))


def _headline(execution: Execution) -> str:
    took = "" if execution.duration_ms is None else f" after {execution.duration_ms:g} ms"
    if len(execution.attempts) > 1 and execution.status.terminal:
        took += f" and {len(execution.attempts)} attempts"
    return f"{execution.task_id} {_STATUS_TEXT[execution.status]}{took} (execution {execution.execution_id})"


_STATUS_TEXT = {
    Status.QUEUED: "is queued",
    Status.RUNNING: "is running",
    Status.INPUT_REQUIRED: "waits for input",
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
    Status.CANCELLED: "was cancelled",
}


def _next(structured: JsonObject) -> str | None:
    return structured.get("next")


def _times(structured: JsonObject) -> str:
    times = [(name, structured[f"{name}_at"]) for name in ("created", "started", "ended")]
    return ", ".join(f"{name} {at}" for name, at in times if at)


def progress_of(progress: Progress | None) -> JsonObject | None:
    """`{percent, current, total, message}`."""
    if progress is None:
        return None
    return {
        "percent": progress.percent,
        "current": progress.current,
        "total": progress.total,
        "message": None if progress.message is None else clip(progress.message, _MESSAGE_CHARACTERS_MAX),
    }


def next_attempt_of(following: NextAttempt) -> JsonObject:
    """`{number, starts_at, failed, max_attempts, error}`."""
    return {
        "number": following.number,
        "starts_at": iso(following.starts_ns),
        "failed": following.failed,
        "max_attempts": following.max_attempts,
        "error": _brief_error(following.failure),
    }


def _brief_error(failure: Failure) -> JsonObject:
    message = clip(failure.message, _MESSAGE_CHARACTERS_MAX)
    return {"type": failure.type, "message": message, "category": failure.category.value}


def asks_of(execution: Execution) -> list[JsonObject]:
    """What the caller is asked now, oldest first."""
    return [
        {
            "execution_id": ask.execution_id,
            "kind": ask.kind,
            "text": clip(ask.text, _MESSAGE_CHARACTERS_MAX),
            "expires_at": iso(ask.expires_ns),
        }
        for ask in execution.asks[:_ASKS_MAX]
    ]


def _ask_text(ask: OpenAsk) -> str:
    whose = f"{ask.task_id} ({ask.execution_id})"
    return f"Asked by {whose}, until {iso(ask.expires_ns)}: {clip(ask.text, _MESSAGE_CHARACTERS_MAX)}"


def _progress_text(progress: Progress | None) -> str | None:
    if progress is None:
        return None
    share = f"{progress.percent:g} %" if progress.percent is not None else f"{progress.current:g}"
    return f"Progress: {share}" + (f", {clip(progress.message, _MESSAGE_CHARACTERS_MAX)}" if progress.message else "")


def _caller(lineage: Lineage) -> JsonObject:
    return {"execution_id": lineage.parent_id, "root_id": lineage.root_id, "depth": lineage.depth}


def _caller_text(lineage: Lineage | None) -> str | None:
    if lineage is None:
        return None
    above = f", {lineage.depth} below {lineage.root_id}" if lineage.depth > 1 else ""
    return f"Called by execution {lineage.parent_id}{above}"


def _source(source: Source) -> JsonObject:
    return source.model_dump(exclude_none=True)


def _attempt(attempt: Attempt, version: str) -> JsonObject:
    entry: JsonObject = {
        "number": attempt.number,
        "worker": attempt.worker,
        "started_at": iso(attempt.started_ns),
        "ended_at": iso(attempt.ended_ns),
    }
    if attempt.version not in (None, version):
        entry["version"] = attempt.version
    if attempt.failure is not None:
        entry["error"] = _brief_error(attempt.failure)
    for name in ("stopped_by", "telemetry"):
        if (value := getattr(attempt, name)) is not None:
            entry[name] = value
    if attempt.late_ns is not None:
        entry["late_end"] = {"at": iso(attempt.late_ns), "refused": clip(attempt.late_end or "", _LATE_CHARACTERS_MAX)}
    return entry
