"""The outbox against the plainest model of it."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ipc import outbox as module
from ipc.codec import BATCH_ENVELOPES_MAX, FRAME_BYTES_GOAL
from ipc.envelope import CONTROL, Envelope, Kind
from ipc.errors import BusyError
from ipc.outbox import Outbox

keys = st.sampled_from([b"a", b"b", b"c"])
kinds = st.sampled_from([Kind.CALL, Kind.REPLY, Kind.PROGRESS, Kind.EVENT, Kind.PING, Kind.CANCEL, Kind.ACCEPT])
sizes = st.sampled_from([0, 10, FRAME_BYTES_GOAL // 2, FRAME_BYTES_GOAL * 2, 3 * 1024 * 1024])


class OutboxMachine(RuleBasedStateMachine):
    """Model: two lists, and what is said of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox()
        self.control: list[Envelope] = []
        self.data: list[Envelope] = []
        self.number = 0

    @rule(kind=kinds, key=keys, size=sizes)
    def put(self, kind: Kind, key: bytes, size: int) -> None:
        self.number += 1
        envelope = Envelope(kind, key, "front", "worker:1", str(self.number), body=bytes(size))
        try:
            self.outbox.put(envelope)
        except BusyError:
            assert self._is_full_for(envelope)
            return
        if kind in CONTROL:
            if kind is Kind.CANCEL:
                self.data = [one for one in self.data if (one.kind, one.key) != (Kind.CALL, key)]
            self.control.append(envelope)
            return
        for place, waiting in enumerate(self.data):
            if kind in (Kind.CALL, Kind.PROGRESS) and (waiting.kind, waiting.key) == (kind, key):
                self.data[place] = envelope
                return
        self.data.append(envelope)

    @rule(returned=st.booleans())
    def take(self, *, returned: bool) -> None:
        waiting = [*self.control, *self.data]
        batch = self.outbox.take()
        assert batch == waiting[: len(batch)]
        assert bool(batch) == bool(waiting)
        assert len(batch) <= BATCH_ENVELOPES_MAX
        assert len(batch) == 1 or sum(one.payload_bytes for one in batch) <= FRAME_BYTES_GOAL or not batch
        if returned:
            self.outbox.put_back(batch)
        else:
            of_control = min(len(batch), len(self.control))
            self.control = self.control[of_control:]
            self.data = self.data[len(batch) - of_control :]

    def _is_full_for(self, envelope: Envelope) -> bool:
        if envelope.kind in CONTROL:
            return len(self.control) >= module.CONTROL_ENVELOPES_MAX
        weight = sum(one.payload_bytes for one in self.data) + envelope.payload_bytes
        return weight > module.QUEUE_BYTES_MAX or len(self.data) >= module.ENVELOPES_MAX

    @invariant()
    def agrees(self) -> None:
        assert len(self.outbox) == len(self.control) + len(self.data)
        assert self.outbox.payload_bytes == sum(one.payload_bytes for one in self.data)
        assert self.outbox.payload_bytes <= module.QUEUE_BYTES_MAX


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
