"""The MCP server: the SDK's low-level `Server` over the table of tools, for both protocol eras and every transport.

Wrong arguments and failed executions are results that a model can read; only an unknown tool is a protocol error.
Nothing that is raised unexpectedly reaches the wire: the handshake era would put its text there.
"""

import mcp_types as t
from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.shared.exceptions import MCPError

from actors.mcp_front import resources
from actors.mcp_front.caller import Caller, Context, caller_of, client_of, wait_key_of
from actors.mcp_front.executions import cancel_for_client
from actors.mcp_front.front import Front
from actors.mcp_front.gate import Asked, answer, note_refusal, visible_tools, wording_for
from actors.mcp_front.naming import ToolNames, bare_name, nearest_name
from actors.mcp_front.tools import TOOLS, Effect, Tool
from ratchet.errors import ForbiddenError
from ratchet.policy.client import Client
from ratchet.version import VERSION

_LIST_FRESH_MS = 60_000


def make_server(front: Front) -> Server[object]:
    """A server whose calls go to the runner behind `front`."""
    names = front.wording.names
    advertised = {name: _advertised(tool, names) for name, tool in TOOLS.items()}

    async def list_tools(_context: Context, _params: t.PaginatedRequestParams | None) -> t.ListToolsResult:
        return t.ListToolsResult(tools=[advertised[tool.name] for tool in visible_tools(_client(front))])

    async def call_tool(context: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
        caller = _caller(front, context)
        tool = TOOLS.get(bare_name(params.name))
        if tool is None:
            note_refusal(front, "unknown_tool", params.name, caller)
            raise _unknown_tool(params.name, names, caller.client)
        send_progress = context.session.report_progress if _wants_progress(context) else None
        return (await answer(front, Asked(tool, params.arguments, caller, send_progress))).result()

    async def list_resources(context: Context, _params: t.PaginatedRequestParams | None) -> t.ListResourcesResult:
        return t.ListResourcesResult(resources=await resources.listed(front, _caller(front, context)))

    async def list_templates(
        context: Context, _params: t.PaginatedRequestParams | None
    ) -> t.ListResourceTemplatesResult:
        return t.ListResourceTemplatesResult(resource_templates=resources.templates(front, _caller(front, context)))

    async def read_resource(context: Context, params: t.ReadResourceRequestParams) -> t.ReadResourceResult:
        return t.ReadResourceResult(contents=[await resources.read(front, _caller(front, context), params.uri)])

    async def cancelled(context: Context, params: t.CancelledNotificationParams) -> None:
        key = wait_key_of(context, params.request_id, connection=front.connection)
        execution_id = None if key is None else front.waits.take(key)
        if execution_id is not None:
            front.spawn(cancel_for_client(front, _client(front), execution_id), "cancel for client")

    server: Server[object] = Server(
        "ratchet",
        version=VERSION,
        title="Ratchet",
        instructions=_instructions(_names_for_all(front)),
        cache_hints={"tools/list": CacheHint(_LIST_FRESH_MS, "private")},
        get_tool_input_schema=_no_header_parameters,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )
    server.add_notification_handler("notifications/cancelled", t.CancelledNotificationParams, cancelled)
    return server


def _wants_progress(context: Context) -> bool:
    return context.meta is not None and "progress_token" in context.meta


def _no_header_parameters(_name: str) -> None:
    """No argument of any tool travels in a header, so there is nothing that the transport could check."""


def _client(front: Front) -> Client:
    try:
        return client_of(front.profiles)
    except ForbiddenError as error:
        raise MCPError(code=t.INVALID_REQUEST, message=error.message) from None


def _caller(front: Front, context: Context) -> Caller:
    try:
        return caller_of(context, connection=front.connection, profiles=front.profiles)
    except ForbiddenError as error:
        raise MCPError(code=t.INVALID_REQUEST, message=error.message) from None


def _unknown_tool(name: str, names: ToolNames, client: Client) -> MCPError:
    nearest = nearest_name(name, [tool.name for tool in visible_tools(client)])
    hint = f"did you mean {names.advertised(nearest)}?" if nearest else "tools/list names the tools there are"
    return MCPError(code=t.INVALID_PARAMS, message=f"Unknown tool {name[:100]!r}: {hint}")


def _names_for_all(front: Front) -> ToolNames:
    """Instructions are the same for everybody who comes in here; where that is one client, they fit it."""
    unnamed = front.profiles.unnamed
    return front.wording.names if unnamed is None else wording_for(front, unnamed).names


def _instructions(names: ToolNames) -> str:
    def where(name: str, words: str) -> str:
        return words.format(names.advertised(name)) if names.offers(name) else ""

    listing, status = names.advertised("list_available_tasks"), names.advertised("get_execution_status")
    run = where("execute_task", "; {} runs one and waits for the result")
    logs = where("get_execution_logs", ", then {} with level: warn")
    trace = where("get_execution_trace", ", then {} for where the time went")
    return f"""\
Ratchet runs typed Python tasks in supervised processes and keeps every run's output, logs, trace and errors.
- {listing} names the tasks and their inputs{run}.
- An execution goes on when a call ends. While it is `running`, follow it with {status} and wait_seconds.
- After a failure read the error first{logs}{trace}.
- Every answer says in `next` which call to make next. Long answers are cut and say which call shows the rest."""


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
