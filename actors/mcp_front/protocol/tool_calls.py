"""`tools/list`, `tools/call`, and the notification that takes a call back.

The tools are those of the table, and tasks that are exposed as tools of their own.

Wrong arguments and failed executions are results that a model can read; only an unknown tool is a protocol error.
"""

from collections.abc import Iterable

import mcp_types as t
from mcp.server import Server
from mcp.shared.exceptions import MCPError

from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.caller import Context, caller_in, client_in, wait_key_of
from actors.mcp_front.ear import ByRetry, Ear
from actors.mcp_front.front import Front
from actors.mcp_front.gate import Asked, answer, note_refusal, visible_tools
from actors.mcp_front.naming import ToolNames, bare_name, nearest_name
from actors.mcp_front.protocol import asking, call_logs, exposed_answers
from actors.mcp_front.tools.executions import cancel_for_client
from actors.mcp_front.tools.table import TOOLS, Effect, Tool
from ratchet.models import JsonObject, Task
from ratchet.policy.client import Client

_RUN = TOOLS["execute_task"]


def register(server: Server[object], front: Front) -> None:
    """Have the server offer the tools of the table."""
    names = front.wording.names
    advertised = {name: _advertised(tool, names) for name, tool in TOOLS.items()}

    async def list_tools(_context: Context, _params: t.PaginatedRequestParams) -> t.ListToolsResult:
        client = client_in(front)
        own = [advertised[tool.name] for tool in visible_tools(client)]
        tasks = [exposed_answers.advertised(name, task) for name, task in (await front.exposed.listed(client)).items()]
        return t.ListToolsResult(tools=[*own, *tasks])

    async def call_tool(context: Context, params: t.CallToolRequestParams) -> t.CallToolResult | t.InputRequiredResult:
        caller = caller_in(front, context)
        tool = TOOLS.get(bare_name(params.name))
        send_progress = context.session.report_progress if _wants_progress(context) else None
        log_wish = call_logs.wish(front, context, caller)
        ear = asking.ear_of(context, params)
        if tool is not None:
            found = await answer(front, Asked(tool, params.arguments, caller, send_progress, log_wish, ear))
            return _asked(found, ear) or found.result()
        task = await front.exposed.find(caller.client, params.name)
        if task is not None:
            given = _run(front, task, params.arguments)
            found = await answer(front, Asked(_RUN, given, caller, send_progress, log_wish, ear))
            return _asked(found, ear) or exposed_answers.result(found, task)
        note_refusal(front, "unknown_tool", params.name, caller)
        raise _unknown_tool(params.name, names, caller.client, front.exposed.known(caller.client))

    async def cancelled(context: Context, params: t.CancelledNotificationParams) -> None:
        key = wait_key_of(context, params.request_id, connection=front.connection)
        execution_id = None if key is None else front.waits.take(key)
        if execution_id is not None:
            front.spawn(cancel_for_client(front, client_in(front), execution_id), "cancel for client")

    server.add_request_handler("tools/list", t.PaginatedRequestParams, list_tools)
    server.add_request_handler("tools/call", t.CallToolRequestParams, call_tool)
    server.add_notification_handler("notifications/cancelled", t.CancelledNotificationParams, cancelled)


def _asked(found: Answer, ear: Ear | None) -> t.InputRequiredResult | None:
    """What the client is asked instead of an answer; None: nothing."""
    if not found.asks or not isinstance(ear, ByRetry):
        return None
    return asking.asked(found.structured["execution_id"], found.asks, ear)


def _run(front: Front, task: Task, given: JsonObject | None) -> JsonObject:
    """A call of the task's own tool as one of `execute_task`: the same gate, limits, records and life."""
    taken = exposed_answers.task_input(task, given)
    return {"task_id": task.task_id, "input": taken, "wait_seconds": front.wording.wait_seconds_max}


def _wants_progress(context: Context) -> bool:
    return context.meta is not None and "progress_token" in context.meta


def _unknown_tool(name: str, names: ToolNames, client: Client, exposed: Iterable[str]) -> MCPError:
    said = {tool.name: names.advertised(tool.name) for tool in visible_tools(client)} | {one: one for one in exposed}
    nearest = nearest_name(name, said)
    hint = f"did you mean {said[nearest]}?" if nearest else "tools/list names the tools there are"
    return MCPError(code=t.INVALID_PARAMS, message=f"Unknown tool {name[:100]!r}: {hint}")


def _advertised(tool: Tool, names: ToolNames) -> t.Tool:
    return t.Tool(
        name=names.advertised(tool.name),
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=_ANNOTATIONS[tool.effect],
    )


_ANNOTATIONS: dict[Effect, t.ToolAnnotations] = {
    "reads": t.ToolAnnotations(read_only_hint=True, open_world_hint=False),
    # What a task does is its author's business: assume the worst.
    "runs": t.ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True),
    "stops": t.ToolAnnotations(
        read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
    ),
}
