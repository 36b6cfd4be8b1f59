"""JSON Schemas of what tools take and give.

Only keywords that every client's validator knows: no `format`, which strict validators refuse where they do not know
it. A result has either what the tool is for or an `error`, and both fit the output schema.
"""

from typing import Any

from ratchet.models import LEVELS, Category, JsonObject, Status

STATUSES = [one.value for one in Status]
_NULLABLE_TEXT: JsonObject = {"type": ["string", "null"]}
_NULLABLE_NUMBER: JsonObject = {"type": ["number", "null"]}
_TIME: JsonObject = {"type": ["string", "null"], "description": "ISO 8601, UTC."}
_CATEGORIES = [*(one.value for one in Category), "request", "unavailable", "internal"]


def text(description: str, **more: Any) -> JsonObject:
    """A string."""
    return {"type": "string", "description": description, **more}


def number(description: str, **more: Any) -> JsonObject:
    """A number."""
    return {"type": "number", "description": description, **more}


def integer(description: str, **more: Any) -> JsonObject:
    """An integer."""
    return {"type": "integer", "description": description, **more}


def flag(description: str, *, default: bool) -> JsonObject:
    """A boolean."""
    return {"type": "boolean", "description": description, "default": default}


def moment(description: str) -> JsonObject:
    """A time as agents write it."""
    return {"anyOf": [{"type": "string"}, {"type": "number"}], "description": description}


def takes(required: tuple[str, ...] = (), **properties: JsonObject) -> JsonObject:
    """An input schema; an unknown argument is an error, so that a misspelt one is noticed."""
    schema: JsonObject = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


def gives(required: tuple[str, ...], **properties: JsonObject) -> JsonObject:
    """An output schema: these properties, or an error."""
    return {
        "type": "object",
        "properties": {**properties, "error": ERROR, "next": {**_NULLABLE_TEXT, "description": "What to do next."}},
        "anyOf": [{"required": list(required)}, {"required": ["error"]}],
    }


def listed(item: JsonObject, description: str) -> JsonObject:
    """An array."""
    return {"type": "array", "items": item, "description": description}


EXECUTION_ID = text("The id that execute_task or list_executions gave.", minLength=1, maxLength=128)
ATTEMPT = integer("Only this attempt.", minimum=1, maximum=2**31)
CURSOR = text("Continues an earlier answer: its next_cursor.", minLength=1)

ERROR: JsonObject = {
    "type": "object",
    "description": "Why the call was refused or the execution failed.",
    "properties": {
        "type": text("The exception's type, or the code of a refusal."),
        "message": text("What was wrong."),
        "category": {"type": "string", "enum": _CATEGORIES},
        "retryable": {"type": "boolean", "description": "Of a refusal: whether the same call may succeed later."},
        "retry_after": {
            "type": "number",
            "description": "Of a refusal: in how many seconds the call will be admitted.",
        },
        "location": {"type": "object", "description": "The failing frame: file, line, function, source."},
        "causes": {"type": "array", "items": {"type": "object"}},
        "problems": {"type": "array", "items": {}, "description": "Wrong fields: path, message, given."},
        "process": {"type": "object", "description": "How the process ended: exit code, signal, memory, last lines."},
        "gave_up": text("Why no other attempt follows, where the task has a retry policy."),
        "stack_trace": {"type": "string"},
    },
    "required": ["type", "message", "category"],
}

PROGRESS: JsonObject = {
    "type": ["object", "null"],
    "properties": {
        "percent": _NULLABLE_NUMBER,
        "current": {"type": "number"},
        "total": _NULLABLE_NUMBER,
        "message": _NULLABLE_TEXT,
    },
}

NEXT_ATTEMPT: JsonObject = {
    "type": "object",
    "description": "What a queued execution waits for after an attempt that failed.",
    "properties": {
        "number": integer("Of the attempt that follows."),
        "starts_at": _TIME,
        "failed": integer("How many attempts failed so far."),
        "max_attempts": {"type": ["integer", "null"], "description": "How many may; null: not what bounds them."},
        "error": {"type": "object", "description": "How the last one ended: type, message, category."},
    },
}

