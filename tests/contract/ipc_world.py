"""One star of messaging, on either transport: what the contract tests are written against."""

import asyncio
import itertools
import socket
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import zmq

from ipc.access import AccessTable
from ipc.codec import encode_batch
from ipc.curve import CurveClient, KeyPair
from ipc.envelope import PROTOCOL_VERSION, Envelope, Kind
from ipc.handshake import Hello, encode_hello, fits, identity
from ipc.hub import Hub, Peer
from ipc.joined import Admission, JoinedHubTransport
from ipc.link import Link, Method
from ipc.memory import MemoryNetwork
from ipc.remote import CurveHubTransport
from ipc.transport import HubTransport, LinkTransport
from ipc.zeromq import ZmqHubTransport, ZmqLinkTransport

BOUND_SECONDS = 10.0


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait, with a bound, for what no signal tells."""
    async with asyncio.timeout(BOUND_SECONDS):
        while not condition():  # noqa: ASYNC110 - polls what fires no event
            await asyncio.sleep(0.002)


class Outsider(Protocol):
    """A connection that is no link: it says what it likes, and reads only when told to."""

    def say(self, frame: bytes) -> None: ...

    def close(self) -> None: ...


class World(ABC):
    """A hub at a time, and links. `crash` ends one of them without a farewell."""

    def __init__(self) -> None:
        self._tasks: dict[object, asyncio.Task[None]] = {}
        self._transports: dict[object, LinkTransport] = {}
        self._incarnations = itertools.count(1)
        self.admits: Callable[[bytes, str, str], bool] = fits  # of the hub that is made next

    @abstractmethod
    def hub_transport(self) -> HubTransport: ...

    @abstractmethod
    def link_transport(self) -> LinkTransport: ...

    @abstractmethod
    def outsider(self, route: bytes) -> Outsider: ...

    def mute(self, name: str) -> Outsider:
        """A peer that says hello and never reads."""
        outsider = self.outsider(identity(name, "mute"))
        outsider.say(hello_frame(name, "mute"))
        return outsider

    async def hub(
        self,
        methods: Mapping[str, Method] | None = None,
        *,
        access: AccessTable | None = None,
        on_peer: Callable[[Peer, bytes], None] | None = None,
        on_gone: Callable[[Peer], None] | None = None,
    ) -> tuple[Hub, Link]:
        """Start a hub named `runner`."""
        hub = Hub(
            self.hub_transport(),
            name="runner",
            incarnation=f"hub-{next(self._incarnations)}",
            access=access or AccessTable.everyone(),
            on_peer=on_peer,
            on_gone=on_gone,
            admits=self.admits,
        )
        local = hub.local_link(methods or {})
        self._tasks[hub] = asyncio.create_task(hub.run())
        await local.wait_welcomed(BOUND_SECONDS)
        return hub, local

    def start_link(
        self,
        name: str,
        methods: Mapping[str, Method] | None = None,
        *,
        hello_body: Callable[[], bytes] = bytes,
        on_welcome: Callable[[str], None] | None = None,
        transport: LinkTransport | None = None,
    ) -> Link:
        """Start a link, connected or not."""
        transport = transport or self.link_transport()
        link = Link(
            transport,
            name=name,
            incarnation=f"{next(self._incarnations)}",
            methods=methods or {},
            hello_body=hello_body,
            on_welcome=on_welcome,
        )
        self._transports[link] = transport
        self._tasks[link] = asyncio.create_task(link.run())
        return link

    async def link(self, name: str, methods: Mapping[str, Method] | None = None, **more: Any) -> Link:
        """Start a link and wait until it is welcomed."""
        link = self.start_link(name, methods, **more)
        await link.wait_welcomed(BOUND_SECONDS)
        return link

    async def end(self, one: Hub | Link) -> None:
        """End a hub or a link in good order."""
        task = self._tasks.pop(one)
        task.cancel()
        with suppress(asyncio.CancelledError):  # ours, of the line above
            await task

    async def crash(self, link: Link) -> None:
        """End a link without a farewell."""
        self._transports[link].close()
        await self.end(link)

    async def ended(self, one: Hub | Link) -> None:
        """Wait until it ended by itself; raises what ended it."""
        async with asyncio.timeout(BOUND_SECONDS):
            await self._tasks.pop(one)

    async def close(self) -> None:
        for one in tuple(self._tasks):
            assert isinstance(one, Hub | Link)
            await self.end(one)


class MemoryWorld(World):
    def __init__(self) -> None:
        super().__init__()
        self.network = MemoryNetwork()

    def hub_transport(self) -> HubTransport:
        return self.network.hub_transport()

    def link_transport(self) -> LinkTransport:
        return self.network.link_transport()

    def outsider(self, route: bytes) -> Outsider:
        return _MemoryOutsider(self.network, route)


class _MemoryOutsider:
    def __init__(self, network: MemoryNetwork, route: bytes) -> None:
        self._network = network
        self._route = route
        network.hold(route)
        self._link = network.link_transport()
        self._link.open(route, receive=_ignore, connected=_ignore, counters=Counter())

    def say(self, frame: bytes) -> None:
        hub = self._network.hub
        assert hub is not None
        asyncio.get_running_loop().call_soon(hub.arrive, self._route, frame)

    def close(self) -> None:
        self._link.close()


class ZmqWorld(World):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.context = zmq.Context()
        self._endpoint = f"ipc://{folder}/hub.sock"

    def hub_transport(self) -> HubTransport:
        return ZmqHubTransport(self.context, self._endpoint)

    def link_transport(self) -> LinkTransport:
        return ZmqLinkTransport(self.context, self._endpoint)

    def outsider(self, route: bytes) -> Outsider:
        return _ZmqOutsider(self.context, self._endpoint, route)

    async def close(self) -> None:
        await super().close()
        self.context.destroy(linger=0)  # a test that failed left its outsiders open


class CurveWorld(ZmqWorld):
    """A hub with sockets of both kinds; every link comes over the network, with one key that is admitted.

    Attributes:
        server: The hub's keys.
        own: Those of the links.
        admitted: The public keys that may connect.
        admission: Who may be called what; of hubs that are made afterwards.
        endpoint: Where the network's socket is.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = KeyPair.generate()
        self.own = KeyPair.generate()
        self.admitted = {self.own.public}
        self.admission: Admission = anybody
        self.endpoint = f"tcp://127.0.0.1:{_free_port()}"
        self._hub_context: zmq.Context[zmq.Socket[bytes]] | None = None  # of the latest hub

    def hub_transport(self) -> HubTransport:
        context = self._hub_context = zmq.Context()
        remote = CurveHubTransport(
            context, self.endpoint, own=self.server, admitted=self.is_admitted, heard=self.is_admitted
        )
        joined = JoinedHubTransport(super().hub_transport(), remote, self.admission)
        self.admits = joined.admits
        return joined

    def is_admitted(self, key: bytes) -> bool:
        """Whether a test lets this key in."""
        return key in self.admitted

    async def end(self, one: Hub | Link) -> None:
        """A hub's port is free when its process has ended, here: its context."""
        await super().end(one)
        if isinstance(one, Hub) and self._hub_context is not None:
            self._hub_context.destroy(linger=0)

    def link_transport(self) -> LinkTransport:
        return self.link_with(self.own)

    def link_with(self, own: KeyPair, refused: Callable[[], None] = lambda: None) -> LinkTransport:
        """An end for a link that proves another key."""
        curve = CurveClient(self.server.public, own)
        return ZmqLinkTransport(self.context, self.endpoint, curve=curve, refused=refused)

    def local_transport(self) -> LinkTransport:
        """An end for a link of the hub's own machine."""
        return super().link_transport()

    def local_outsider(self) -> Outsider:
        """A connection of the hub's own machine that has no routing id: ZeroMQ makes one."""
        return _ZmqOutsider(self.context, self._endpoint, None)

    async def join(self, name: str, transport: LinkTransport, methods: Mapping[str, Method] | None = None) -> Link:
        """Start a link on a transport and wait until it is welcomed; raises why it is not."""
        link = self.start_link(name, methods, transport=transport)
        welcome = asyncio.create_task(link.wait_welcomed(BOUND_SECONDS))
        await asyncio.wait({welcome, self._tasks[link]}, return_when=asyncio.FIRST_COMPLETED)
        if not welcome.done():
            welcome.cancel()
            await self.ended(link)
        return link

    def outsider(self, route: bytes) -> Outsider:
        return _ZmqOutsider(self.context, self.endpoint, route, CurveClient(self.server.public, self.own))


def anybody(_key: bytes | None, _name: str) -> bool:
    """Any name for anybody, unless a test has another opinion."""
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class _ZmqOutsider:
    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        endpoint: str,
        route: bytes | None,
        curve: CurveClient | None = None,
    ) -> None:
        self._socket = context.socket(zmq.DEALER)
        self._socket.linger = 0
        if route is not None:
            self._socket.setsockopt(zmq.ROUTING_ID, route)
        self._socket.setsockopt(zmq.RCVHWM, 1)
        if curve is not None:
            curve.apply(self._socket)
        self._socket.connect(endpoint)

    def say(self, frame: bytes) -> None:
        self._socket.send(frame)

    def close(self) -> None:
        self._socket.close()


def hello_frame(name: str, incarnation: str, *, versions: tuple[int, int] = (1, PROTOCOL_VERSION)) -> bytes:
    hello = Hello(versions[0], versions[1], name, incarnation, 1, b"")
    return encode_batch([Envelope(Kind.HELLO, b"", name, "", body=encode_hello(hello))])


def _ignore(_anything: object) -> None:
    """An outsider does not listen."""
