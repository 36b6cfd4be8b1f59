"""Who makes a call, as far as the transport and the protocol tell.

Only the authenticated name counts for anything; what a client says of itself is kept for people to read.
"""

from dataclasses import dataclass
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST, Implementation
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request

from actors.mcp_front.front import Front
from actors.mcp_front.waits import WaitKey
from ratchet.errors import ForbiddenError
from ratchet.models import JsonObject, Source
from ratchet.policy.client import Client
from ratchet.policy.profiles import Profiles

SESSION_HEADER = "mcp-session-id"
MESSAGES_PATH = "/messages/"
_SESSION_QUERY = "session_id"
_SAID_CHARACTERS_MAX = 100

Context = ServerRequestContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """One call's origin.

    Attributes:
        client: Who it is and what it may do.
        source: What an execution stores of it.
        wait_key: How a later notification names this call; None where none can come (the current protocol over HTTP).
    """

    client: Client
    source: Source
    wait_key: WaitKey | None = None


def caller_in(front: Front, context: Context) -> Caller:
    """The caller of a request to this front.

    Raises:
        MCPError: This is nobody who may come in.
    """
    client = client_in(front)
    said = context.session.client_params
    source = Source(
        kind="mcp",
        client=client.name,
        session_id=_session_of(context, front.connection),
        client_info=None if said is None else _described(said.client_info),
    )
    return Caller(client, source, wait_key_of(context, context.request_id, connection=front.connection))


def client_in(front: Front) -> Client:
    """The client that a request to this front comes from.

    Raises:
        MCPError: There is no such client.
    """
    try:
        return client_of(front.profiles)
    except ForbiddenError as error:
        raise MCPError(code=INVALID_REQUEST, message=error.message) from None


def wait_key_of(context: Context, request_id: str | int | None, *, connection: str) -> WaitKey | None:
    """How requests of this session are told apart; None where the session has no name or the request no id."""
    session = _session_of(context, connection)
    return None if session is None or request_id is None else (session, str(request_id))


def _session_of(context: Context, connection: str) -> str | None:
    """How the transport names the session."""
    request = context.request
    if not isinstance(request, Request):
        return connection
    if request.url.path == MESSAGES_PATH:
        return request.query_params.get(_SESSION_QUERY)
    if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return None  # whatever its header says: no session of this name was checked to be the caller's
    return request.headers.get(SESSION_HEADER)


def _described(info: Implementation) -> JsonObject:
    return {"name": info.name[:_SAID_CHARACTERS_MAX], "version": info.version[:_SAID_CHARACTERS_MAX]}


def client_of(profiles: Profiles) -> Client:
    """The client whose key is in use, or the one that needs none.

    Raises:
        ForbiddenError: There is no such client.
    """
    token = get_access_token()
    return profiles.of(None if token is None else token.client_id)
