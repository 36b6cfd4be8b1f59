"""Tasks and executions as resources, `ratchet://…`: read through the tools of the same purpose, under the same policy.

What a client may not read has no template for it, and reading it is refused like something that is not there.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import mcp_types as t
from mcp.server import Server
from mcp.shared.exceptions import MCPError

from actors.mcp_front.caller import Caller, Context, caller_in
from actors.mcp_front.front import Front
from actors.mcp_front.gate import wording_for
from actors.mcp_front.protocol import reading
from ratchet.models import JsonObject

_JSON = "application/json"
_EXECUTIONS = "ratchet://executions/"
_TASKS = "ratchet://tasks/"
_LISTED_MAX = 20
_SAID_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class _View:
    """What of an execution a resource shows, and the tool that reads it."""

    title: str
    tool: str


_VIEWS = MappingProxyType(
    {
        "": _View("An execution: status, input, output or error, attempts, times", "get_execution_status"),
        "/logs": _View("The beginning of an execution's log, with a summary of all of it", "get_execution_logs"),
        "/trace": _View("An execution's spans and where its time went", "get_execution_trace"),
        "/output": _View("What an execution returned", "get_execution_status"),
    }
)


def register(server: Server[object], front: Front) -> None:
    """Have the server offer the resources."""

    async def list_resources(context: Context, _params: t.PaginatedRequestParams) -> t.ListResourcesResult:
        return t.ListResourcesResult(resources=await listed(front, caller_in(front, context)))

    async def list_templates(context: Context, _params: t.PaginatedRequestParams) -> t.ListResourceTemplatesResult:
        return t.ListResourceTemplatesResult(resource_templates=templates(front, caller_in(front, context)))

    async def read_resource(context: Context, params: t.ReadResourceRequestParams) -> t.ReadResourceResult:
        return t.ReadResourceResult(contents=[await read(front, caller_in(front, context), params.uri)])

    server.add_request_handler("resources/list", t.PaginatedRequestParams, list_resources)
    server.add_request_handler("resources/templates/list", t.PaginatedRequestParams, list_templates)
    server.add_request_handler("resources/read", t.ReadResourceRequestParams, read_resource)


def templates(front: Front, caller: Caller) -> list[t.ResourceTemplate]:
    """Those whose resources the caller may read."""
    names = wording_for(front, caller.client).names
    found = [
        t.ResourceTemplate(
            name=f"execution{path.replace('/', '-')}",
            title=view.title,
            uri_template=f"{_EXECUTIONS}{{execution_id}}{path}",
            mime_type=_JSON,
        )
        for path, view in _VIEWS.items()
        if names.offers(view.tool)
    ]
    task = t.ResourceTemplate(
        name="task", title="A task with its schemas", uri_template=f"{_TASKS}{{task_id}}", mime_type=_JSON
    )
    return [task, *found]


async def listed(front: Front, caller: Caller) -> list[t.Resource]:
    """The first tasks and the newest executions."""
    tasks = await reading.read(front, caller, "list_available_tasks", {})
    executions = await reading.read(front, caller, "list_executions", {"limit": _LISTED_MAX})
    return [*_tasks(tasks), *_executions(executions)]


def _tasks(found: JsonObject) -> Iterator[t.Resource]:
    for row in found["tasks"]:
        yield t.Resource(
            name=row["task_id"],
            uri=f"{_TASKS}{row['task_id']}",
            description=row["description"] or None,
            mime_type=_JSON,
        )


def _executions(found: JsonObject) -> Iterator[t.Resource]:
    for row in found["executions"]:
        yield t.Resource(
            name=row["execution_id"],
            uri=f"{_EXECUTIONS}{row['execution_id']}",
            description=f"{row['task_id']}: {row['status']}",
            mime_type=_JSON,
        )


async def read(front: Front, caller: Caller, uri: str) -> t.TextResourceContents:
    """The resource as JSON.

    Raises:
        MCPError: There is none of this URI for the caller.
    """
    value = await _value(front, caller, uri)
    return t.TextResourceContents(uri=uri, mime_type=_JSON, text=json.dumps(value, ensure_ascii=False))


async def execution_view(front: Front, caller: Caller, uri: str) -> tuple[str, str]:
    """The execution and the view of it that a URI names, which the caller may read: the only resources that change.

    Raises:
        MCPError: It names no execution, or none for the caller.
    """
    if uri.startswith(_TASKS):  # whether there is one or not
        raise MCPError(code=t.INVALID_PARAMS, message=f"No word comes of changes of tasks, only of {_EXECUTIONS}ID")
    execution_id, path = _execution_named(uri)
    found = await reading.read(front, caller, _VIEWS[path].tool, {"execution_id": execution_id})
    return found["execution_id"], path


async def _value(front: Front, caller: Caller, uri: str) -> Any:
    if uri.startswith(_TASKS):
        return await _task(front, caller, uri)
    execution_id, path = _execution_named(uri)
    found = await reading.read(front, caller, _VIEWS[path].tool, {"execution_id": execution_id})
    return found if path != "/output" else _output(found, front, caller)


def _execution_named(uri: str) -> tuple[str, str]:
    """The id of the execution that a URI names, and the path of a view; whether there is such an execution or not."""
    execution_id, slash, rest = uri.removeprefix(_EXECUTIONS).partition("/")
    if not uri.startswith(_EXECUTIONS) or not execution_id or slash + rest not in _VIEWS:
        raise _unknown(uri)
    return execution_id, slash + rest


async def _task(front: Front, caller: Caller, uri: str) -> JsonObject:
    found = await reading.task_row(front, caller, uri.removeprefix(_TASKS))
    if found is None:
        raise _unknown(uri)
    return found


def _output(found: JsonObject, front: Front, caller: Caller) -> Any:
    """What it returned; null of one that has not returned anything."""
    if found.get("output_truncated"):
        again = wording_for(front, caller.client).names.call(
            "get_execution_status", execution_id=found["execution_id"], output_offset=0
        )
        raise MCPError(code=t.INVALID_PARAMS, message=f"This output is too large for one answer: call {again}.")
    return found.get("output")


def _unknown(uri: str) -> MCPError:
    known = ", ".join([f"{_TASKS}ID", *(f"{_EXECUTIONS}ID{path}" for path in _VIEWS)])
    message = f"Unknown resource {uri[:_SAID_CHARACTERS_MAX]!r}: there are {known}"
    return MCPError(code=t.INVALID_PARAMS, message=message, data={"uri": uri[:_SAID_CHARACTERS_MAX]})
