"""A link: one actor's way to every other, through the hub.

Owns the session (hello, welcome, pings, and beginning anew when either side restarted); the calls it makes are in
`ipc.calls`, the streams it reads in `ipc.incoming`, and what it serves in `ipc.serving`. Opens no body but those of the
session.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from ipc.alarm import Alarm
from ipc.calls import Calls
from ipc.codec import decode_error
from ipc.envelope import (
    BODY_BYTES_MAX,
    PROTOCOL_VERSION,
    PROTOCOL_VERSION_MIN,
    Envelope,
    Kind,
    check_address,
)
from ipc.errors import BusyError, IpcError, MalformedError, TooLargeError, UnknownPeerError
from ipc.handshake import Hello, Welcome, check_name, decode_welcome, encode_hello, identity
from ipc.incoming import Stream, Streams
from ipc.liveness import PING_SECONDS, Liveness, liveness
from ipc.serving import Handler, Method, Request, Serving, StreamHandler
from ipc.transport import LinkTransport

__all__ = ["Handler", "Link", "Method", "Request", "Stream", "StreamHandler"]

HELLO_SECONDS_MIN = 0.02
HELLO_SECONDS_MAX = 0.5
HELLO_BYTES_MAX = 1024 * 1024
UNANSWERED_SECONDS = 2.0  # a connection on which no hello is answered for this long is made anew
PAUSE_SECONDS = 1.0  # a timer that is this late means that this process itself stood still

log = structlog.stdlib.get_logger("ipc.link")


class Link:
    """Calls, events and handlers of one name.

    Attributes:
        name: `role[:instance]`.
        incarnation: Random per start of the process.
        welcomed: Set while the hub knows this link.
        hub_incarnation: Of the hub that said welcome last.
        counters: What was dropped, resent, replayed, joined, lost or late.
    """

    def __init__(
        self,
        transport: LinkTransport,
        *,
        name: str,
        incarnation: str,
        methods: Mapping[str, Method],
        hello_body: Callable[[], bytes] = bytes,
        on_welcome: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a link that does nothing until `run`.

        Args:
            transport: What carries it.
            name: `role[:instance]`, unique in the star.
            incarnation: Random per start of the process.
            methods: What it serves: handlers that answer once, or with a stream of items.
            hello_body: Asked at every hello, for whoever embeds the hub.
            on_welcome: Called with the hub's incarnation at the start of every session.
            clock: The event loop's clock.

        Raises:
            MalformedError: The name or incarnation cannot be one.
        """
        check_name(name, incarnation)
        self.name = name
        self.incarnation = incarnation
        self.welcomed = asyncio.Event()
        self.hub_incarnation: str | None = None
        self.counters: Counter[str] = Counter()
        self._transport = transport
        self._hello_body = hello_body
        self._on_welcome = on_welcome
        self._clock = clock
        self._calls = Calls(name, send=transport.send, counters=self.counters, clock=clock)
        self._streams = Streams(name, send=transport.send, counters=self.counters, clock=clock)
        self._serving = Serving(name, methods, send=transport.send, counters=self.counters, clock=clock)
        self._alarm = Alarm(self._keep)
        self._ended: asyncio.Future[None] | None = None
        self._connected = False
        self._draining = False
        self._session = 0
        self._resets = 0
        self._hello_seconds = HELLO_SECONDS_MIN
        self._unanswered_since = 0.0
        self._heard_at = 0.0
        self._due_at = 0.0
        self._on: dict[Kind, Callable[[Envelope], None]] = {
            Kind.CALL: self._serving.call,
            Kind.EVENT: self._serving.event,
            Kind.CANCEL: self._serving.cancel,
            Kind.REPLY: self._calls.settle,
            Kind.ERROR: self._on_error,
            Kind.ACCEPT: self._calls.accepted,
            Kind.PROGRESS: self._calls.progress,
            Kind.ITEM: self._streams.item,
            Kind.END: self._streams.over,
            Kind.CREDIT: self._serving.credit,
            Kind.ACK: self._serving.credit,
            Kind.WELCOME: self._on_welcomed,
            Kind.PONG: self._on_pong,
            Kind.PING: self._on_ping,
            Kind.BYE: self._on_bye,
        }

    @property
    def running(self) -> int:
        """How many handlers of calls and streams are at work."""
        return len(self._serving)

    async def run(self) -> None:
        """Keep the session until cancelled; then say bye, end every call and cancel every handler.

        Raises:
            IncompatibleError: The hub speaks no common version of the protocol.
            IpcError: The hub refuses this name.
        """
        try:
            self.start()
            assert self._ended is not None
            await asyncio.shield(self._ended)
        finally:
            await self.close()

    def start(self) -> None:
        """Begin connecting. `run` does it; a hub does it for the link of its own process. Idempotent."""
        if self._ended is not None:
            return
        self._ended = asyncio.get_running_loop().create_future()
        self._transport.open(
            identity(self.name, self.incarnation),
            receive=self._receive,
            connected=self._on_connected,
            counters=self.counters,
        )

    async def close(self) -> None:
        """End what `start` began. Idempotent."""
        self._alarm.cancel()
        self._send_quietly(Envelope(Kind.BYE, b"", self.name, ""), when=self.welcomed.is_set())
        self.welcomed.clear()
        self._calls.close()
        self._streams.close()
        self._transport.close()
        await self._serving.close()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    async def drain(self, seconds: float) -> bool:
        """Take no more calls, and wait until those at work are answered. Returns whether they were within `seconds`.

        The link's own calls go on. Others' are `unreachable` from now on: idempotent ones wait for a successor.
        """
        self._draining = True
        self._say_drain()
        until = self._clock() + seconds
        while (at_work := self._serving.handlers) and (left := until - self._clock()) > 0:
            await asyncio.wait(at_work, timeout=left)
        return not at_work

    async def wait_welcomed(self, timeout_seconds: float) -> None:
        """Wait for a session.

        Raises:
            TimeoutError: There was none in time.
        """
        async with asyncio.timeout(timeout_seconds):
            await self.welcomed.wait()

    async def call(
        self,
        target: str,
        method: str,
        body: bytes,
        *,
        timeout_seconds: float,
        idempotent: bool = False,
        trace: str | None = None,
        on_progress: Callable[[bytes], None] | None = None,
        patient: bool = False,
    ) -> bytes:
        """Call a method of `target` and wait for its reply. Cancelling the wait cancels the handler.

        An idempotent call is sent again when the session or the callee went away, until its deadline. The answer of a
        patient one may come a few milliseconds later than it could.

        Raises:
            UnreachableError: Nobody of that name is connected, or there was no session in time.
            BusyError: A queue on the way is full.
            DeniedError: The access table does not allow it.
            UnknownMethodError: The callee does not serve it.
            ExpiredError: No answer in time.
            LostError: The callee or the session went away; the outcome is unknown.
            TooLargeError: The body is larger than `BODY_BYTES_MAX`, or the reply was.
            RemoteError: The handler raised.
        """
        call = self._calls.start(
            target,
            method,
            body,
            timeout_seconds=timeout_seconds,
            idempotent=idempotent,
            trace=trace,
            on_progress=on_progress,
            patient=patient,
        )
        try:
            return await call.future
        except asyncio.CancelledError:
            self._calls.withdraw(call)
            raise

    def stream(
        self,
        target: str,
        method: str,
        body: bytes,
        *,
        timeout_seconds: float | None = None,
        trace: str | None = None,
    ) -> Stream:
        """A stream of items from a method of `target`: `async with` opens and closes it, `async for` reads it.

        The callee runs ahead of the reader by a window of items and bytes (`ipc.credit`), and then waits. A stream is
        never sent again: see `Stream` for how it may end.

        Args:
            target: Name of the callee.
            method: A method that answers with a stream.
            body: Opaque.
            timeout_seconds: The stream ends with ExpiredError after this; None lets it go on.
            trace: The caller's traceparent.
        """
        return Stream(self._streams, target, method, body, timeout_seconds=timeout_seconds, trace=trace)

    def cast(self, target: str, method: str, body: bytes) -> None:
        """Send an event; nobody answers it, and it is dropped and counted when it cannot be queued or delivered.

        Raises:
            MalformedError: The target or the method cannot be a name.
            TooLargeError: The body is larger than `BODY_BYTES_MAX`.
        """
        check_address(target, method)
        if len(body) > BODY_BYTES_MAX:
            raise TooLargeError(f"{method}: a body of {len(body)} bytes; {BODY_BYTES_MAX} are allowed")
        self._send_quietly(Envelope(Kind.EVENT, b"", self.name, target, method, body=body))

    def _receive(self, envelopes: list[Envelope]) -> None:
        self._heard_at = self._clock()
        for envelope in envelopes:
            react = self._on.get(envelope.kind)
            if react is None:
                self.counters["ignored"] += 1
            else:
                react(envelope)

    # --- the session ---------------------------------------------------------------------------------------------

    def _on_connected(self, connected: bool) -> None:
        self._connected = connected
        if connected:
            self._begin_session()
        else:
            self._lose_session()

    def _begin_session(self) -> None:
        """Say hello, as somebody the hub does not know."""
        self._lose_session()
        self._session += 1
        self._hello_seconds = HELLO_SECONDS_MIN
        self._unanswered_since = self._clock()
        self._say_hello()

    def _lose_session(self) -> None:
        self.welcomed.clear()
        self._calls.offline()
        self._streams.offline()
        self._serving.offline()

    def _say_hello(self) -> None:
        body = self._hello_body()
        if len(body) > HELLO_BYTES_MAX:
            self._refused(TooLargeError(f"a hello of {len(body)} bytes; {HELLO_BYTES_MAX} are allowed"))
            return
        hello = Hello(PROTOCOL_VERSION_MIN, PROTOCOL_VERSION, self.name, self.incarnation, self._session, body)
        self._send_quietly(Envelope(Kind.HELLO, b"", self.name, "", body=encode_hello(hello)))
        self._again_in(self._hello_seconds)
        self._hello_seconds = min(2 * self._hello_seconds, HELLO_SECONDS_MAX)

    def _again_in(self, seconds: float) -> None:
        self._due_at = self._clock() + seconds
        self._alarm.by(self._due_at)

    def _keep(self) -> float | None:
        """The session's one timer: hello until welcomed, then a ping each second."""
        now = self._clock()
        if not self._connected:
            return None
        if now < self._due_at:
            return self._due_at
        if now - self._due_at > PAUSE_SECONDS:
            self._heard_at = self._unanswered_since = now
        if self.welcomed.is_set():
            self._send_quietly(Envelope(Kind.PING, b"", self.name, ""))
            if liveness(now - self._heard_at) is not Liveness.DEAD:
                self._due_at = now + PING_SECONDS
                return self._due_at
            self._lose_session()
            self._unanswered_since = float("-inf")
        if now - self._unanswered_since > UNANSWERED_SECONDS:
            self.counters["reset"] += 1
            self._connected = False
            self._resets += 1
            self._transport.reset(identity(self.name, self.incarnation, self._resets))
            return None
        self._say_hello()
        return None

    def _on_welcomed(self, envelope: Envelope) -> None:
        welcome = self._decoded(envelope)
        if welcome is None or welcome.session != self._session or self.welcomed.is_set():
            return
        self.hub_incarnation = welcome.incarnation
        self.welcomed.set()
        self._again_in(PING_SECONDS)
        self._say_drain()
        self._calls.online()
        self._streams.online()
        if self._on_welcome is not None:
            self._on_welcome(welcome.incarnation)

    def _say_drain(self) -> None:
        self._send_quietly(Envelope(Kind.DRAIN, b"", self.name, ""), when=self._draining and self.welcomed.is_set())

    def _on_pong(self, envelope: Envelope) -> None:
        pong = self._decoded(envelope)
        if pong is not None and self.welcomed.is_set() and pong.incarnation != self.hub_incarnation:
            self._begin_session()

    def _on_ping(self, _envelope: Envelope) -> None:
        self._send_quietly(Envelope(Kind.PONG, b"", self.name, ""))

    def _on_bye(self, envelope: Envelope) -> None:
        self._calls.peer_gone(envelope.source)
        self._streams.peer_gone(envelope.source)
        self._serving.peer_gone(envelope.source)

    def _on_error(self, envelope: Envelope) -> None:
        if envelope.key:
            if envelope.key in self._streams:
                self._streams.over(envelope)
            elif not self._serving.undelivered(envelope):
                self._calls.settle(envelope)
            return
        if envelope.target:  # only the hub speaks of a session, and to nobody by name; this one was passed on
            self.counters["forged"] += 1
            return
        error = decode_error(envelope.body)
        if isinstance(error, UnknownPeerError):
            if self.welcomed.is_set():
                self._begin_session()
            return
        self._refused(error)

    def _refused(self, error: IpcError) -> None:
        """There will be no session, now or later: `run` ends with the reason."""
        log.error("this link ends", name=self.name, code=error.code, error=error.message)
        self._alarm.cancel()
        self._lose_session()
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)

    def _decoded(self, envelope: Envelope) -> Welcome | None:
        try:
            return decode_welcome(envelope.body)
        except MalformedError as error:
            self.counters["malformed"] += 1
            log.warning("the hub sent what cannot be read", name=self.name, error=error.message)
            return None

    def _send_quietly(self, envelope: Envelope, *, when: bool = True) -> None:
        """For what nobody waits for: a full queue drops and counts it."""
        if not when:
            return
        try:
            self._transport.send(envelope)
        except BusyError:
            self.counters[f"dropped.{envelope.kind.name.lower()}"] += 1
