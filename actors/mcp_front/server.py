"""The MCP server: the SDK's low-level `Server` over the table of tools, for both protocol eras and every transport.

Wrong arguments and failed executions are results that a model can read; only an unknown tool is a protocol error.
Nothing that is raised unexpectedly reaches the wire: the handshake era would put its text there.
"""

import secrets

import mcp_types as t
import structlog
from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.shared.exceptions import MCPError

from actors.mcp_front.answers import Answer
from actors.mcp_front.call import ToolCall
from actors.mcp_front.caller import Context, caller_of, wait_key_of
from actors.mcp_front.executions import cancel_for_client
from actors.mcp_front.failures import internal, refusal, unanswered
from actors.mcp_front.front import Front
from actors.mcp_front.naming import ToolNames, bare_name, nearest_name
from actors.mcp_front.tools import TOOLS, Effect, Tool
from ipc.errors import IpcError, RemoteError
from ratchet.errors import RatchetError
from ratchet.version import VERSION

log = structlog.stdlib.get_logger("mcp-front")

_LIST_FRESH_MS = 60_000

_INSTRUCTIONS = """\
Ratchet runs typed Python tasks in supervised processes and keeps every run's output, logs, trace and errors.
- {list_tasks} names the tasks and their inputs; {execute} runs one and waits for the result.
- An execution goes on when a call ends. While it is `running`, follow it with {status} and wait_seconds.
- After a failure read the error first, then {logs} with level: warn, then {trace} for where the time went.
- Every answer says in `next` which call to make next. Long answers are cut and say which call shows the rest."""


def make_server(front: Front) -> Server[object]:
    """A server whose calls go to the runner behind `front`."""
    names = front.wording.names
    listing = t.ListToolsResult(tools=[_advertised(tool, names) for tool in TOOLS.values()])

    async def list_tools(_context: Context, _params: t.PaginatedRequestParams | None) -> t.ListToolsResult:
        return listing

    async def call_tool(context: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
        tool = TOOLS.get(bare_name(params.name))
        if tool is None:
            raise _unknown_tool(params.name, names)
        return (await _answer(front, tool, context, params)).result()

    async def cancelled(context: Context, params: t.CancelledNotificationParams) -> None:
        key = wait_key_of(context, params.request_id, connection=front.connection)
        execution_id = None if key is None else front.waits.take(key)
        if execution_id is not None:
            front.spawn(cancel_for_client(front, execution_id), "cancel for client")

    server: Server[object] = Server(
        "ratchet",
        version=VERSION,
        title="Ratchet",
        instructions=_instructions(names),
        cache_hints={"tools/list": CacheHint(_LIST_FRESH_MS, "private")},
        get_tool_input_schema=_no_header_parameters,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    server.add_notification_handler("notifications/cancelled", t.CancelledNotificationParams, cancelled)
    return server


async def _answer(front: Front, tool: Tool, context: Context, params: t.CallToolRequestParams) -> Answer:
    names = front.wording.names
    try:
        call = ToolCall(
            arguments=tool.arguments.accept(params.arguments),
            caller=caller_of(context, connection=front.connection),
            front=front,
            send_progress=context.session.report_progress if _wants_progress(context) else None,
        )
        return await tool.handler(call)
    except RatchetError as error:
        return refusal(error, names, task_id=_task_id(params))
    except RemoteError as error:  # of a code that is none of ours: the callee logged what it was
        return _defect(error, tool)
    except IpcError as error:
        log.warning("a call got no answer", tool=tool.name, code=error.code, error=str(error))
        return unanswered(error, names)
    except Exception as error:  # noqa: BLE001 - the actor's boundary: logged here, and never on the wire
        return _defect(error, tool)


def _defect(error: Exception, tool: Tool) -> Answer:
    reference = secrets.token_hex(4)
    log.error("a tool failed", tool=tool.name, reference=reference, exc_info=error)
    return internal(reference)


def _task_id(params: t.CallToolRequestParams) -> str | None:
    task_id = (params.arguments or {}).get("task_id")
    return task_id if isinstance(task_id, str) else None


def _wants_progress(context: Context) -> bool:
    return context.meta is not None and "progress_token" in context.meta


def _no_header_parameters(_name: str) -> None:
    """No argument of any tool travels in a header, so there is nothing that the transport could check."""


def _unknown_tool(name: str, names: ToolNames) -> MCPError:
    nearest = nearest_name(name, TOOLS)
    hint = f"did you mean {names.advertised(nearest)}?" if nearest else "tools/list names the tools there are"
    return MCPError(code=t.INVALID_PARAMS, message=f"Unknown tool {name[:100]!r}: {hint}")


def _instructions(names: ToolNames) -> str:
    return _INSTRUCTIONS.format(
        list_tasks=names.advertised("list_available_tasks"),
        execute=names.advertised("execute_task"),
        status=names.advertised("get_execution_status"),
        logs=names.advertised("get_execution_logs"),
        trace=names.advertised("get_execution_trace"),
    )


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
