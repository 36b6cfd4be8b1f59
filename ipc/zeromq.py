"""The transports over ZeroMQ: a ROUTER for the hub, a DEALER for a link.

Raw sockets on the running asyncio loop (`ipc.reading`). Nothing here blocks: a peer without room makes its envelopes
wait in its outbox. Nothing here makes a context; importing this is safe before a fork.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

import structlog
import zmq

from ipc.codec import FRAME_BYTES_MAX, decode_message, encode_message
from ipc.curve import CurveClient
from ipc.envelope import Envelope
from ipc.errors import MalformedError
from ipc.reading import EVENTS, NOBLOCK, POLLOUT, Monitor, Reader, nothing, option
from ipc.sending import Outcome, Sender

FRAMES_IN_FLIGHT = 64  # what ZeroMQ itself may hold for a peer; the rest waits where it is bounded, seen and sorted
RECONNECT_MS_MIN = 20
RECONNECT_MS_MAX = 100
REFUSED_SECONDS = 1.0  # from the refusal of a key to the next try
LINK_LINGER_MS = 200

_NOBLOCK_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)  # a plain number: an IntFlag's `|` is a Python call
_LINK_EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED

Context = zmq.Context[zmq.Socket[bytes]]

log = structlog.stdlib.get_logger("ipc.zeromq")


def decode(parts: list[bytes], counters: Counter[str]) -> list[Envelope]:
    """The envelopes of a message; none when it is malformed, which is counted."""
    try:
        return decode_message(parts)
    except MalformedError as error:
        counters["malformed"] += 1
        log.warning("a message was dropped", error=error.message)
        return []


def hand_over(socket: "zmq.Socket[bytes]", parts: list[bytes], route: bytes | None = None) -> Outcome:
    """Hand over one message without waiting; the attachments are not copied.

    ZeroMQ takes or refuses a message as a whole: only the first part that it is given can be refused.
    """
    last = len(parts) - 1
    for last_try in (False, True):
        try:
            if route is not None:
                socket.send(route, _NOBLOCK_MORE)
            for number, part in enumerate(parts):
                socket.send(part, NOBLOCK if number == last else _NOBLOCK_MORE, copy=number == 0)
        except zmq.Again:
            # ZeroMQ looks at its own news only now and then while sending; asking for EVENTS makes it look.
            if last_try or not option(socket, EVENTS) & POLLOUT:
                return Outcome.FULL
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return Outcome.GONE
        else:
            break
    return Outcome.SENT


class ZmqHubTransport:
    """A `HubTransport` on a ROUTER socket."""

    def __init__(self, context: Context, endpoint: str) -> None:
        self._context = context
        self._endpoint = endpoint
        self._socket: zmq.Socket[bytes] | None = None
        self._sender = Sender(self._transmit, lost=self._on_lost, after_send=self._after_send)

    def open(
        self,
        *,
        receive: Callable[[bytes, list[Envelope]], None],
        lost: Callable[[bytes, list[Envelope]], None],
        disconnected: Callable[[], None],
        counters: Counter[str],
    ) -> None:
        """Bind. ZeroMQ itself removes the socket file that a killed predecessor left.

        Raises:
            zmq.ZMQError: The endpoint cannot be used.
        """
        socket = self._context.socket(zmq.ROUTER)
        socket.linger = 0
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.SNDHWM, FRAMES_IN_FLIGHT)
        socket.setsockopt(zmq.RCVHWM, FRAMES_IN_FLIGHT)
        socket.setsockopt(zmq.MAXMSGSIZE, FRAME_BYTES_MAX)
        self._prepare(socket)
        try:
            socket.bind(self._endpoint)
        except zmq.ZMQError:
            socket.close()
            raise
        self._socket = socket
        self._receive = receive
        self._disconnected = disconnected
        self._counters = counters
        self._lost = lost
        self._reader = Reader(socket, self._read, nothing)
        self._monitor = Monitor(socket, zmq.EVENT_DISCONNECTED, self._on_event)

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
        self._reader.check()

    def forget(self, route: bytes) -> list[Envelope]:
        """Drop a link's queue. Returns what was in it."""
        return self._sender.forget(route)

    def queued(self, route: bytes) -> int:
        """How many envelopes wait for a link."""
        return self._sender.queued(route)

    def close(self) -> None:
        """Hand over what can be, then close the socket."""
        if self._socket is None:
            return
        self._sender.flush()
        self._sender.close()
        self._monitor.close()
        self._reader.close()
        self._socket.close()
        self._socket = None

    def _prepare(self, socket: "zmq.Socket[bytes]") -> None:
        """Set what else a kind of hub wants of its socket before it is bound."""

    def _read(self) -> None:
        assert self._socket is not None
        route, *parts = self._socket.recv_multipart(NOBLOCK)
        envelopes = decode(parts, self._counters)
        if envelopes:
            self._receive(route, envelopes)

    def _transmit(self, route: bytes, parts: list[bytes]) -> Outcome:
        return Outcome.GONE if self._socket is None else hand_over(self._socket, parts, route)

    def _after_send(self) -> None:
        if self._socket is not None:
            self._reader.check()

    def _on_lost(self, route: bytes, envelopes: list[Envelope]) -> None:
        self._lost(route, envelopes)

    def _on_event(self, _event: int) -> None:
        self._disconnected()


