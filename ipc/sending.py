"""When waiting envelopes are sent: the first on an idle lane at once, the rest of a tick in few messages after it.

A wake-up of the other side costs more than all else that is done for an envelope, so patient ones wait for company; but
not for more than a message's worth of it, since both sides can work at the same time.

Shared by every transport. Does not know sockets: a transport gives it `transmit`.
"""

import asyncio
from collections.abc import Callable
from enum import Enum

from ipc.codec import encode_message
from ipc.envelope import Envelope, Kind
from ipc.outbox import Outbox

# Sending again sooner than this is traffic, which is worth a frame together: after one envelope, and after several.
IDLE_SECONDS = 50e-6
BUSY_SECONDS = 1e-3
COMPANY = 24  # envelopes of one tick that are sent before it is over: the other side begins while this one goes on
LINGER_SECONDS = 0.01  # what a patient answer waits for something to travel with
RETRY_SECONDS_MIN = 0.002
RETRY_SECONDS_MAX = 0.05


class Outcome(Enum):
    """What became of a message."""

    SENT = "sent"
    FULL = "full"
    GONE = "gone"


class _Lane:
    """The way to one peer.

    Attributes:
        full: Whether the peer had no room: envelopes only queue until a retry.
        company: How many envelopes were queued for the end of this tick since a message was sent; 0 where no tick is
            awaited.
        idle_at: Loop time from which an envelope is sent at once.
    """

    __slots__ = ("company", "full", "idle_at", "outbox", "route")

    def __init__(self, route: bytes) -> None:
        self.route = route
        self.outbox = Outbox()
        self.full = False
        self.company = 0
        self.idle_at = 0.0


class Sender:
    """Every lane of one transport."""

    def __init__(
        self,
        transmit: Callable[[bytes, list[bytes]], Outcome],
        *,
        lost: Callable[[bytes, list[Envelope]], None],
        after_send: Callable[[], None],
    ) -> None:
        """Make one without lanes; they come with use.

        Args:
            transmit: Hands the parts of one message to a route, never waiting.
            lost: Called later with a route that is gone and all that waited for it.
            after_send: Called after every message or series of messages.
        """
        self._transmit = transmit
        self._lost = lost
        self._after_send = after_send
        self._lanes: dict[bytes, _Lane] = {}
        self._queued: list[_Lane] = []  # until the end of the tick
        self._full: list[_Lane] = []  # until a retry
        self._lingering: list[_Lane] = []  # what is sent next takes along what waits
        self._linger: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._retry_seconds = RETRY_SECONDS_MIN
        self._closed = False

    def send(self, route: bytes, envelope: Envelope) -> None:
        """Send now or queue; after `close`, do neither.

        Raises:
            BusyError: The lane's outbox is full.
        """
        if self._closed:
            return
        lane = self._lanes.get(route)
        if lane is None:
            lane = self._lanes[route] = _Lane(route)
        if lane.full:
            lane.outbox.put(envelope)
            return
        if lane.company:
            lane.outbox.put(envelope)
            lane.company += 1
            if lane.company > COMPANY:
                lane.company = 1
                self._flush(lane)
            return
        loop = asyncio.get_running_loop()
        if envelope.patient and envelope.kind is not Kind.CALL:
            lane.outbox.put(envelope)
            self._lingering.append(lane)
            if self._linger is None:
                self._linger = loop.call_later(LINGER_SECONDS, self._linger_over)
            return
        now = loop.time()
        if now < lane.idle_at:
            lane.outbox.put(envelope)
            self._await_tick(lane)
            return
        lane.idle_at = now + IDLE_SECONDS
        if lane.outbox:
            lane.outbox.put(envelope)
            self._flush(lane)
        else:
            self._hand_over(lane, [envelope])
        self._after_send()

    def queued(self, route: bytes) -> int:
        """How many envelopes wait for `route`."""
        lane = self._lanes.get(route)
        return 0 if lane is None else len(lane.outbox)

    def forget(self, route: bytes) -> list[Envelope]:
        """Remove a lane. Returns what waited in it."""
        lane = self._lanes.pop(route, None)
        return [] if lane is None else lane.outbox.take_all()

    def retry(self) -> None:
        """Try every lane that was full; cheap when there is none."""
        if not self._full:
            return
        self._stop_retrying()
        full, self._full = self._full, []
        for lane in full:
            self._flush(lane)
        if len(self._full) < len(full):
            self._retry_seconds = RETRY_SECONDS_MIN
        self._after_send()

    def flush(self) -> None:
        """Hand over what can be, without waiting for the tick: the last act before closing."""
        for lane in tuple(self._lanes.values()):
            self._flush(lane)

    def close(self) -> None:
        """Forget every lane and timer."""
        self._closed = True
        self._stop_retrying()
        if self._linger is not None:
            self._linger.cancel()
        self._lingering.clear()
        self._lanes.clear()
        self._full.clear()
        self._queued.clear()

    def _await_tick(self, lane: _Lane) -> None:
        lane.company = 1
        if not self._queued:
            asyncio.get_running_loop().call_soon(self._tick)
        self._queued.append(lane)

    def _tick(self) -> None:
        queued, self._queued = self._queued, []
        now = asyncio.get_running_loop().time()
        for lane in queued:
            lane.idle_at = now + (IDLE_SECONDS if len(lane.outbox) == 1 else BUSY_SECONDS)
            lane.company = 0
            if not lane.full:
                self._flush(lane)
        if queued:
            self._after_send()

    def _linger_over(self) -> None:
        self._linger = None
        lingering, self._lingering = self._lingering, []
        for lane in lingering:
            if not lane.full and not lane.company:
                self._flush(lane)
        self._after_send()

    def _flush(self, lane: _Lane) -> None:
        if self._lanes.get(lane.route) is not lane:
            return
        lane.full = False
        while lane.outbox and self._hand_over(lane, lane.outbox.take()):
            pass

    def _hand_over(self, lane: _Lane, batch: list[Envelope]) -> bool:
        outcome = self._transmit(lane.route, encode_message(batch))
        if outcome is Outcome.SENT:
            return True
        lane.outbox.put_back(batch)
        lane.full = True
        if outcome is Outcome.FULL:
            self._full.append(lane)
            self._retry_later()
        else:
            self._gone(lane)
        return False

    def _gone(self, lane: _Lane) -> None:
        """Tell the user of the transport in a call of its own: it may be in the middle of something."""
        del self._lanes[lane.route]
        asyncio.get_running_loop().call_soon(self._lost, lane.route, lane.outbox.take_all())

    def _retry_later(self) -> None:
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(self._retry_seconds, self.retry)
            self._retry_seconds = min(2 * self._retry_seconds, RETRY_SECONDS_MAX)

    def _stop_retrying(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
