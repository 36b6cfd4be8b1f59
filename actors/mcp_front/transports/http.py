"""The HTTP front: the MCP endpoint `/mcp` (Streamable HTTP, both eras) and the front's own routes, on one socket.

Where the configuration wants it, the older SSE transport is beside it (`sse.py`).

The socket is bound by the supervisor and outlives this process, so a restart refuses no connection.
"""

import asyncio
import contextlib
import ipaddress
import os
import socket
from collections.abc import Generator

import structlog
import uvicorn
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actors.mcp_front.front import Front
from actors.mcp_front.protocol.server import make_server
from actors.mcp_front.transports import sse
from actors.mcp_front.transports.auth import ApiKeyHeader, ApiKeys
from actors.mcp_front.transports.entrance import NotedRefusals
from actors.mcp_front.transports.header_values import HeaderValues
from actors.mcp_front.transports.routes import make_routes
from actors.mcp_front.transports.sessions import SessionLimits, Sessions
from actors.mcp_front.transports.sse import SseFront
from actors.mcp_front.waits import Waits
from ratchet.config.mcp import ServerConfig

log = structlog.stdlib.get_logger("mcp-front")

PATH = "/mcp"
_KEEP_ALIVE_SECONDS = 60
_LAST_ANSWERS_SECONDS = 2
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
# Where the SDK wants an authorization server: there is none, a key is all that is needed.
_NO_ISSUER = AnyHttpUrl("http://localhost/")


def make_app(front: Front, config: ServerConfig, draining: asyncio.Event) -> ASGIApp:
    """The ASGI application.

    Args:
        front: Where its calls go.
        config: Keys, and the address that it is reached at.
        draining: Once set, streams that only wait for news end.

    Raises:
        ConfigError: An API key cannot be resolved.
    """
    keys = ApiKeys.resolve(config.auth, os.environ)
    security = _security(config)
    sessions = Sessions(config.sessions, draining, front.counted)
    server = make_server(front)
    server.middleware.append(sessions.bind)
    routes = make_routes(front, security, authenticated=keys is not None)
    if config.transport == "sse":
        routes += SseFront(server, security, front.profiles, sessions, draining).routes(authenticated=keys is not None)
    served = server.streamable_http_app(
        streamable_http_path=PATH,
        transport_security=security,
        auth=None if keys is None else AuthSettings(issuer_url=_NO_ISSUER, resource_server_url=None),
        token_verifier=keys,
        session_idle_timeout=config.sessions.idle_seconds,
        max_sessions=None,  # bounded below, for each client too
        custom_starlette_routes=routes,
    )
    # Innermost: who asks is known there.
    served.user_middleware.append(Middleware(SessionLimits, sessions, front.profiles, PATH))
    app: ASGIApp = NotedRefusals(served, front)
    if keys is not None:
        app = ApiKeyHeader(app)
    return EndStreamsOnDrain(HeaderValues(app), draining)


def _security(config: ServerConfig) -> TransportSecuritySettings:
    """Which Host and Origin headers are served.

    On loopback this keeps web pages out that reach it by DNS rebinding. Elsewhere the names that it is reached by are
    not known, and every request needs a key (the configuration sees to that), which such a page does not have.
    """
    if not config.address.loopback:
        return TransportSecuritySettings(enable_dns_rebinding_protection=False)
    names = [*_LOOPBACK_NAMES]
    with contextlib.suppress(ValueError):  # a name: localhost
        address = ipaddress.ip_address(config.address.host)
        names.append(f"[{address}]" if address.version == 6 else str(address))
    hosts = [one for name in names for one in (name, f"{name}:*")]
    origins = [f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)


class EndStreamsOnDrain:
    """ASGI middleware: a client that only listens (GET) sees the end of its stream when the front drains.

    Not where answers come on that stream: those of SSE are given first.
    """

    def __init__(self, app: ASGIApp, draining: asyncio.Event) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] == sse.PATH:
            return await self._app(scope, receive, send)

        async def receive_until_drain() -> Message:
            message, drained = asyncio.ensure_future(receive()), asyncio.ensure_future(self._draining.wait())
            try:
                await asyncio.wait([message, drained], return_when=asyncio.FIRST_COMPLETED)
                return message.result() if message.done() else {"type": "http.disconnect"}
            finally:
                message.cancel()
                drained.cancel()

        return await self._app(scope, receive_until_drain, send)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the actor's host owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve(app: ASGIApp, listener: socket.socket, draining: asyncio.Event, waits: Waits) -> None:
    """Serve until `draining`, then answer what is being served and return."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        http="httptools",
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
    )
    server = _Server(config)

    async def end_when_draining() -> None:
        await draining.wait()
        waits.drain()
        server.should_exit = True

    # A copy: uvicorn closes what it is given, and the name of the socket is still wanted.
    async with asyncio.TaskGroup() as tasks:
        ending = tasks.create_task(end_when_draining())
        await server.serve(sockets=[listener.dup()])
        ending.cancel()
