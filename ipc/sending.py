"""When waiting envelopes are sent: the first on an idle lane at once, the rest of a tick in one frame after it.

Shared by every transport. Does not know sockets: a transport gives it `transmit`.
"""

import asyncio
from collections.abc import Callable
from enum import Enum

from ipc.codec import encode_batch
from ipc.envelope import Envelope
from ipc.outbox import Outbox

RETRY_SECONDS_MIN = 0.002
RETRY_SECONDS_MAX = 0.05


class Outcome(Enum):
    """What became of a frame."""

    SENT = "sent"
    FULL = "full"
    GONE = "gone"


class _Lane:
    """The way to one peer.

    Attributes:
        corked: Whether envelopes only queue: something was sent in this tick, or the peer is full.
    """

    __slots__ = ("corked", "outbox", "route")

    def __init__(self, route: bytes) -> None:
        self.route = route
        self.outbox = Outbox()
        self.corked = False


class Sender:
    """Every lane of one transport."""

    def __init__(
        self,
        transmit: Callable[[bytes, bytes], Outcome],
        *,
        lost: Callable[[bytes, list[Envelope]], None],
        after_tick: Callable[[], None],
    ) -> None:
        """Make one without lanes; they come with use.

        Args:
            transmit: Hands one frame to a route, never waiting.
            lost: Called later with a route that is gone and all that waited for it.
            after_tick: Called at the end of every tick in which something was sent.
        """
        self._transmit = transmit
        self._lost = lost
        self._after_tick = after_tick
        self._lanes: dict[bytes, _Lane] = {}
        self._dirty: list[_Lane] = []
        self._blocked: dict[bytes, _Lane] = {}
        self._retry: asyncio.TimerHandle | None = None
        self._retry_seconds = RETRY_SECONDS_MIN

    def send(self, route: bytes, envelope: Envelope) -> None:
        """Send now or queue.

        Raises:
            BusyError: The lane's outbox is full.
        """
        lane = self._lanes.get(route)
        if lane is None:
            lane = self._lanes[route] = _Lane(route)
        if lane.corked:
            lane.outbox.put(envelope)
            return
        self._cork(lane)
        self._hand_over(lane, [envelope])

    def queued(self, route: bytes) -> int:
        """How many envelopes wait for `route`."""
        lane = self._lanes.get(route)
        return 0 if lane is None else len(lane.outbox)

    def forget(self, route: bytes) -> list[Envelope]:
        """Remove a lane. Returns what waited in it."""
        lane = self._lanes.pop(route, None)
        self._blocked.pop(route, None)
        return [] if lane is None else lane.outbox.take_all()

    def retry(self) -> None:
        """Try every lane that was full; cheap when there is none."""
        if not self._blocked:
            return
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        blocked, self._blocked = self._blocked, {}
        for lane in blocked.values():
            self._flush(lane)
            if lane.route not in self._blocked:
                self._retry_seconds = RETRY_SECONDS_MIN
                self._dirty_later(lane)

    def flush(self) -> None:
        """Hand over what can be, without waiting for the tick: the last act before closing."""
        for lane in tuple(self._lanes.values()):
            self._flush(lane)

    def close(self) -> None:
        """Forget every lane and timer."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._lanes.clear()
        self._blocked.clear()
        self._dirty.clear()

    def _cork(self, lane: _Lane) -> None:
        lane.corked = True
        self._dirty_later(lane)

    def _dirty_later(self, lane: _Lane) -> None:
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._tick)
        self._dirty.append(lane)

    def _tick(self) -> None:
        """Send what the last tick queued. A lane that had something stays corked for another tick."""
        dirty, self._dirty = self._dirty, []
        for lane in dirty:
            if lane.route in self._blocked or self._lanes.get(lane.route) is not lane:
                continue
            if lane.outbox:
                self._flush(lane)
                if lane.route not in self._blocked:
                    self._dirty_later(lane)
            else:
                lane.corked = False
        self._after_tick()

    def _flush(self, lane: _Lane) -> None:
        while lane.outbox and self._hand_over(lane, lane.outbox.take()):
            pass

    def _hand_over(self, lane: _Lane, batch: list[Envelope]) -> bool:
        outcome = self._transmit(lane.route, encode_batch(batch))
        if outcome is Outcome.SENT:
            return True
        lane.outbox.put_back(batch)
        if outcome is Outcome.FULL:
            self._blocked[lane.route] = lane
            self._retry_later()
        else:
            self._gone(lane)
        return False

    def _gone(self, lane: _Lane) -> None:
        """Tell the user of the transport in a call of its own: it may be in the middle of something."""
        if self._lanes.get(lane.route) is lane:
            del self._lanes[lane.route]
        asyncio.get_running_loop().call_soon(self._lost, lane.route, lane.outbox.take_all())

    def _retry_later(self) -> None:
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(self._retry_seconds, self.retry)
            self._retry_seconds = min(2 * self._retry_seconds, RETRY_SECONDS_MAX)
