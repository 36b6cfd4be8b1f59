"""The gateway's process: resolves the keys, and serves what tasks ask of LLMs and of other MCP servers."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any, cast

from actors.llm_gateway.caller_route import CallerRoute
from actors.llm_gateway.desk import Desk
from actors.llm_gateway.openai_route import OpenAiRoute, load_sdk
from actors.llm_gateway.route import Route
from actors.llm_gateway.scripted import ScriptedRoute
from actors.llm_gateway.servers import Servers
from ipc.link import Request
from ipc.serving import Method
from ratchet import messages, rpc
from ratchet.actor import ActorHost
from ratchet.bodies.common import Empty
from ratchet.bodies.health import Health
from ratchet.config import outward_secret_values
from ratchet.config.llm import CALLER, SCRIPTED, LlmConfig
from ratchet.errors import RatchetError
from ratchet.health import ProcessHealth
from ratchet.llm.bodies import (
    CallRemoteTool,
    Complete,
    Completion,
    ListRemoteTools,
    ListServers,
    Piece,
    RemoteResult,
    RemoteServers,
    RemoteTools,
)
from ratchet.models import Model
from ratchet.redaction import Redactor

_CALL_SECONDS_MAX = 3600.0
_CLOSING_SECONDS = 2.0  # of the drain's time, kept for the connections to other servers


class Gateway:
    """What the process serves."""

    def __init__(self, host: ActorHost, stack: AsyncExitStack) -> None:
        self._process = ProcessHealth(host.setup.name)
        self._counters: Counter[str] = Counter()
        self._host = host
        self._redactor = Redactor(outward_secret_values(host.setup.config, os.environ))
        config = host.setup.config
        self._desk = Desk(self._routes(config.llm, stack), config.llm, self._counters)
        self._servers = Servers(
            config.mcp.servers, os.environ, host.setup.project.folder, self._redactor.text, self._counters
        )

    def own_connections(self) -> None:
        """Begin to serve MCP servers: each connection is made when somebody wants it."""
        for connection in self._servers.connections.values():
            self._host.own(connection.run(), name=f"MCP server {connection.name}")

    def _routes(self, config: LlmConfig, stack: AsyncExitStack) -> list[Route]:
        """The routes in their order, with the keys of providers.

        Raises:
            ConfigError: A key cannot be resolved.
        """
        providers = {one.name: one for one in config.providers}
        found: list[Route] = []
        for name in config.order:
            if name == SCRIPTED:
                found.append(ScriptedRoute(config.scripted))
            elif name == CALLER:
                found.append(CallerRoute(config.caller, lambda: self._host.link, self._redactor.known))
            else:
                provider = providers[name]
                key = None if provider.api_key is None else provider.api_key.resolve(os.environ)
                route = OpenAiRoute(provider, key)
                stack.push_async_callback(route.close)
                found.append(route)
        return found

    def methods(self) -> dict[str, Method]:
        """By procedure."""
        calls = rpc.methods(
            {
                messages.LLM_COMPLETE: self._without_secrets(self._complete),
                messages.MCP_LIST_SERVERS: self._without_secrets(self._list_servers),
                messages.MCP_LIST_TOOLS: self._without_secrets(self._list_tools),
                messages.MCP_CALL_TOOL: self._without_secrets(self._call_tool),
                messages.GET_HEALTH: self._health,
            }
        )
        return {**calls, **rpc.streams({messages.LLM_STREAM: self._stream})}

    def _without_secrets(self, handler: rpc.Served) -> rpc.Served:
        """The handler, whose answers do not show what only this process knows: some servers quote their key."""

        async def handle(body: Any, request: Request) -> Model:
            try:
                made = await handler(body, request)
                return type(made).model_validate(_known_out(self._redactor, made.model_dump()))
            except RatchetError as error:
                raise self._shown(error) from None

        return handle

    def _shown(self, error: RatchetError) -> RatchetError:
        return type(error)(self._redactor.text(error.message), details=self._redactor.value(error.details))

    async def _complete(self, body: Complete, request: Request) -> Completion:
        return await self._desk.complete(body, _deadline(request))

    async def _stream(self, body: Complete, request: Request) -> AsyncGenerator[Piece]:
        try:
            async with aclosing(self._desk.stream(body, _deadline(request))) as pieces:
                async for piece in pieces:
                    yield piece
        except RatchetError as error:
            raise self._shown(error) from None

    async def _list_servers(self, _body: ListServers, _request: Request) -> RemoteServers:
        return self._servers.list_servers()

    async def _list_tools(self, body: ListRemoteTools, request: Request) -> RemoteTools:
        return await self._servers.list_tools(body.server, _deadline(request))

    async def _call_tool(self, body: CallRemoteTool, request: Request) -> RemoteResult:
        return await self._servers.call_tool(body, _deadline(request))

    async def _health(self, _body: Empty, _request: Request) -> Health:
        return self._process.report(counters={**self._host.link.counters, **self._counters})


def _known_out(redactor: Redactor, value: Any) -> Any:
    """JSON-like data without the secrets that are known; nothing else of it is touched."""
    if isinstance(value, str):
        return redactor.known(value)
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {name: _known_out(redactor, item) for name, item in items}
    if isinstance(value, (list, tuple)):
        return [_known_out(redactor, item) for item in cast("Sequence[Any]", value)]
    return value


def _deadline(request: Request) -> float:
    now = asyncio.get_running_loop().time()
    return now + _CALL_SECONDS_MAX if request.deadline is None else request.deadline


async def main(host: ActorHost) -> None:
    """Serve until drained.

    Raises:
        StartupError: A provider is configured, and what it takes to ask it is not installed.
        ConfigError: A key cannot be resolved.
    """
    async with AsyncExitStack() as stack:
        if host.setup.config.llm.providers:
            await asyncio.to_thread(load_sdk)  # now rather than while a task waits; and its absence is told at once
        gateway = Gateway(host, stack)
        host.connect(gateway.methods())
        gateway.own_connections()
        host.ready(routes=list(host.setup.config.llm.order))
        await host.drain.wait()
        await host.farewell(host.drain_seconds - _CLOSING_SECONDS)
