"""The small pure parts of messaging."""

import asyncio
from dataclasses import dataclass, field

import pytest

from ipc.access import AccessTable, role_of
from ipc.alarm import Alarm
from ipc.codec import decode_message
from ipc.envelope import CONTROL, Envelope, Kind, check_address
from ipc.errors import BusyError, IncompatibleError, IpcError, MalformedError, RemoteError, from_code
from ipc.handshake import Hello, check_name, choose_version, fits, identity
from ipc.liveness import Liveness, liveness
from ipc.outbox import CONTROL_ENVELOPES_MAX, ENVELOPES_MAX, QUEUE_BYTES_MAX, Outbox
from ipc.sending import BUSY_SECONDS, COMPANY, Outcome, Sender
from tests.unit.ipc_virtual_time import VirtualTimeLoop, run_virtually


def call(key: bytes = b"k", size: int = 0) -> Envelope:
    return Envelope(Kind.CALL, key, "front", "worker:1", body=bytes(size))


# --- access, liveness, names -------------------------------------------------------------------------------------


def test_access_is_denied_unless_a_row_allows_it() -> None:
    table = AccessTable(frozenset({("cli", "runner", "tasks."), ("*", "*", "health.")}))
    assert table.allows("cli", "runner", "tasks.list")
    assert not table.allows("cli", "runner", "admin.stop")
    assert not table.allows("cli", "worker", "tasks.list")
    assert not table.allows("worker", "runner", "tasks.list")
    assert table.allows("worker", "store", "health.get")
    assert not AccessTable(frozenset()).allows("cli", "runner", "")


def test_the_role_is_the_name_without_its_instance() -> None:
    assert role_of("worker:1") == "worker"
    assert role_of("runner") == "runner"


@pytest.mark.parametrize(
    ("seconds", "judged"),
    [(0, Liveness.ALIVE), (2.9, Liveness.ALIVE), (3, Liveness.SUSPECT), (9.9, Liveness.SUSPECT), (10, Liveness.DEAD)],
)
def test_silence_makes_suspect_and_then_dead(seconds: float, judged: Liveness) -> None:
    assert liveness(seconds) is judged


@pytest.mark.parametrize("name", ["", "Worker", "worker:", "worker:1:2", "worker|1", "-worker", "w" * 40, "wörker"])
def test_what_could_not_be_part_of_a_routing_id_is_no_name(name: str) -> None:
    with pytest.raises(MalformedError, match="no name"):
        check_name(name, "1")


def test_a_routing_id_fits_its_own_name_and_incarnation_only() -> None:
    assert fits(identity("worker:1", "a"), "worker:1", "a")
    assert fits(identity("worker:1", "a", resets=3), "worker:1", "a")
    assert not fits(identity("worker:1", "ab"), "worker:1", "a")
    assert not fits(identity("worker:1", "a"), "worker:2", "a")
    assert not fits(b"\x00\x01", "worker:1", "a")


@pytest.mark.parametrize(("low", "high", "chosen"), [(1, 1, 1), (1, 9, 1), (0, 1, 1)])
def test_the_newest_common_version_is_chosen(low: int, high: int, chosen: int) -> None:
    assert choose_version(Hello(low, high, "front", "1", 1, b"")) == chosen


@pytest.mark.parametrize(("low", "high"), [(2, 3), (0, 0), (3, 1)])
def test_without_a_common_version_there_is_no_session(low: int, high: int) -> None:
    with pytest.raises(IncompatibleError, match=f"{low} to {high}"):
        choose_version(Hello(low, high, "front", "1", 1, b""))


@pytest.mark.parametrize(("target", "method"), [("wörker", "m"), ("\ud800", "m"), ("w" * 200, "m"), ("w", "m" * 200)])
def test_what_no_envelope_can_carry_is_refused_where_it_is_said(target: str, method: str) -> None:
    with pytest.raises(MalformedError, match="at most"):
        check_address(target, method)


# --- errors ------------------------------------------------------------------------------------------------------


