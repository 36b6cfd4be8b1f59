"""`completion/complete`: ids of executions and tasks, for arguments of prompts and variables of resource templates.

Every completion is a call of the tool that lists such ids: it goes through the gate, counts in that tool's rate limit
and is recorded as one. So only what the caller would be shown in a list is ever suggested.
"""

from dataclasses import replace

import mcp_types as t
from mcp.server import Server
from mcp.shared.exceptions import MCPError

from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.caller import Caller, Context, caller_in
from actors.mcp_front.front import Front
from actors.mcp_front.protocol import reading, resources
from actors.mcp_front.protocol.prompts import Kind, prompt_of
from actors.mcp_front.tools.call import ToolCall
from actors.mcp_front.tools.schemas import takes, text
from actors.mcp_front.tools.table import TOOLS
from ratchet import rpc
from ratchet.bodies.executions import ListExecutions, ListTasks
from ratchet.messages import LIST_EXECUTIONS, LIST_TASKS
from ratchet.models import JsonObject, Status

VALUES_MAX = 100  # the protocol's

_SECONDS = 10.0
# Changed task files are described by children before the answer, each of which may import a lot.
_TASKS_SECONDS = 50.0
_SAID_CHARACTERS_MAX = 200
_VARIABLES: dict[str, Kind] = {"execution_id": "execution", "task_id": "task"}


def register(server: Server[object], front: Front) -> None:
    """Have the server complete ids."""

    async def complete(context: Context, params: t.CompleteRequestParams) -> t.CompleteResult:
        caller = caller_in(front, context)
        kind = _kind(front, caller, params.ref, params.argument.name)
        return t.CompleteResult(completion=await completed(front, caller, kind, params.argument.value))

    server.add_request_handler("completion/complete", t.CompleteRequestParams, complete)


def _kind(front: Front, caller: Caller, ref: t.PromptReference | t.ResourceTemplateReference, argument: str) -> Kind:
    """What the values of an argument are.

    Raises:
        MCPError: Nothing like it exists for the caller.
    """
    if isinstance(ref, t.PromptReference):
        arguments = prompt_of(front, caller, ref.name).arguments
        known: dict[str, Kind] = {one.name: one.kind for one in arguments}
    else:
        templates = [one.uri_template for one in resources.templates(front, caller)]
        if ref.uri not in templates:
            raise _wrong(f"Unknown resource template {ref.uri[:_SAID_CHARACTERS_MAX]!r}: {', '.join(templates)}")
        known = {name: kind for name, kind in _VARIABLES.items() if f"{{{name}}}" in ref.uri}
    if argument not in known:
        raise _wrong(f"No argument {argument[:_SAID_CHARACTERS_MAX]!r} here: there are {', '.join(known)}")
    return known[argument]


async def completed(front: Front, caller: Caller, kind: Kind, value: str) -> t.Completion:
    """What `value` may become: at most 100 ids, executions newest first.

    Ids of executions begin or end with it, as everywhere; ids of tasks contain it, those that begin with it first.

    Raises:
        MCPError: It was refused, or there is no answer.
    """
    match kind:
        case "text":
            return t.Completion(values=[], total=0, has_more=False)
        case "task":
            tool, arguments = _TASK_IDS, JsonObject(part=value)
        case "execution" | "failed_execution":
            status = [Status.FAILED.value] if kind == "failed_execution" else []
            tool, arguments = _EXECUTION_IDS, JsonObject(part=value, status=status)
    found = (await reading.asked(front, caller, tool, arguments)).structured
    return t.Completion(values=found["ids"], total=found["total"], has_more=found["more"])


def _wrong(message: str) -> MCPError:
    return MCPError(code=t.INVALID_PARAMS, message=message)


# --- the tools that list ids, with an answer that is nothing but ids ------------------------------------------------


async def _execution_ids(call: ToolCall) -> Answer:
    request = ListExecutions(
        client=call.caller.client,
        id_part=call.arguments["part"].strip() or None,
        status=[Status(one) for one in call.arguments["status"]] or None,
        limit=VALUES_MAX,
    )
    page = await rpc.call(call.front.link, LIST_EXECUTIONS, request, timeout_seconds=_SECONDS)
    ids, more = [one.execution_id for one in page.executions], page.next_cursor is not None
    return Answer({"ids": ids, "total": None if more else len(ids), "more": more}, "")


async def _task_ids(call: ToolCall) -> Answer:
    part = call.arguments["part"].strip().lower()
    request = ListTasks(client=call.caller.client, filter=part or None)
    catalogue = await rpc.call(call.front.link, LIST_TASKS, request, timeout_seconds=_TASKS_SECONDS)
    ids = [one.task_id for one in catalogue.tasks]
    found = [one for one in ids if one.lower().startswith(part)]
    found += [one for one in ids if part in one.lower() and one not in found]
    return Answer({"ids": found[:VALUES_MAX], "total": len(found), "more": len(found) > VALUES_MAX}, "")


_PART = text("What is known of the id.")
_STATUS: JsonObject = {"type": "array", "items": {"type": "string"}}
_EXECUTION_IDS = replace(
    TOOLS["list_executions"], input_schema=takes(("part", "status"), part=_PART, status=_STATUS), handler=_execution_ids
)
_TASK_IDS = replace(TOOLS["list_available_tasks"], input_schema=takes(("part",), part=_PART), handler=_task_ids)
