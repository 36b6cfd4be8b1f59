"""A session that began with a handshake: the server may speak first in it, and it holds what has to be freed.

The current protocol has no sessions; there a client hears of changes through a request that it leaves open.
"""

import asyncio
from typing import Any, Protocol, assert_never

import structlog
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)

log = structlog.stdlib.get_logger("mcp-front")

SEND_SECONDS = 5.0


class Subscription(Protocol):
    """What is held for a client that wants to hear of a resource."""

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        ...

    def release(self) -> None:
        """Hold it no more."""


class HandshakeSession:
    """What one client is told, and how much of it waits.

    Events say that something changed, not what: one that waits already says it for every later one. So no more can wait
    than there are things that change, and a client that does not read loses its events and blocks nobody.

    Attributes:
        subscribed: Resources whose changes it wants to hear of, by URI.
        dropped: Events that it did not take in time.
    """

    def __init__(self, connection: Connection) -> None:
        self.subscribed: dict[str, Subscription] = {}
        self.dropped = 0
        self._connection = connection
        self._pending: dict[ServerEvent, None] = {}
        self._pump: asyncio.Task[None] | None = None

    def tell(self, event: ServerEvent) -> None:
        """Have the client told, where it wants to know: soon, and in no one's way."""
        if isinstance(event, ResourceUpdated) and event.uri not in self.subscribed:
            return
        if not self._connection.initialized.is_set():
            return  # it has not asked for anything yet that could have changed
        self._pending[event] = None
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run(), name="notifications")

    def unsubscribe(self, uri: str) -> None:
        """Tell it no more of this resource."""
        held = self.subscribed.pop(uri, None)
        if held is not None:
            held.release()

    def end(self) -> None:
        """Tell it nothing more."""
        for uri in list(self.subscribed):
            self.unsubscribe(uri)
        self._pending.clear()
        if self._pump is not None:
            self._pump.cancel()

    async def _run(self) -> None:
        while self._pending:
            event = next(iter(self._pending))
            del self._pending[event]
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await _send(self._connection, event)
            except TimeoutError:
                self.dropped += 1 + len(self._pending)
                self._pending.clear()
                log.warning("a client does not read its notifications", session=self._connection.session_id)


async def _send(connection: Connection, event: ServerEvent) -> None:
    match event:
        case ToolsListChanged():
            await connection.send_tool_list_changed()
        case PromptsListChanged():
            await connection.send_prompt_list_changed()
        case ResourcesListChanged():
            await connection.send_resource_list_changed()
        case ResourceUpdated(uri=uri):
            await connection.send_resource_updated(uri)
        case _:
            assert_never(event)


def connection_of(context: ServerRequestContext[Any, Any]) -> Connection:
    """The connection of a request: the same for every request of a session.

    The SDK has no public way to it from a handler, and nothing else tells when a session ends.
    """
    return context.session._connection  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
