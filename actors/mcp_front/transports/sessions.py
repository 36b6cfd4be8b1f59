"""How many sessions are open, and who may open another one.

A session costs memory for as long as it lasts, and a client that comes back without saying goodbye leaves one behind.
So there is a bound for all and one for each client, and what nobody uses ends. The current protocol has no sessions.
"""

import asyncio
from collections import Counter
from contextvars import ContextVar
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from actors.mcp_front.caller import SESSION_HEADER, client_of
from actors.mcp_front.protocol.handshakes import connection_of
from ratchet.config.mcp import SessionsConfig
from ratchet.errors import ForbiddenError
from ratchet.policy.profiles import Profiles

_RETRY_SECONDS = 10
_BUSY, _TOO_MANY = 503, 429


class Slot:
    """Room for one session."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.session_id: str | None = None
        self.bound = False  # to a session, whose end frees it
        self.left = False  # the client itself ended it


_opening: ContextVar[Slot | None] = ContextVar("opening", default=None)


class Sessions:
    """Those of one front that come over HTTP.

    Args:
        limits: How many, and how long they may be idle.
        draining: Once set, sessions end for another reason than that nobody uses them.
        counted: Where refusals and expiries are counted.
    """

    def __init__(self, limits: SessionsConfig, draining: asyncio.Event, counted: Counter[str]) -> None:
        self.limits = limits
        self._counted = counted
        self._draining = draining
        self._open: set[Slot] = set()

    def take(self, client: str) -> Slot | Response:
        """Room for another session of a client, to be freed; or what to answer instead."""
        of_client = Counter(slot.client for slot in self._open)[client]
        if of_client >= self.limits.max_per_client:
            return self._refusal(_TOO_MANY, f"client {client!r} has {of_client} sessions open and may have no more")
        if len(self._open) >= self.limits.max:
            return self._refusal(_BUSY, f"{len(self._open)} sessions are open and no more may be")
        slot = Slot(client)
        self._open.add(slot)
        return slot

    def free(self, slot: Slot) -> None:
        """Its session has ended, or was never begun."""
        self._open.discard(slot)

    def leaving(self, session_id: str, client: str) -> None:
        """The client ends this session."""
        for slot in self._open:
            if (slot.session_id, slot.client) == (session_id, client):
                slot.left = True

    async def bind(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Middleware of the server: a session that begins keeps the room that was taken for it until it ends."""
        result = await call_next(ctx)
        slot = _opening.get()
        if ctx.method == "initialize" and slot is not None and not slot.bound:
            connection = connection_of(ctx)
            slot.bound, slot.session_id = True, connection.session_id
            connection.exit_stack.callback(self._end, slot)
        return result

    def _end(self, slot: Slot) -> None:
        self.free(slot)
        if not slot.left and not self._draining.is_set():
            self.note_expired()

    def note_expired(self) -> None:
        """One ended because nobody used it."""
        self._counted["sessions_expired"] += 1

    def _refusal(self, status: int, reason: str) -> Response:
        self._counted["sessions_refused"] += 1
        message = f"Too many open sessions: {reason}. End one (DELETE), or try again in {_RETRY_SECONDS} seconds"
        error = ErrorData(code=INTERNAL_ERROR, message=message, data={"retry_after": _RETRY_SECONDS})
        return Response(
            JSONRPCError(jsonrpc="2.0", id=None, error=error).model_dump_json(by_alias=True, exclude_unset=True),
            status_code=status,
            media_type="application/json",
            headers={"Retry-After": str(_RETRY_SECONDS)},
        )


class SessionLimits:
    """ASGI middleware, behind the authentication: a request that would open one session too many is refused."""

    def __init__(self, app: ASGIApp, sessions: Sessions, profiles: Profiles, path: str) -> None:
        self._app = app
        self._sessions = sessions
        self._profiles = profiles
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        client = self._client() if scope["type"] == "http" and scope["path"] == self._path else None
        if client is None:  # the authentication refuses it
            return await self._app(scope, receive, send)
        request = Request(scope)
        session_id = request.headers.get(SESSION_HEADER)
        if session_id is not None and request.method == "DELETE":
            self._sessions.leaving(session_id, client)
        version = request.headers.get(MCP_PROTOCOL_VERSION_HEADER)
        if session_id is not None or (version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS):
            return await self._app(scope, receive, send)
        return await self._open(client, scope, receive, send)

    async def _open(self, client: str, scope: Scope, receive: Receive, send: Send) -> None:
        slot = self._sessions.take(client)
        if isinstance(slot, Response):
            return await slot(scope, receive, send)
        opening = _opening.set(slot)
        try:
            await self._app(scope, receive, send)
        finally:
            _opening.reset(opening)
            if not slot.bound:
                self._sessions.free(slot)

    def _client(self) -> str | None:
        try:
            return client_of(self._profiles).name
        except ForbiddenError:
            return None