EXECUTION: dict[str, JsonObject] = {
    "execution_id": {"type": "string"},
    "task_id": {"type": "string"},
    "status": {"type": "string", "enum": STATUSES},
    "duration_ms": _NULLABLE_NUMBER,
    "progress": PROGRESS,
    "trace_url": {**_NULLABLE_TEXT, "description": "The trace as JSON, or a page for browsers; null without HTTP."},
    "logs_url": {**_NULLABLE_TEXT, "description": "The logs, likewise."},
    "asks": listed(
        {
            "type": "object",
            "properties": {
                "execution_id": {"type": "string"},
                "kind": {"type": "string", "enum": ["sampling"]},
                "text": text("The beginning of it."),
                "expires_at": _TIME,
            },
        },
        "What it asks its caller now, itself or in an execution that it called.",
    ),
    "next_attempt": NEXT_ATTEMPT,
    "late_answers": listed({"type": "string"}, "Why answers that came with the call were not taken."),
}

OUTPUT: dict[str, JsonObject] = {
    "output": {"description": "What the task returned."},
    "output_truncated": {"type": "boolean", "description": "It is too large to be here."},
    "output_text": text("Part of the output's JSON text."),
    "output_offset": integer("Where in the JSON text that part begins."),
    "output_characters": integer("Length of the JSON text."),
}

VISUALIZATION_URL: JsonObject = {
    **_NULLABLE_TEXT,
    "description": "The trace as a waterfall, a page for people; null without HTTP.",
}

TIMES: dict[str, JsonObject] = {"created_at": _TIME, "started_at": _TIME, "ended_at": _TIME}

STATUS: dict[str, JsonObject] = {
    **EXECUTION,
    **OUTPUT,
    **TIMES,
    "input": {"type": "object"},
    "input_truncated": {"type": "boolean", "description": "It is too large to be here."},
    "version": text("Hash of the task's files."),
    "trace": {"type": "boolean"},
    "priority": {"type": "integer"},
    "source": {"type": "object", "description": "Who asked for it: kind, client, session_id, client_info."},
    "attempts": listed({"type": "object"}, "The newest, oldest first: number, times, worker, error."),
    "deadline_at": _TIME,
    "metadata": {"type": "object"},
    "reruns": listed(
        {"type": "object"}, "Executions that name this one as original_execution: execution_id, status; newest first."
    ),
    "called_by": {
        "type": "object",
        "description": "The execution whose task called it, with root_id, the one that a client asked for, and depth.",
    },
    "called": listed(
        {"type": "object"}, "Executions that its task called: execution_id, task_id, status; newest first."
    ),
    "waiting_for": text("Why it does not run yet."),
    "cancel_requested": text("The reason given with the cancel request."),
    "idempotency_key": {"type": "string"},
}

LISTED_EXECUTION: JsonObject = {
    "type": "object",
    "properties": {
        "execution_id": {"type": "string"},
        "task_id": {"type": "string"},
        "status": {"type": "string", "enum": STATUSES},
        "duration_ms": _NULLABLE_NUMBER,
        **TIMES,
        "source": {"type": "object"},
        "input": {"type": "object"},
        "input_truncated": {"type": "boolean"},
        "asks": {"type": "array", "items": {"type": "object"}},
        "next_attempt": NEXT_ATTEMPT,
        "metadata": {"type": "object"},
        "metadata_truncated": {"type": "boolean"},
        "error_type": {"type": "string"},
        "error_category": {"type": "string"},
        "error_message": {"type": "string"},
    },
    "required": ["execution_id", "task_id", "status"],
}

