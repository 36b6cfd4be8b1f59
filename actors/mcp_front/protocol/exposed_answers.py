"""A task as a tool: how it is advertised, and what its execution is as the result of such a call. Pure.

A tool's result is the task's output and nothing else. What is there besides (the execution's id, its status, its error)
is in `_meta` and in the text. Where there is no output, the result is an error: an output schema promises one.
"""

import re

import mcp_types as t

from actors.mcp_front.answers.answer import TEXT_CHARACTERS_MAX, Answer, clip, compact
from actors.mcp_front.protocol.content import blocks, is_content
from ratchet.models import JsonObject, Task

META_PREFIX = "ratchet/"
_IN_META = ("execution_id", "status", "error")
_WAITED = "The wait was over before it ended. Do not call this tool again for it: that would run it a second time."


def advertised(name: str, task: Task) -> t.Tool:
    """The task as `tools/list` gives it."""
    return t.Tool(
        name=name,
        title=_title(task.task_id),
        description=task.description or f"Run the task {task.task_id}.",
        input_schema=task.input_schema,
        output_schema=output_schema(task),
        annotations=t.ToolAnnotations(
            read_only_hint=False, destructive_hint=task.dangerous, idempotent_hint=task.idempotent
        ),
    )


def task_input(task: Task, given: JsonObject | None) -> JsonObject:
    """The input that the arguments of a call stand for.

    Null stands for a parameter left out where it can mean nothing else: several hosts send every property there is.
    """
    properties, required = task.input_schema.get("properties", {}), task.input_schema.get("required", [])

    def left_out(name: str) -> bool:
        return name in properties and name not in required and not _takes_null(properties[name])

    return {name: value for name, value in (given or {}).items() if value is not None or not left_out(name)}


def _takes_null(schema: JsonObject) -> bool:
    if "anyOf" in schema:
        return any(map(_takes_null, schema["anyOf"]))
    return "null" in schema["type"] if "type" in schema else "$ref" not in schema and "enum" not in schema


def output_schema(task: Task) -> JsonObject | None:
    """The task's, where its output is an object: only that can be structured content in every version."""
    schema = task.output_schema
    if schema is None or schema.get("type") != "object" or is_content(schema):
        return None
    return schema


def result(found: Answer, task: Task) -> t.CallToolResult:
    """The answer of `execute_task` as the result of the task's own tool."""
    told = found.structured
    meta = {META_PREFIX + name: told[name] for name in _IN_META if told.get(name) is not None}
    if told.get("status") == "completed" and "output" in told:
        return _completed(told, task, meta)
    return t.CallToolResult(
        content=[_text(clip(_without_output(found), TEXT_CHARACTERS_MAX))],
        structured_content=told if output_schema(task) is None else None,
        is_error=True,
        _meta=meta,
    )


def _completed(told: JsonObject, task: Task, meta: JsonObject) -> t.CallToolResult:
    output = told["output"]
    shown = blocks(task.output_schema, output)
    note = f"[execution {told['execution_id']} of {told['task_id']} completed after {told['duration_ms']:g} ms]"
    if shown is not None:
        return t.CallToolResult(content=[*shown, _text(note)], _meta=meta)
    text = output if isinstance(output, str) else compact(output)
    whole = isinstance(output, dict) or len(text) + len(note) <= TEXT_CHARACTERS_MAX
    if not whole and told.get("next") is not None:
        note += f"\n{told['next']}"
    return t.CallToolResult(
        content=[_text(clip(text, TEXT_CHARACTERS_MAX - len(note))), _text(note)],
        structured_content=output if isinstance(output, dict) else None,
        _meta=meta,
    )


def _without_output(found: Answer) -> str:
    """Why there is none, where it has not failed."""
    match found.structured.get("status"):
        case "queued" | "running" | "input_required":
            return f"{found.text}\n{_WAITED}"
        case "completed":
            return f"It completed, but its output is too large for one result.\n{found.text}"
        case _:
            return found.text


def _text(text: str) -> t.TextContent:
    return t.TextContent(type="text", text=text)


def _title(task_id: str) -> str:
    words = re.sub(r"[._-]+", " ", task_id)
    return words[0].upper() + words[1:]