class ZmqLinkTransport:
    """A `LinkTransport` on a DEALER socket. Frames go out only over a finished connection, never into a void."""

    def __init__(
        self,
        context: Context,
        endpoint: str,
        *,
        curve: CurveClient | None = None,
        refused: Callable[[], None] = nothing,
    ) -> None:
        """Make an end that does nothing until `open`.

        Args:
            context: Of this process.
            endpoint: Where the hub is.
            curve: The keys, where the hub asks for them.
            refused: Called whenever the hub does not admit the key; this end tries again in a while.
        """
        self._context = context
        self._endpoint = endpoint
        self._curve = curve
        self._refused = refused
        self._socket: zmq.Socket[bytes] | None = None
        self._up = False
        self._identity = b""
        self._again: asyncio.TimerHandle | None = None
        self._sender = Sender(self._transmit, lost=self._lost, after_send=self._after_send)

    def open(
        self,
        identity: bytes,
        *,
        receive: Callable[[list[Envelope]], None],
        connected: Callable[[bool], None],
        counters: Counter[str],
    ) -> None:
        """Start connecting; ZeroMQ goes on trying."""
        self._receive = receive
        self._connected = connected
        self._counters = counters
        self._connect(identity)

    def send(self, envelope: Envelope) -> None:
        """Queue one envelope.

        Raises:
            BusyError: The queue is full.
        """
        self._sender.send(b"", envelope)

    def reset(self, identity: bytes) -> None:
        """Close the socket and connect another."""
        self._disconnect(linger_ms=0)
        self._connect(identity)

    def close(self) -> None:
        """Hand over what can be, then close the socket; ZeroMQ lingers a little for it."""
        if self._socket is None:
            return
        self._sender.flush()
        self._sender.close()
        self._disconnect(linger_ms=LINK_LINGER_MS)

    def _connect(self, identity: bytes) -> None:
        self._identity = identity
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.ROUTING_ID, identity)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDHWM, FRAMES_IN_FLIGHT)
        socket.setsockopt(zmq.RCVHWM, FRAMES_IN_FLIGHT)
        socket.setsockopt(zmq.MAXMSGSIZE, FRAME_BYTES_MAX)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS_MIN)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS_MAX)
        socket.setsockopt(zmq.IPV6, int("[" in self._endpoint))
        if self._curve is not None:
            self._curve.apply(socket)
        self._socket = socket
        self._monitor = Monitor(socket, _LINK_EVENTS, self._on_event)
        self._reader = Reader(socket, self._read, self._sender.retry)
        socket.connect(self._endpoint)

    def _disconnect(self, *, linger_ms: int) -> None:
        assert self._socket is not None
        self._monitor.close()
        self._reader.close()
        self._socket.close(linger=linger_ms)
        self._socket = None
        self._up = False
        if self._again is not None:
            self._again.cancel()

    def _read(self) -> None:
        assert self._socket is not None
        envelopes = decode(self._socket.recv_multipart(NOBLOCK), self._counters)
        if envelopes:
            self._receive(envelopes)

    def _transmit(self, _route: bytes, parts: list[bytes]) -> Outcome:
        return hand_over(self._socket, parts) if self._up and self._socket is not None else Outcome.FULL

    def _after_send(self) -> None:
        if self._socket is not None:
            self._reader.check()

    def _lost(self, _route: bytes, _envelopes: list[Envelope]) -> None:
        """A DEALER never says so."""

    def _on_event(self, event: int) -> None:
        """What waited for the connection goes out after what the link says first on it."""
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:  # ZeroMQ gives up then; whoever enrols the key may be late
            self._again = asyncio.get_running_loop().call_later(REFUSED_SECONDS, self.reset, self._identity)
            self._refused()
            return
        self._up = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
        self._connected(self._up)
        if self._up:
            self._sender.retry()
