"""Word of changes to every client of this front that wants it: in both eras, on every transport.

Whoever knows of a change says so here and waits for nobody: what a client does not read is its own loss. Knows neither
what changed nor who may know of it: who subscribes to what is decided in `subscriptions.py`.
"""

from typing import Any

from mcp.server.connection import Connection
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)

from actors.mcp_front.protocol.handshakes import HandshakeSession, connection_of


class Notifications:
    """What a front has to say without being asked.

    Attributes:
        bus: Where open requests for changes (`subscriptions/listen`) hear of them.
    """

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self._sessions: dict[Connection, HandshakeSession] = {}
        self._dropped_earlier = 0
        self._tasks: str | None = None

    @property
    def dropped(self) -> int:
        """Events that clients did not take in time."""
        return self._dropped_earlier + sum(one.dropped for one in self._sessions.values())

    async def tools_changed(self) -> None:
        """The list of tools is another one, for some client at least."""
        await self._tell(ToolsListChanged())

    async def tasks_changed(self, revision: str) -> None:
        """What lists of tasks show has this revision: where that is news, the list of resources is another one."""
        if revision != self._tasks:
            self._tasks = revision
            await self._tell(ResourcesListChanged())

    async def resource_updated(self, uri: str) -> None:
        """Reading this resource gives something else now; those hear of it that subscribed to it."""
        await self._tell(ResourceUpdated(uri=uri))

    async def _tell(self, event: ServerEvent) -> None:
        for session in self._sessions.values():
            session.tell(event)
        await self.bus.publish(event)

    def session(self, context: ServerRequestContext[Any, Any]) -> HandshakeSession | None:
        """The session that a request belongs to; None in the current protocol, which has none."""
        return self._sessions.get(connection_of(context))

    async def note_handshakes(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Middleware of the server: a session that begins is known until its connection closes."""
        result = await call_next(ctx)
        if ctx.method == "initialize":
            self._begin(connection_of(ctx))
        return result

    def _begin(self, connection: Connection) -> None:
        if connection in self._sessions:
            return
        self._sessions[connection] = HandshakeSession(connection)
        connection.exit_stack.callback(self._end, connection)

    def _end(self, connection: Connection) -> None:
        session = self._sessions.pop(connection)
        self._dropped_earlier += session.dropped
        session.end()
