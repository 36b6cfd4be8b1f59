"""The MCP server: the SDK's low-level `Server`, for both protocol eras and every transport.

Each part of the protocol registers its own handlers. Nothing that is raised unexpectedly reaches the wire: the
handshake era would put its text there.
"""

from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity

from actors.mcp_front.front import Front
from actors.mcp_front.gate import wording_for
from actors.mcp_front.naming import ToolNames
from actors.mcp_front.protocol import call_logs, completions, prompts, resources, subscriptions, tool_calls
from ratchet.version import VERSION

_NAME = "ratchet"
_STATE_SECONDS = 86_400.0  # it only says which execution a call goes on with
_LIST_FRESH_MS = 60_000
_TASKS_FRESH_MS = 0  # task files change while they are worked on, and not every client listens to that


def make_server(front: Front) -> Server[object]:
    """A server whose calls go to the runner behind `front`."""
    server: Server[object] = Server(
        _NAME,
        version=VERSION,
        title="Ratchet",
        instructions=_instructions(_names_for_all(front)),
        cache_hints={"tools/list": CacheHint(_TASKS_FRESH_MS if front.exposed.enabled else _LIST_FRESH_MS, "private")},
        get_tool_input_schema=front.exposed.input_schema,  # Ratchet's own tools take nothing from a header
    )
    sealed = RequestStateSecurity(keys=[front.state_key], ttl=_STATE_SECONDS)
    server.middleware.append(RequestStateBoundary(sealed, default_audience=_NAME))
    for part in (tool_calls, call_logs, resources, subscriptions, prompts, completions):
        part.register(server, front)
    return server


def _names_for_all(front: Front) -> ToolNames:
    """Instructions are the same for everybody who comes in here; where that is one client, they fit it."""
    unnamed = front.profiles.unnamed
    return front.wording.names if unnamed is None else wording_for(front, unnamed).names


def _instructions(names: ToolNames) -> str:
    def where(name: str, words: str) -> str:
        return words.format(names.advertised(name)) if names.offers(name) else ""

    listing, status = names.advertised("list_available_tasks"), names.advertised("get_execution_status")
    run = where("execute_task", "; {} runs one and waits for the result")
    analysis = where("analyze_execution_error", ", then call {} for the cause and what to change")
    logs = where("get_execution_logs", ", {} with level: warn for what led to it")
    trace = where("get_execution_trace", ", {} for where the time went")
    return f"""\
Ratchet runs typed Python tasks in supervised processes and keeps every run's output, logs, trace and errors.
- {listing} names the tasks and their inputs{run}.
- An execution goes on when a call ends. While it is `running`, follow it with {status} and wait_seconds.
- After a failure read the error first{analysis}{logs}{trace}.
- Every answer says in `next` which call to make next. Long answers are cut and say which call shows the rest."""