def _leaves(root: type[IpcError]) -> list[type[IpcError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in _leaves(child))]


def test_every_error_of_the_tree_comes_out_of_its_code_as_itself() -> None:
    for leaf in _leaves(IpcError):
        if leaf not in (IpcError, RemoteError):
            error = from_code(leaf.code, "why", {"fact": 1})
            assert (type(error), error.message, error.details) == (leaf, "why", {"fact": 1})


def test_a_code_of_the_callee_is_a_remote_error() -> None:
    error = from_code("teapot", "short", {})
    assert isinstance(error, RemoteError)
    assert error.code == "teapot"


# --- outbox ------------------------------------------------------------------------------------------------------


def test_control_overtakes_data() -> None:
    outbox = Outbox()
    outbox.put(call())
    outbox.put(Envelope(Kind.PING, b"", "front", ""))
    assert [one.kind for one in outbox.take()] == [Kind.PING, Kind.CALL]


def test_an_outbox_is_bounded_in_envelopes_and_bytes_and_control_has_room_of_its_own() -> None:
    many = Outbox()
    for number in range(ENVELOPES_MAX):
        many.put(call(b"%d" % number))
    with pytest.raises(BusyError, match="worker:1"):
        many.put(call(b"one more"))
    heavy = Outbox()
    heavy.put(call(b"1", QUEUE_BYTES_MAX - 1000))
    with pytest.raises(BusyError, match="bytes"):
        heavy.put(call(b"2", 1000))
    for _ in range(CONTROL_ENVELOPES_MAX):
        many.put(Envelope(Kind.PONG, b"", "runner", "front"))
    with pytest.raises(BusyError, match="control"):
        many.put(Envelope(Kind.PONG, b"", "runner", "front"))


def test_a_cancellation_removes_the_call_that_still_waits() -> None:
    outbox = Outbox()
    outbox.put(call(b"a"))
    outbox.put(call(b"b"))
    outbox.put(Envelope(Kind.CANCEL, b"a", "front", "worker:1"))
    assert [(one.kind, one.key) for one in outbox.take()] == [(Kind.CANCEL, b"a"), (Kind.CALL, b"b")]


def test_newer_progress_takes_the_place_of_older() -> None:
    outbox = Outbox()
    for step in (b"1", b"2", b"3"):
        outbox.put(Envelope(Kind.PROGRESS, b"a", "worker:1", "front", body=step))
    outbox.put(Envelope(Kind.REPLY, b"a", "worker:1", "front"))
    assert [(one.kind, one.body) for one in outbox.take()] == [(Kind.PROGRESS, b"3"), (Kind.REPLY, b"")]


def test_every_kind_is_control_or_data_on_purpose() -> None:
    data = {Kind.CALL, Kind.REPLY, Kind.ERROR, Kind.ITEM, Kind.END, Kind.PROGRESS, Kind.EVENT}
    assert set(Kind) - CONTROL == data


# --- sending -----------------------------------------------------------------------------------------------------


@dataclass
class Wire:
    """A transport's end that does what it is told."""

    outcome: Outcome = Outcome.SENT
    frames: list[list[bytes]] = field(default_factory=list[list[bytes]])
    lost: list[tuple[bytes, int]] = field(default_factory=list[tuple[bytes, int]])
    tries: int = 0

    def transmit(self, _route: bytes, parts: list[bytes]) -> Outcome:
        self.tries += 1
        if self.outcome is Outcome.SENT:
            self.frames.append([one.key for one in decode_message(parts)])
        return self.outcome

    def sender(self) -> Sender:
        return Sender(
            self.transmit,
            lost=lambda route, envelopes: self.lost.append((route, len(envelopes))),
            after_send=lambda: None,
        )


def test_the_first_envelope_goes_at_once_and_the_rest_of_the_tick_in_one_frame() -> None:
    async def play(_loop: VirtualTimeLoop) -> None:
        wire = Wire()
        sender = wire.sender()
        for key in (b"1", b"2", b"3"):
            sender.send(b"peer", call(key))
        assert wire.frames == [[b"1"]]
        await asyncio.sleep(0)
        assert wire.frames == [[b"1"], [b"2", b"3"]]
        await asyncio.sleep(BUSY_SECONDS)
        sender.send(b"peer", call(b"4"))
        assert wire.frames[-1] == [b"4"]

    run_virtually(play)


