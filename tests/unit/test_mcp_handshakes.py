"""What a session of the handshake eras is told."""

import asyncio
from typing import Any, cast

import anyio
import mcp_types as t
import pytest
from mcp.server.connection import Connection
from mcp.server.subscriptions import ResourceUpdated, ToolsListChanged
from mcp.shared.exceptions import MCPError

from actors.mcp_front.protocol import handshakes
from actors.mcp_front.protocol.handshakes import HandshakeSession
from actors.mcp_front.protocol.subscriptions import RESOURCES_MAX, keep, make_room
from tests.harness import eventually_async


class Client:
    """The other side: takes one notification at each `reads`."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.reads = asyncio.Semaphore(0)

    async def notify(self, method: str, params: dict[str, Any] | None, _opts: object = None) -> None:
        await self.reads.acquire()
        self.told.append(str((params or {}).get("uri", method)))


class Held:
    def __init__(self, *, over: bool = False) -> None:
        self.over = over
        self.released = 0

    def release(self) -> None:
        self.released += 1


def session_of(client: Client, *, greeted: bool = True) -> HandshakeSession:
    connection = Connection(cast("Any", client), protocol_version="2025-11-25")
    if greeted:
        connection.initialized.set()
    return HandshakeSession(connection)


async def test_what_waits_says_it_for_every_later_event() -> None:
    client = Client()
    session = session_of(client)
    session.subscribed["a"] = Held()
    for _ in range(100):
        session.tell(ResourceUpdated(uri="a"))
        session.tell(ResourceUpdated(uri="not subscribed"))
        session.tell(ToolsListChanged())
    for _ in range(10):
        client.reads.release()
    await anyio.wait_all_tasks_blocked()
    assert client.told == ["a", "notifications/tools/list_changed"]


async def test_a_client_that_does_not_read_loses_its_events_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handshakes, "SEND_SECONDS", 0.01)
    client = Client()
    session = session_of(client)
    session.subscribed["a"] = Held()
    session.tell(ResourceUpdated(uri="a"))
    session.tell(ToolsListChanged())
    await eventually_async(lambda: session.dropped == 2, "both are given up")
    client.reads.release()
    session.tell(ResourceUpdated(uri="a"))
    await anyio.wait_all_tasks_blocked()
    assert client.told == ["a"], "it hears again once it reads"


async def test_nobody_is_told_before_the_handshake_is_over_or_after_the_end() -> None:
    client = Client()
    client.reads.release()
    session_of(client, greeted=False).tell(ToolsListChanged())
    session, held = session_of(client), Held()
    session.subscribed["a"] = held
    session.end()
    session.tell(ResourceUpdated(uri="a"))
    await anyio.wait_all_tasks_blocked()
    assert (client.told, held.released) == ([], 1)


async def test_what_has_ended_makes_room_and_nothing_else_does() -> None:
    session = session_of(Client())
    session.subscribed |= {str(number): Held() for number in range(RESOURCES_MAX)}
    with pytest.raises(MCPError) as caught:
        make_room(session)
    assert caught.value.error.code == t.INVALID_REQUEST
    ended = Held(over=True)
    session.subscribed["0"] = ended
    make_room(session)
    assert (len(session.subscribed), ended.released) == (RESOURCES_MAX - 1, 1)


def test_a_full_session_holds_no_more_but_takes_the_same_again() -> None:
    session = session_of(Client())
    first, again, more = Held(), Held(), Held()
    session.subscribed |= {"0": first, **{str(number): Held() for number in range(1, RESOURCES_MAX)}}
    keep(session, "0", again)
    assert (session.subscribed["0"], first.released, again.released) == (again, 1, 0)
    with pytest.raises(MCPError):
        keep(session, "one more", more)
    assert (len(session.subscribed), more.released) == (RESOURCES_MAX, 1)