LOG_ENTRY: JsonObject = {
    "type": "object",
    "properties": {
        "timestamp": {"type": "string"},
        "level": {"type": "string", "enum": list(LEVELS)},
        "logger": {"type": "string"},
        "attempt": integer("Which attempt said it, where there were several."),
        "message": text("The message; with count, what the repeated messages have in common."),
        "count": integer("How many such records there are."),
        "last_timestamp": {"type": "string"},
        "example": text("The first of them."),
        "context": {"type": "object"},
        "context_text": text("The beginning of a large context."),
        "error_info": {
            "type": "object",
            "properties": {
                "type": {"type": "string"},
                "message": {"type": "string"},
                "stack_trace": {"type": "string"},
                "suggestions": listed({"type": "string"}, "What to do, where the error itself tells."),
            },
        },
    },
    "required": ["timestamp", "level", "message"],
}

LOG_SUMMARY: JsonObject = {
    "type": "object",
    "description": "Over the whole log.",
    "properties": {
        "total": integer("Records there are."),
        "counts": {"type": "object", "description": "Records by level.", "additionalProperties": {"type": "integer"}},
        "shown": integer("Records that this answer shows."),
        "first_error": {
            "type": "object",
            "properties": {
                **{name: {"type": "string"} for name in ("timestamp", "type", "message", "logger")},
                "preceding": listed({"type": "string"}, "The records right before it, oldest first."),
            },
        },
        "last": listed({"type": "string"}, "The newest records, where this page does not reach them."),
        "incomplete": {"type": "boolean", "description": "Records were lost with the process that made them."},
        "pruned_at": {"type": "string", "description": "When the log was removed, as `retention.logs` says."},
    },
    "required": ["total", "counts", "shown"],
}

SPAN: JsonObject = {
    "type": "object",
    "properties": {
        "span_id": {"type": "string"},
        "name": {"type": "string"},
        "start_time": {"type": "string"},
        "offset_ms": {"type": "number"},
        "duration_ms": {"type": "number"},
        "self_ms": number("The part in which none of its children ran."),
        "status": {"type": "string", "enum": ["ok", "error", "unset"]},
        "status_message": {"type": "string"},
        "critical": {"type": "boolean", "description": "true: it is on the critical path."},
        "attributes": {"type": "object"},
        "children": listed({"type": "object"}, "Spans like this one."),
        "omitted_children": integer("Children that are not shown; span_id shows them."),
    },
    "required": ["span_id", "name", "duration_ms", "status", "children"],
}

TRACE: JsonObject = {
    "type": "object",
    "properties": {
        "spans": listed(SPAN, "The roots."),
        "total_ms": {"type": "number"},
        "total_spans": {"type": "integer"},
        "shown_spans": {"type": "integer"},
        "critical_path": listed({"type": "object"}, "What the end waited for: span_id, name, contribution_ms."),
        "bottlenecks": listed({"type": "object"}, "Names by self time: name, count, self_ms, share."),
    },
    "required": ["spans", "critical_path", "bottlenecks"],
}

