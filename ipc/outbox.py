"""What waits for one peer: bounded, control before data, packed into messages. Pure."""

from collections import OrderedDict, deque

from ipc.codec import BATCH_ENVELOPES_MAX, FRAME_BYTES_GOAL
from ipc.envelope import CONTROL, Envelope, Kind
from ipc.errors import BusyError

ENVELOPES_MAX = 1024
QUEUE_BYTES_MAX = 8 * 1024 * 1024
CONTROL_ENVELOPES_MAX = 256

_PROGRESS = b"progress of "


class Outbox:
    """A queue of envelopes.

    Progress is conflated: a newer one takes the place of an older one of the same call that still waits. So is a call
    that is sent again. A cancellation removes its call when that still waits, since it would overtake it.
    """

    __slots__ = ("_control", "_data", "_sequence", "payload_bytes")

    def __init__(self) -> None:
        self.payload_bytes = 0
        self._control: deque[Envelope] = deque()
        self._data: OrderedDict[bytes | int, Envelope] = OrderedDict()
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._control) + len(self._data)

    def put(self, envelope: Envelope) -> None:
        """Append.

        Raises:
            BusyError: It is full.
        """
        if envelope.kind in CONTROL:
            self._put_control(envelope)
            return
        data = self._data
        place = self._place(envelope)
        replaced = data.get(place)
        grown = self.payload_bytes + envelope.payload_bytes
        if replaced is not None:
            grown -= replaced.payload_bytes
        if grown > QUEUE_BYTES_MAX or (replaced is None and len(data) >= ENVELOPES_MAX):
            raise BusyError(
                f"{len(self._data)} envelopes of {self.payload_bytes} bytes wait for {envelope.target or 'the hub'} "
                f"already ({ENVELOPES_MAX} and {QUEUE_BYTES_MAX} are allowed); try again later"
            )
        self.payload_bytes = grown
        data[place] = envelope

    def take(self) -> list[Envelope]:
        """Remove and return what goes into the next message: not empty unless the queue is."""
        if not self._control and self.payload_bytes <= FRAME_BYTES_GOAL and len(self._data) <= BATCH_ENVELOPES_MAX:
            return self.take_all()
        batch: list[Envelope] = []
        room = FRAME_BYTES_GOAL
        while self and len(batch) < BATCH_ENVELOPES_MAX:
            first = self._control[0] if self._control else next(iter(self._data.values()))
            room -= first.payload_bytes
            if batch and room < 0:
                break
            batch.append(first)
            if self._control:
                self._control.popleft()
            else:
                self._data.popitem(last=False)
                self.payload_bytes -= first.payload_bytes
        return batch

    def put_back(self, batch: list[Envelope]) -> None:
        """Undo `take`, right after it: the peer has no room. Later control still overtakes what is put back."""
        for envelope in reversed(batch):
            if envelope.kind in CONTROL:
                self._control.appendleft(envelope)
            else:
                place = self._place(envelope)
                self._data[place] = envelope
                self._data.move_to_end(place, last=False)
                self.payload_bytes += envelope.payload_bytes

    def take_all(self) -> list[Envelope]:
        """Remove and return everything."""
        everything = [*self._control, *self._data.values()]
        self._control.clear()
        self._data.clear()
        self.payload_bytes = 0
        return everything

    def _put_control(self, envelope: Envelope) -> None:
        if envelope.kind is Kind.CANCEL:
            withdrawn = self._data.pop(envelope.key, None)
            if withdrawn is not None:
                self.payload_bytes -= withdrawn.payload_bytes
        if len(self._control) >= CONTROL_ENVELOPES_MAX:
            raise BusyError(
                f"{CONTROL_ENVELOPES_MAX} control envelopes wait for {envelope.target or 'the hub'} already"
            )
        self._control.append(envelope)

    def _place(self, envelope: Envelope) -> bytes | int:
        kind = envelope.kind
        if kind is Kind.CALL:
            return envelope.key
        if kind is Kind.PROGRESS:
            return _PROGRESS + envelope.key
        self._sequence += 1
        return self._sequence
