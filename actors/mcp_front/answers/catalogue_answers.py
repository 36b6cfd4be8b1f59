"""The catalogue as an answer: tasks, and the files that cannot be loaded. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from actors.mcp_front.answers.answer import LIST_CHARACTERS_MAX, Answer, clip, compact, fitting, paragraphs
from actors.mcp_front.naming import ToolNames
from ratchet.bodies.executions import Catalogue
from ratchet.errors import RequestError
from ratchet.exposure import UNEXPOSED
from ratchet.models import BrokenFile, JsonObject, Task

_DESCRIPTION_CHARACTERS_MAX = 400
_MESSAGE_CHARACTERS_MAX = 300
_INPUT_CHARACTERS_MAX = 400
_BROKEN_MAX = 5
_BROKEN_CHARACTERS_MAX = 2_000


def tasks(catalogue: Catalogue, names: ToolNames, *, include_schemas: bool = False, after: str | None = None) -> Answer:
    """The answer of `list_available_tasks`.

    Args:
        catalogue: The tasks that match, by id.
        names: How tools are named.
        include_schemas: With each task's schemas.
        after: The cursor: the last task id of an earlier answer.

    Raises:
        RequestError: The cursor is none of ours.
    """
    last = None if after is None else _task_id(after)
    broken = [] if last is not None else [_broken(one) for one in catalogue.broken[:_BROKEN_MAX]]
    rest = [one for one in catalogue.tasks if last is None or one.task_id > last]
    rows = [_row(one, include_schemas=include_schemas) for one in rest]
    room = LIST_CHARACTERS_MAX - sum(len(json.dumps(one)) for one in broken)
    shown = fitting(rows, [len(json.dumps(one)) for one in rows], room)
    next_cursor = _cursor(rest[len(shown) - 1].task_id) if len(shown) < len(rest) else None
    advice = _advice(catalogue, names, next_cursor, bool(shown))
    structured: JsonObject = {
        "tasks": shown,
        "total": len(catalogue.tasks),
        "broken_files": broken,
        "broken_files_total": len(catalogue.broken),
        "next_cursor": next_cursor,
        "next": advice,
    }
    return Answer(structured, paragraphs([*map(_broken_text, broken), *map(_text, shown), advice]))


def _cursor(task_id: str) -> str:
    return f"after:{task_id}"


def _task_id(cursor: str) -> str:
    prefix, separator, task_id = cursor.partition(":")
    if prefix != "after" or not separator:
        raise RequestError(f"cursor {cursor[:80]!r} does not continue this list: leave it out to start over")
    return task_id


def _row(task: Task, *, include_schemas: bool) -> JsonObject:
    row: JsonObject = {
        "task_id": task.task_id,
        "description": clip(task.description, _DESCRIPTION_CHARACTERS_MAX),
        "input": clip(signature(task.input_schema), _INPUT_CHARACTERS_MAX),
    }
    if task.tags:
        row["tags"] = task.tags
    if task.timeout_seconds is not None:
        row["timeout_seconds"] = task.timeout_seconds
    if task.idempotent:
        row["idempotent"] = True
    if task.retry is not None:
        row["retry"] = {"max_attempts": task.retry.max_attempts, "on": task.retry.on, "never_on": task.retry.never_on}
    if task.dangerous:
        row["dangerous"] = True
    if include_schemas:
        row["input_schema"] = task.input_schema
        row["output_schema"] = task.output_schema
    return row


def signature(schema: Mapping[str, Any]) -> str:
    """An input schema in one line: `file: string, limit?: integer = 100`."""
    required = schema.get("required", [])
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    return ", ".join(_field(name, one, schema, required=name in required) for name, one in properties.items())


def _field(name: str, declared: Mapping[str, Any], root: Mapping[str, Any], *, required: bool) -> str:
    text = f"{name}{'' if required else '?'}: {_type(declared, root)}"
    return f"{text} = {clip(compact(declared['default']), 40)}" if declared.get("default") is not None else text


def _type(declared: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    if "enum" in declared:
        return " | ".join(json.dumps(one, ensure_ascii=False) for one in declared["enum"])
    if "$ref" in declared:
        target = root.get("$defs", {}).get(str(declared["$ref"]).rpartition("/")[2])
        return _type(target, {}) if target else "object"  # one level: a definition may hold itself
    if "anyOf" in declared:
        return " | ".join(dict.fromkeys(_type(one, root) for one in declared["anyOf"]))
    if declared.get("type") == "array" and "items" in declared:
        return f"array of {_type(declared['items'], root)}"
    return str(declared.get("type", "any"))


def _broken(file: BrokenFile) -> JsonObject:
    return {
        "path": file.path,
        "error_type": file.error_type,
        "message": clip(file.message, _MESSAGE_CHARACTERS_MAX),
        "line": file.line,
        "origin": file.origin,
    }


def _broken_text(broken: JsonObject) -> str:
    place = broken["path"] if broken["line"] is None else f"{broken['path']}:{broken['line']}"
    if broken["error_type"] == UNEXPOSED:
        return f"Not exposed: {place}: {broken['message']}"
    origin = "" if broken["origin"] is None else f" (at {broken['origin']})"
    return f"Cannot be loaded: {place}: {broken['error_type']}: {broken['message']}{origin}"


def _text(row: JsonObject) -> str:
    lines = [f"{row['task_id']}({row['input']})"]
    if row["description"]:
        lines.append(f"  {row['description']}".replace("\n", "\n  "))
    schemas = ((name, row.get(name)) for name in ("input_schema", "output_schema"))
    lines += [f"  {name}: {compact(schema)}" for name, schema in schemas if schema is not None]
    return "\n".join(lines)


def _advice(catalogue: Catalogue, names: ToolNames, next_cursor: str | None, shown: bool) -> str | None:
    if next_cursor is not None:
        return f"For more tasks make the same call with cursor {json.dumps(next_cursor)}."
    if shown:
        run = f"To run one call {names.advertised('execute_task')} with its task_id and input."
        return run if names.offers("execute_task") else None
    if catalogue.broken:
        return "No task matches; the files above have to be mended first, or the filter widened."
    return (
        "No task matches. Call this without filter for all of them; task files belong in the configured task folders."
    )
