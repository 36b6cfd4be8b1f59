"""The older HTTP transport: `GET /sse` is the answers' stream, `POST /messages/` takes a client's messages.

Served beside `/mcp` where `mcp.server.transport` is `sse`, behind the same checks. A session is one stream; it belongs
to the client that opened it, and ends with it, when nobody uses it, or when the front drains.
"""

import asyncio
from contextlib import suppress

import anyio
from mcp.server import Server
from mcp.server.auth.middleware.bearer_auth import RequireAuthMiddleware
from mcp.server.runner import serve_dual_era_loop
from mcp.server.sse import SseServerTransport
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actors.mcp_front.caller import MESSAGES_PATH, client_of
from actors.mcp_front.transports.conversation import Conversation
from actors.mcp_front.transports.sessions import Sessions
from ratchet.policy.profiles import Profiles

PATH = "/sse"
_LAST_ANSWERS_SECONDS = 0.7
_END_SECONDS = 1.0


class SseFront:
    """The two routes of the transport."""

    def __init__(
        self,
        server: Server[object],
        security: TransportSecuritySettings,
        profiles: Profiles,
        sessions: Sessions,
        draining: asyncio.Event,
    ) -> None:
        self._server = server
        self._checks = TransportSecurityMiddleware(security)
        self._transport = SseServerTransport(MESSAGES_PATH, security_settings=security)
        self._profiles = profiles
        self._sessions = sessions
        self._draining = draining

    def routes(self, *, authenticated: bool) -> list[Route]:
        """For the application; behind its authentication where it has one."""
        stream, messages = _Endpoint(self._stream), _Endpoint(self._transport.handle_post_message)
        guarded: list[ASGIApp] = [
            RequireAuthMiddleware(one, []) if authenticated else one for one in (stream, messages)
        ]
        return [
            Route(PATH, endpoint=guarded[0], methods=["GET"]),
            Route(MESSAGES_PATH, endpoint=guarded[1], methods=["POST"]),
        ]

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = await self._checks.validate_request(Request(scope, receive))
        slot = refused or self._sessions.take(client_of(self._profiles).name)
        if isinstance(slot, Response):
            return await slot(scope, receive, send)
        try:
            await self._serve(scope, receive, send)
        finally:
            self._sessions.free(slot)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.Event()
        async with self._transport.connect_sse(scope, _until(gone, receive), send) as (read_stream, write_stream):
            conversation = Conversation(read_stream, write_stream)
            with anyio.CancelScope() as serving:
                watching = asyncio.create_task(self._watch(conversation, serving), name="sse")
                try:
                    # The SDK ends the stream when this ends.
                    await serve_dual_era_loop(self._server, conversation.reader, conversation.writer, lifespan_state={})
                finally:
                    watching.cancel()
                    asyncio.get_running_loop().call_later(_END_SECONDS, gone.set)

    async def _watch(self, conversation: Conversation, serving: anyio.CancelScope) -> None:
        """Have the session end when it is time."""
        ends = [asyncio.create_task(one.wait()) for one in (self._draining, conversation.stuck)]
        try:
            while not any(one.done() for one in ends):
                left = self._sessions.limits.idle_seconds - conversation.idle_seconds()
                if left <= 0:
                    self._sessions.note_expired()
                    break
                await asyncio.wait(ends, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if self._draining.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_ANSWERS_SECONDS):
                        await conversation.answered.wait()
            serving.cancel()
        finally:
            for one in ends:
                one.cancel()


class _Endpoint:
    """A route's end that is an application of its own; of a method, Starlette would make something else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _until(gone: asyncio.Event, receive: Receive) -> Receive:
    """What the client sends, until it counts as gone: who does not read the end of a stream would hold it for ever."""

    async def receive_until_gone() -> Message:
        message, ending = asyncio.ensure_future(receive()), asyncio.ensure_future(gone.wait())
        try:
            await asyncio.wait([message, ending], return_when=asyncio.FIRST_COMPLETED)
            return message.result() if message.done() else {"type": "http.disconnect"}
        finally:
            message.cancel()
            ending.cancel()

    return receive_until_gone
