"""The in-memory twin of the ZeroMQ transports: one hub and its links in one process, on one event loop.

Frames are encoded and decoded as on a wire, so the same limits hold; they travel through the loop's ready queue, so
nothing here waits or depends on the machine. Each end handles what arrives in the context in which it was opened, as
another process would. Faults are made by hand: `hold` stops a link from reading, `drop` lets frames vanish, `carry`
may be replaced to have them late or twice, and `cut` is what the death of a process does to its end.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from functools import partial

from ipc.codec import decode_message, encode_message
from ipc.envelope import Envelope
from ipc.errors import MalformedError
from ipc.sending import Outcome, Sender

FRAMES_IN_FLIGHT = 64


class MemoryNetwork:
    """Where one hub at a time and its links meet."""

    def __init__(self) -> None:
        self.hub: MemoryHubTransport | None = None
        self.links: dict[bytes, MemoryLinkTransport] = {}
        self.held: set[bytes] = set()
        self.drop: Callable[[bytes, bytes], bool] = _drop_nothing

    def hub_transport(self) -> "MemoryHubTransport":
        """An end for a hub; a later one that opens takes the place of the one before."""
        return MemoryHubTransport(self)

    def link_transport(self) -> "MemoryLinkTransport":
        """An end for a link."""
        return MemoryLinkTransport(self)

    def hold(self, identity: bytes) -> None:
        """Stop a link from reading: what the hub sends it piles up."""
        self.held.add(identity)

    def release(self, identity: bytes) -> None:
        """Let it read again."""
        self.held.discard(identity)
        link = self.links.get(identity)
        if link is not None:
            link.pump()

    def carry(self, identity: bytes, frame: bytes, deliver: Callable[[bytes], None], *, to_hub: bool) -> None:
        """Take a frame of a link, or for it, to the other end; those of one direction stay in order.

        The attachments of a message go where its frame, the first part, is delivered.
        """
        if not self.drop(identity, frame):
            deliver(frame)

    def sever(self, link: "MemoryLinkTransport") -> None:
        """Lose the connection of a link: what is under way is lost with it."""
        self.links.pop(link.identity, None)
        link.plug(connected=False)
        if self.hub is not None:
            self.hub.miss()

    def mend(self, link: "MemoryLinkTransport") -> None:
        """Let a link connect again, under the identity it has by now."""
        link.rejoin()


def _drop_nothing(_identity: bytes, _frame: bytes) -> bool:
    return False


def _decode(parts: Sequence[bytes], counters: Counter[str]) -> list[Envelope]:
    try:
        return decode_message(parts)
    except MalformedError:
        counters["malformed"] += 1
        return []


class MemoryHubTransport:
    """A `HubTransport` on a `MemoryNetwork`."""

    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network
        self._open = False
        self._sender = Sender(self._transmit, lost=self._on_lost, after_send=_nothing)

    def open(
        self,
        *,
        receive: Callable[[bytes, list[Envelope]], None],
        lost: Callable[[bytes, list[Envelope]], None],
        disconnected: Callable[[], None],
        counters: Counter[str],
    ) -> None:
        """Become the network's hub."""
        self._receive = receive
        self._counters = counters
        self._lost = lost
        self._disconnected = disconnected
        self._open = True
        self._context = copy_context()
        self._network.hub = self
        for link in tuple(self._network.links.values()):
            link.plug(connected=True)

    def send(self, route: bytes, envelope: Envelope) -> None:
        """Queue one envelope for a link.

        Raises:
            BusyError: That link's queue is full.
        """
        self._sender.send(route, envelope)

    def answer(self, route: bytes, envelope: Envelope) -> None:
        """Send one envelope to a stranger, if that is possible at once."""
        if self._transmit(route, encode_message([envelope])) is not Outcome.SENT:
            self._counters["dropped.answer"] += 1

    def forget(self, route: bytes) -> list[Envelope]:
        """Drop a link's queue. Returns what was in it."""
        return self._sender.forget(route)

    def queued(self, route: bytes) -> int:
        """How many envelopes wait for a link."""
        return self._sender.queued(route)

    def close(self) -> None:
        """Leave the network."""
        if not self._open:
            return
        self._sender.flush()
        self._sender.close()
        self.cut()

    def cut(self) -> None:
        """Be gone from one moment to the next."""
        self._open = False
        if self._network.hub is self:
            self._network.hub = None
            for link in tuple(self._network.links.values()):
                link.plug(connected=False)

    def arrive(self, identity: bytes, frame: bytes, attachments: Sequence[bytes] = ()) -> None:
        """A message of a link; for the other end."""
        asyncio.get_running_loop().call_soon(self._take, identity, [frame, *attachments], context=self._context)

    def miss(self) -> None:
        """A link left; for the other end."""
        asyncio.get_running_loop().call_soon(self._unplugged, context=self._context)

    def _take(self, identity: bytes, parts: list[bytes]) -> None:
        envelopes = _decode(parts, self._counters) if self._open else []
        if envelopes:
            self._receive(identity, envelopes)

    def _unplugged(self) -> None:
        if self._open:
            self._disconnected()

    def _on_lost(self, route: bytes, envelopes: list[Envelope]) -> None:
        self._lost(route, envelopes)

    def _transmit(self, route: bytes, parts: list[bytes]) -> Outcome:
        link = self._network.links.get(route)
        if link is None or not self._open:
            return Outcome.GONE
        return link.push(*parts)