TASK: JsonObject = {
    "type": "object",
    "properties": {
        "task_id": {"type": "string"},
        "description": {"type": "string"},
        "input": text("Its input in one line: name: type, ? for optional."),
        "input_schema": {"type": "object"},
        "output_schema": {"type": ["object", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "timeout_seconds": {"type": "number"},
        "idempotent": {"type": "boolean"},
        "dangerous": {"type": "boolean", "description": "Its author asks for care."},
    },
    "required": ["task_id", "description", "input"],
}

HEALTH: dict[str, JsonObject] = {
    "status": {"type": "string", "enum": ["ok", "degraded"]},
    "version": {"type": "string"},
    "problems": listed({"type": "string"}, "What is wrong, and what to do."),
    "actors": listed({"type": "object"}, "Connected processes: name, liveness, draining, queued_envelopes."),
    "processes": listed({"type": "object"}, "name, pid, version, uptime_seconds, memory_bytes."),
    "queue": {
        "type": ["object", "null"],
        "description": "queued, running, input_required, limit, slots, slots_busy, asks_open.",
    },
    "executions": {"type": "object", "description": "Number by status."},
    "stores": listed({"type": "object"}, "path, rows, bytes, schema_version, pruned, damaged, set_aside."),
    "counters": {"type": "object", "description": "Whatever was dropped, late, expired or refused."},
    "tasks": {"type": ["integer", "null"]},
    "broken_files": {"type": ["integer", "null"]},
    "cluster": {
        "type": ["object", "null"],
        "description": "address, nodes: name, status, connected, version, workers, slots, slots_busy.",
    },
}

_SUGGESTION: JsonObject = {
    "type": "object",
    "properties": {
        "kind": {"type": "string"},
        "text": {"type": "string"},
        "confidence": {"type": "string", "enum": ["high", "medium", "low"]},
        "patch": {"type": ["array", "null"], "description": "RFC 6902, on the execution's input."},
    },
    "required": ["kind", "text", "confidence"],
}

ANALYSIS: dict[str, JsonObject] = {
    "execution_id": {"type": "string"},
    "task_id": {"type": "string"},
    "status": {"type": "string", "enum": STATUSES},
    "summary": text("The cause in one sentence, or that nothing failed."),
    "error_type": {"type": "string"},
    "category": text("A class of errors, as the documentation of failures lists them."),
    "root_cause": {"type": "object", "description": "type, message, where."},
    "retryable": {
        "type": "object",
        "properties": {
            "value": {"type": "boolean", "description": "Whether the same input may succeed."},
            "reason": {"type": "string"},
        },
    },
    "failing_frame": {"type": ["object", "null"], "description": "file, line, function, in_task, source_lines."},
    "chain": listed({"type": "object"}, "The exceptions from the raised one to its causes."),
    "suggestions": listed(_SUGGESTION, "What to do, the likeliest first."),
    "changed_since_last_success": {"type": ["object", "null"], "description": "task_version, input, worker, summary."},
    "similar_failures": {"type": "object", "description": "fingerprint, count, first_seen, execution_ids."},
    "process": {"type": ["object", "null"], "description": "How the process ended, where it died."},
    "last_log_lines": listed({"type": "string"}, "The end of the log."),
    "insights": listed({"type": "string"}, "What stands out in the trace."),
    "next_call": {
        "type": ["object", "null"],
        "description": "The call to make now.",
        "properties": {"tool": {"type": "string"}, "arguments": {"type": "object"}, "why": {"type": "string"}},
    },
    "note": {**_NULLABLE_TEXT, "description": "What was left out, and what shows it."},
}

CURSOR_OUT: JsonObject = {**_NULLABLE_TEXT, "description": "For the next page; null on the last."}
STOPPED_BY: JsonObject = {"enum": ["cooperative", "term", "kill", None], "description": "What ended it."}

INSPECTION: JsonObject = {
    "execution_id": {"type": "string"},
    "attempt": {"type": "integer"},
    "worker": {"type": "string"},
    "seen": {
        "type": "string",
        "enum": ["python", "native", "nothing"],
        "description": "python: everything is known; native: it is inside a C function, so only the main thread's "
        "stack is; nothing: the process did not react.",
    },
    "running_seconds": {"type": "number"},
    "silent_seconds": {"type": ["number", "null"], "description": "Since it last said anything; null: it never did."},
    "stacks": listed(
        {
            "type": "object",
            "properties": {
                "kind": {"type": "string", "enum": ["thread", "coroutine"]},
                "name": {"type": "string"},
                "frames": listed({"type": "object"}, "Innermost call first: file, line, function, source."),
                "frames_total": {"type": "integer"},
            },
        },
        "Where each thread and coroutine is.",
    ),
    "stacks_total": {"type": "integer"},
    "open_spans": listed({"type": "object"}, "Entered and not left: span_id, parent_id, name, seconds."),
    "process": {"type": ["object", "null"], "description": "Of it and its descendants: CPU, memory, threads, state."},
    "insights": listed({"type": "string"}, "What stands out, the place first."),
}
