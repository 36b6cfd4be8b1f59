"""A stream at its caller: what has arrived and waits for its reader, and the one end it has.

A stream is never sent again: whatever goes away on the way ends it with an error, after the items that arrived before;
only its deadline ends it at once.
While it is open, its reader says every few seconds that it is there and how far it is, which also finds out what was
lost without a trace. Does not know sessions or transports: it is told of their changes.
"""

import asyncio
import os
from collections import Counter, deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ipc.alarm import Alarm
from ipc.codec import decode_error
from ipc.credit import WINDOW_ITEMS, ReceiveCredit
from ipc.envelope import BODY_BYTES_MAX, REMAINING_MS_MAX, Envelope, Kind, check_address, fitting_trace
from ipc.errors import BusyError, ExpiredError, IpcError, LostError, MalformedError, TooLargeError, UnreachableError

STREAMS_MAX = 1024
OPEN_SECONDS = 30.0  # a stream without a deadline waits this long for a session
ACK_SECONDS = 5.0
STREAM_SECONDS_MAX = 10 * 365 * 86_400.0


class Stream:
    """The items of one stream, in order. `async with` opens and closes it; one reader at a time.

    Closing it before its end cancels the handler.
    """

    __slots__ = (
        "_arrived",
        "_items",
        "_streams",
        "ack_at",
        "body",
        "credit",
        "deadline",
        "end",
        "key",
        "method",
        "sent",
        "target",
        "timeout_seconds",
        "trace",
    )

    def __init__(
        self,
        streams: "Streams",
        target: str,
        method: str,
        body: bytes,
        *,
        timeout_seconds: float | None,
        trace: str | None,
    ) -> None:
        self._streams = streams
        self._items: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self.target = target
        self.method = method
        self.body = body
        self.timeout_seconds = timeout_seconds
        self.trace = fitting_trace(trace)
        self.credit = ReceiveCredit()
        self.key = b""
        self.sent = False
        self.deadline = self.ack_at = float("inf")
        self.end: IpcError | StopAsyncIteration | None = None

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.method} on {self.target}"

    async def __aenter__(self) -> Self:
        """Open the stream; it is asked for now, or as soon as there is a session.

        Raises:
            BusyError: Too many streams are open, or the link's own queue is full.
            MalformedError: The target or the method cannot be a name.
            TooLargeError: The body exceeds `BODY_BYTES_MAX`.
            UnreachableError: The link is closed.
        """
        self._streams.open(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._streams.withdraw(self)
        self.discard()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next item.

        Raises:
            UnreachableError: Nobody of that name is connected, or there was no session in time.
            DeniedError: The access table does not allow it.
            UnknownMethodError: The callee does not serve it.
            ExpiredError: The stream's time is over.
            LostError: The callee, the session or an item went away.
            RemoteError: The handler raised.
            StopAsyncIteration: There are no more.
        """
        while not self._items:
            if self.end is not None:
                raise self.end
            self._arrived.clear()
            await self._arrived.wait()
        item = self._items.popleft()
        if self.credit.take(len(item)) and self.end is None:
            self._streams.give(self, Kind.CREDIT)
        return item

    def receive(self, number: int, item: bytes) -> None:
        """An item arrived.

        Raises:
            MalformedError: It is not the one that may arrive.
        """
        self.credit.receive(number, len(item))
        self._items.append(item)
        self._arrived.set()

    def discard(self) -> None:
        """What arrived and was not taken is of no interest any more."""
        self._items.clear()

    def finish(self, end: IpcError | StopAsyncIteration) -> None:
        """Nothing more will arrive."""
        self.end = end
        self._arrived.set()


class Streams:
    """The streams that one link reads."""

    def __init__(
        self,
        name: str,
        *,
        send: Callable[[Envelope], None],
        counters: Counter[str],
        clock: Callable[[], float],
    ) -> None:
        """Make an empty table, offline.

        Args:
            name: The caller's.
            send: Queues an envelope or raises BusyError.
            counters: Where late items and the like are counted.
            clock: The event loop's.
        """
        self._name = name
        self._send = send
        self._counters = counters
        self._clock = clock
        self._online = False
        self._closed = False
        self._streams: dict[bytes, Stream] = {}
        self._alarm = Alarm(self._sweep)
        self._key_prefix = os.urandom(8)
        self._minted = 0

    def __len__(self) -> int:
        return len(self._streams)

    def __contains__(self, key: bytes) -> bool:
        return key in self._streams

    def open(self, stream: Stream) -> None:
        """Ask for the stream. Raises as `Stream.__aenter__` says."""
        if len(stream.body) > BODY_BYTES_MAX:
            raise TooLargeError(f"{stream.method}: a body of {len(stream.body)} bytes; {BODY_BYTES_MAX} are allowed")
        check_address(stream.target, stream.method)
        if self._closed:
            raise UnreachableError(f"{stream.where}: the link of {self._name} is closed")
        if len(self._streams) >= STREAMS_MAX:
            raise BusyError(f"{stream.where}: {STREAMS_MAX} streams are open already; try again later")
        now = self._clock()
        self._minted += 1
        stream.key = self._key_prefix + self._minted.to_bytes(8, "big")
        if stream.timeout_seconds is not None:
            stream.deadline = now + min(stream.timeout_seconds, STREAM_SECONDS_MAX)
        stream.ack_at = now + OPEN_SECONDS
        if self._online:
            self._transmit(stream)
        self._streams[stream.key] = stream
        self._alarm.by(min(stream.deadline, stream.ack_at))

    def withdraw(self, stream: Stream) -> None:
        """Nobody reads any more: tell the callee, unless the stream is over."""
        if self._streams.pop(stream.key, None) is None:
            return
        stream.finish(LostError(f"{stream.where}: the stream was closed"))
        if stream.sent:
            self._say(Kind.CANCEL, stream)

    def give(self, stream: Stream, kind: Kind) -> None:
        """Return credit; an ACK also asks for the end, if there was one."""
        arrived = stream.credit.received.to_bytes(8, "big") if kind is Kind.ACK else b""
        self._say(kind, stream, stream.credit.give_back(), arrived)

    def item(self, envelope: Envelope) -> None:
        """An item arrived."""
        stream = self._known(envelope)
        if stream is None:
            return
        try:
            stream.receive(envelope.credit, envelope.body)
        except MalformedError as error:
            self._break(stream, error.message)

    def over(self, envelope: Envelope) -> None:
        """The callee's END or an ERROR arrived."""
        stream = self._known(envelope)
        if stream is None:
            return
        if envelope.kind is Kind.ERROR:
            self._finish(stream, decode_error(envelope.body))
        elif envelope.credit != stream.credit.received:
            self._break(stream, f"it ended after {envelope.credit} items, {stream.credit.received} of which arrived")
        else:
            self._finish(stream, StopAsyncIteration())

    def online(self) -> None:
        """There is a session: ask for what waited for it."""
        self._online = True
        for stream in tuple(self._streams.values()):
            if not stream.sent:
                try:
                    self._transmit(stream)
                except BusyError as error:
                    self._finish(stream, error)

    def offline(self) -> None:
        """There is no session now, and with the old one every stream is over."""
        self._online = False
        self._lose_all(lambda stream: stream.sent, "the session with the hub was interrupted")

    def peer_gone(self, name: str) -> None:
        """A callee went away."""
        self._lose_all(lambda stream: stream.sent and stream.target == name, f"{name} went away")

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        self._online = False
        self._alarm.cancel()
        self._lose_all(lambda _stream: True, "the link was closed")

    def _known(self, envelope: Envelope) -> Stream | None:
        stream = self._streams.get(envelope.key)
        if stream is None or stream.target != envelope.source:
            self._counters["late"] += 1
            return None
        return stream

    def _transmit(self, stream: Stream) -> None:
        now = self._clock()
        remaining_ms = None
        if stream.timeout_seconds is not None:
            remaining_ms = max(0, min(int((stream.deadline - now) * 1000), REMAINING_MS_MAX))
        self._send(
            Envelope(
                Kind.CALL,
                stream.key,
                self._name,
                stream.target,
                stream.method,
                remaining_ms,
                False,
                stream.trace,
                WINDOW_ITEMS,
                stream.body,
            )
        )
        stream.sent = True
        stream.body = b""
        stream.ack_at = now + ACK_SECONDS
        self._alarm.by(stream.ack_at)

    def _say(self, kind: Kind, stream: Stream, credit: int = 0, body: bytes = b"") -> None:
        try:
            self._send(Envelope(kind, stream.key, self._name, stream.target, credit=credit, body=body))
        except BusyError:  # the next ACK says it again; the callee cancels what no ACK comes for
            self._counters[f"dropped.{kind.name.lower()}"] += 1

    def _finish(self, stream: Stream, end: IpcError | StopAsyncIteration) -> None:
        self._streams.pop(stream.key, None)
        stream.finish(end)

    def _lose_all(self, which: Callable[[Stream], bool], why: str) -> None:
        for stream in tuple(self._streams.values()):
            if which(stream):
                self._lose(stream, why)

    def _lose(self, stream: Stream, why: str) -> None:
        if not stream.sent:
            self._finish(stream, UnreachableError(f"{stream.where}: {why}"))
            return
        self._counters["lost.stream"] += 1
        self._finish(stream, LostError(f"{stream.where}: {why} after {stream.credit.received} items"))

    def _break(self, stream: Stream, why: str) -> None:
        self._lose(stream, why)
        self._say(Kind.CANCEL, stream)

    def _sweep(self) -> float | None:
        now = self._clock()
        after = float("inf")
        for stream in tuple(self._streams.values()):
            if min(stream.deadline, stream.ack_at) > now:
                pass
            elif not stream.sent:
                self._finish(stream, UnreachableError(f"{stream.where}: no hub in time"))
                continue
            elif stream.deadline <= now:
                self._expire(stream)
                continue
            else:
                self.give(stream, Kind.ACK)
                stream.ack_at = now + ACK_SECONDS
            after = min(after, stream.deadline, stream.ack_at)
        return None if after == float("inf") else after

    def _expire(self, stream: Stream) -> None:
        self._counters["expired"] += 1
        self._say(Kind.CANCEL, stream)
        stream.discard()
        self._finish(stream, ExpiredError(f"{stream.where}: not over within {stream.timeout_seconds:g} s"))