class MemoryLinkTransport:
    """A `LinkTransport` on a `MemoryNetwork`."""

    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network
        self.identity = b""
        self._context = Context()
        self._connection = 0
        self._inbox: deque[list[bytes]] = deque()
        self._open = False
        self._up = False
        self._pumping = False
        self._sender = Sender(self._transmit, lost=_lose, after_send=_nothing)

    def open(
        self,
        identity: bytes,
        *,
        receive: Callable[[list[Envelope]], None],
        connected: Callable[[bool], None],
        counters: Counter[str],
    ) -> None:
        """Join the network."""
        self._receive = receive
        self._connected = connected
        self._counters = counters
        self._context = copy_context()
        self._join(identity)

    def send(self, envelope: Envelope) -> None:
        """Queue one envelope.

        Raises:
            BusyError: The queue is full.
        """
        self._sender.send(b"", envelope)

    def reset(self, identity: bytes) -> None:
        """Leave the network and join it again."""
        self.cut()
        self._join(identity)

    def close(self) -> None:
        """Hand over what can be and leave the network."""
        if not self._open:
            return
        self._sender.flush()
        self._sender.close()
        self.cut()

    def push(self, frame: bytes, *attachments: bytes) -> Outcome:
        """A message of the hub; for the other end."""
        if len(self._inbox) >= FRAMES_IN_FLIGHT:
            return Outcome.FULL
        self._network.carry(self.identity, frame, partial(self._arrive, self._connection, attachments), to_hub=False)
        return Outcome.SENT

    def pump(self) -> None:
        """Read what is there, in the next turn of the loop."""
        if not self._pumping and self._inbox:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._read, context=self._context)

    def plug(self, *, connected: bool) -> None:
        """The hub came or went; for the other end."""
        if not connected:
            self._forget()
        asyncio.get_running_loop().call_soon(self._tell, connected, context=self._context)

    def cut(self) -> None:
        """Be gone from one moment to the next."""
        self._open = self._up = False
        self._forget()
        if self._network.links.pop(self.identity, None) is not None and self._network.hub is not None:
            self._network.hub.miss()

    def rejoin(self) -> None:
        """Have a connection again, after it was severed."""
        if self._open and self._network.links.get(self.identity) is not self:
            self._join(self.identity)

    def _join(self, identity: bytes) -> None:
        self.identity = identity
        self._open = True
        self._network.links[identity] = self
        if self._network.hub is not None:
            self.plug(connected=True)

    def _forget(self) -> None:
        """What this connection carried does not arrive any more."""
        self._connection += 1
        self._inbox.clear()

    def _arrive(self, connection: int, attachments: Sequence[bytes], frame: bytes) -> None:
        if connection == self._connection:
            self._inbox.append([frame, *attachments])
            self.pump()

    def _tell(self, connected: bool) -> None:
        if not self._open:
            return
        self._up = connected
        self._connected(connected)
        if connected:
            self._sender.retry()

    def _read(self) -> None:
        self._pumping = False
        while self._inbox and self._open and self.identity not in self._network.held:
            envelopes = _decode(self._inbox.popleft(), self._counters)
            if envelopes:
                self._receive(envelopes)

    def _transmit(self, _route: bytes, parts: list[bytes]) -> Outcome:
        hub = self._network.hub
        if hub is None or not self._open or not self._up:
            return Outcome.FULL
        frame, *attachments = parts
        deliver = partial(hub.arrive, self.identity, attachments=attachments)
        self._network.carry(self.identity, frame, deliver, to_hub=True)
        return Outcome.SENT


def _nothing() -> None:
    """No edge to look for."""


def _lose(_route: bytes, _envelopes: list[Envelope]) -> None:
    """A link's end never loses a route."""