def test_a_long_tick_is_sent_in_parts_so_that_the_other_side_can_begin() -> None:
    async def play(_loop: VirtualTimeLoop) -> None:
        wire = Wire()
        sender = wire.sender()
        keys = [str(number).encode() for number in range(2 * COMPANY + 3)]
        for key in keys:
            sender.send(b"peer", call(key))
        assert [len(frame) for frame in wire.frames] == [1, COMPANY + 1, COMPANY]
        await asyncio.sleep(0)
        assert [key for frame in wire.frames for key in frame] == keys

    run_virtually(play)


def test_a_peer_that_is_full_within_a_tick_is_left_alone_until_it_is_tried_again() -> None:
    async def play(_loop: VirtualTimeLoop) -> None:
        wire = Wire()
        sender = wire.sender()
        sender.send(b"peer", call(b"first"))
        wire.outcome = Outcome.FULL
        keys = [str(number).encode() for number in range(2 * COMPANY)]
        for key in keys:
            sender.send(b"peer", call(key))
        assert wire.tries == 2
        await asyncio.sleep(0)
        assert wire.tries == 2
        wire.outcome = Outcome.SENT
        await asyncio.sleep(0.1)
        assert wire.frames == [[b"first"], keys]

    run_virtually(play)


def test_a_full_peer_is_tried_again_and_keeps_its_order() -> None:
    async def play(_loop: VirtualTimeLoop) -> None:
        wire = Wire(Outcome.FULL)
        sender = wire.sender()
        for key in (b"1", b"2"):
            sender.send(b"peer", call(key))
        await asyncio.sleep(1)
        assert sender.queued(b"peer") == 2
        wire.outcome = Outcome.SENT
        await asyncio.sleep(0.1)
        assert wire.frames == [[b"1", b"2"]]
        assert sender.queued(b"peer") == 0

    run_virtually(play)


def test_a_peer_that_is_gone_is_reported_with_all_that_waited_for_it() -> None:
    async def play(_loop: VirtualTimeLoop) -> None:
        wire = Wire(Outcome.FULL)
        sender = wire.sender()
        for key in (b"1", b"2"):
            sender.send(b"peer", call(key))
        wire.outcome = Outcome.GONE
        await asyncio.sleep(1)
        assert wire.lost == [(b"peer", 2)]
        assert sender.queued(b"peer") == 0

    run_virtually(play)


def test_one_full_peer_holds_up_no_other() -> None:
    async def play(_loop: VirtualTimeLoop) -> None:
        wire = Wire(Outcome.FULL)
        sender = wire.sender()
        sender.send(b"slow", call(b"1"))
        wire.outcome = Outcome.SENT
        sender.send(b"quick", call(b"2"))
        assert wire.frames == [[b"2"]]

    run_virtually(play)


# --- alarm -------------------------------------------------------------------------------------------------------


def test_an_alarm_rings_at_the_earliest_time_it_was_told() -> None:
    async def play(loop: VirtualTimeLoop) -> None:
        rang: list[float] = []

        def sweep() -> float | None:
            rang.append(loop.time())
            return 5.0 if len(rang) == 1 else None

        alarm = Alarm(sweep)
        alarm.by(9.0)
        alarm.by(2.0)
        alarm.by(7.0)
        await asyncio.sleep(20)
        assert rang == pytest.approx([2.0, 5.0])

    run_virtually(play)


def test_a_cancelled_alarm_is_silent() -> None:
    async def play(_loop: VirtualTimeLoop) -> None:
        rang: list[None] = []
        alarm = Alarm(lambda: rang.append(None))
        alarm.by(1.0)
        alarm.cancel()
        await asyncio.sleep(5)
        assert rang == []

    run_virtually(play)
