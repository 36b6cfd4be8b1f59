"""What hub and links promise, over both transports."""

import asyncio

import pytest

from ipc.access import AccessTable
from ipc.codec import encode_batch, encode_error
from ipc.envelope import BODY_BYTES_MAX, Envelope, Kind
from ipc.errors import (
    BusyError,
    DeniedError,
    ExpiredError,
    IncompatibleError,
    IpcError,
    LostError,
    RemoteError,
    TooLargeError,
    UnknownMethodError,
    UnreachableError,
)
from ipc.handshake import identity
from ipc.hub import PROBE_SECONDS, Peer
from ipc.link import Link, Request
from ipc.outbox import ENVELOPES_MAX
from tests.contract.ipc_world import BOUND_SECONDS, World, eventually, hello_frame


async def echo(request: Request) -> bytes:
    return request.body


class Gate:
    """A handler that tells when it was entered and waits to be opened."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.runs = 0

    async def __call__(self, request: Request) -> bytes:
        self.runs += 1
        self.entered.set()
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return request.body

    async def until_entered(self) -> None:
        async with asyncio.timeout(BOUND_SECONDS):
            await self.entered.wait()

    async def until_cancelled(self) -> None:
        async with asyncio.timeout(BOUND_SECONDS):
            await self.cancelled.wait()


# --- calls -------------------------------------------------------------------------------------------------------


async def test_a_call_is_answered_in_every_direction(world: World) -> None:
    _, runner = await world.hub({"echo": echo})
    front = await world.link("front", {"echo": echo})
    worker = await world.link("worker:1", {"echo": echo})
    for source, target in (
        (front, "runner"),
        (runner, "front"),
        (front, "worker:1"),
        (worker, "front"),
        (runner, "runner"),
        (worker, "worker:1"),
    ):
        reply = await source.call(target, "echo", target.encode(), timeout_seconds=BOUND_SECONDS)
        assert reply == target.encode()


async def test_a_handler_may_call_its_caller_back(world: World) -> None:
    _, runner = await world.hub()

    async def ask_back(request: Request) -> bytes:
        return await worker.call(request.source, "echo", b"back", timeout_seconds=BOUND_SECONDS)

    await world.link("front", {"echo": echo})
    worker = await world.link("worker:1", {"ask": ask_back})
    front = await world.link("front", {"echo": echo})
    assert await front.call("worker:1", "ask", b"", timeout_seconds=BOUND_SECONDS) == b"back"
    assert len(runner.counters) == 0


async def test_the_callee_sees_who_calls_what_and_until_when(world: World) -> None:
    seen: list[Request] = []

    async def keep(request: Request) -> bytes:
        seen.append(request)
        return b""

    await world.hub({"keep": keep})
    front = await world.link("front")
    await front.call("runner", "keep", b"body", timeout_seconds=7, trace="00-trace")
    (request,) = seen
    assert (request.source, request.method, request.body, request.trace) == ("front", "keep", b"body", "00-trace")
    assert request.deadline is not None
    assert 0 < request.deadline - asyncio.get_running_loop().time() <= 7


async def test_many_calls_at_once_are_each_answered_once(world: World) -> None:
    await world.hub()
    await world.link("worker:1", {"echo": echo})
    front = await world.link("front")
    bodies = [b"%d" % number for number in range(500)]
    calls = [front.call("worker:1", "echo", body, timeout_seconds=BOUND_SECONDS) for body in bodies]
    assert await asyncio.gather(*calls) == bodies
    assert front.counters["late"] == 0


async def test_traffic_in_every_direction_never_stalls(world: World) -> None:
    """An edge of a socket's FD that is lost shows as a call that expires."""
    _, runner = await world.hub({"echo": echo})
    links = [runner, await world.link("front", {"echo": echo}), await world.link("worker:1", {"echo": echo})]

    async def call_often(source: Link, target: str) -> None:
        for number in range(400):
            body = b"%d" % number
            assert await source.call(target, "echo", body, timeout_seconds=BOUND_SECONDS) == body

    async with asyncio.TaskGroup() as tasks:
        for source in links:
            for target in links:
                if source is not target:
                    tasks.create_task(call_often(source, target.name))


async def test_a_body_of_the_largest_size_passes(world: World) -> None:
    await world.hub({"echo": echo})
    front = await world.link("front")
    body = b"x" * BODY_BYTES_MAX
    assert await front.call("runner", "echo", body, timeout_seconds=BOUND_SECONDS) == body


async def test_a_body_that_is_too_large_is_refused_before_it_is_sent(world: World) -> None:
    await world.hub({"echo": echo})
    front = await world.link("front")
    with pytest.raises(TooLargeError, match="allowed"):
        await front.call("runner", "echo", b"x" * (BODY_BYTES_MAX + 1), timeout_seconds=BOUND_SECONDS)


async def test_a_reply_that_is_too_large_is_an_error_of_the_call(world: World) -> None:
    async def large(_request: Request) -> bytes:
        return b"x" * (BODY_BYTES_MAX + 1)

    await world.hub({"large": large})
    front = await world.link("front")
    with pytest.raises(TooLargeError, match="reply"):
        await front.call("runner", "large", b"", timeout_seconds=BOUND_SECONDS)


# --- errors ------------------------------------------------------------------------------------------------------


class _TeapotError(Exception):
    code = "teapot"
    message = "short and stout"
    details = {"spout": 1}  # noqa: RUF012 - read only


async def test_an_error_with_a_code_reaches_the_caller_whole(world: World) -> None:
    async def fail(_request: Request) -> bytes:
        raise _TeapotError

    await world.hub({"fail": fail})
    front = await world.link("front")
    with pytest.raises(RemoteError) as caught:
        await front.call("runner", "fail", b"", timeout_seconds=BOUND_SECONDS)
    assert (caught.value.code, caught.value.message) == ("teapot", "short and stout")
    assert caught.value.details == {"spout": 1}


async def test_any_other_error_is_internal_and_its_text_stays_at_the_callee(world: World) -> None:
    async def fail(_request: Request) -> bytes:
        raise ValueError("the secret is 42")

    await world.hub({"fail": fail})
    front = await world.link("front")
    with pytest.raises(RemoteError) as caught:
        await front.call("runner", "fail", b"", timeout_seconds=BOUND_SECONDS)
    assert caught.value.code == "internal"
    assert "42" not in caught.value.message


async def test_a_messaging_error_of_the_handler_is_not_mistaken_for_one_of_the_call(world: World) -> None:
    async def fail(_request: Request) -> bytes:
        raise UnreachableError("somebody else is not there")

    await world.hub({"fail": fail})
    front = await world.link("front")
    with pytest.raises(RemoteError) as caught:
        await front.call("runner", "fail", b"", timeout_seconds=BOUND_SECONDS, idempotent=True)
    assert caught.value.code == "unreachable"


async def test_an_unknown_method_is_said_to_be_one(world: World) -> None:
    await world.hub()
    front = await world.link("front")
    with pytest.raises(UnknownMethodError, match="nothing"):
        await front.call("runner", "nothing", b"", timeout_seconds=BOUND_SECONDS)


async def test_what_the_access_table_does_not_allow_is_denied(world: World) -> None:
    await world.hub({"tasks.list": echo, "admin": echo}, access=AccessTable(frozenset({("front", "*", "tasks.")})))
    front = await world.link("front")
    assert await front.call("runner", "tasks.list", b"yes", timeout_seconds=BOUND_SECONDS) == b"yes"
    with pytest.raises(DeniedError, match="front may not call 'admin' on runner"):
        await front.call("runner", "admin", b"", timeout_seconds=BOUND_SECONDS)


async def test_a_call_to_nobody_is_unreachable_and_a_bare_role_is_nobody(world: World) -> None:
    await world.hub()
    await world.link("worker:1", {"echo": echo})
    front = await world.link("front")
    with pytest.raises(UnreachableError, match="there is worker:1"):
        await front.call("worker", "echo", b"", timeout_seconds=BOUND_SECONDS)


async def test_without_a_hub_a_call_is_unreachable_when_its_time_is_over(world: World) -> None:
    front = world.start_link("front")
    with pytest.raises(UnreachableError, match="no hub"):
        await front.call("runner", "echo", b"", timeout_seconds=0.05)
    with pytest.raises(TimeoutError):
        await front.wait_welcomed(0.01)


async def test_a_hub_of_another_protocol_version_ends_the_link_with_the_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.hub()
    monkeypatch.setattr("ipc.link.PROTOCOL_VERSION_MIN", 7)
    monkeypatch.setattr("ipc.link.PROTOCOL_VERSION", 8)
    front = world.start_link("front")
    with pytest.raises(IncompatibleError, match="7 to 8"):
        await world.ended(front)


# --- deadlines, cancellation, progress ---------------------------------------------------------------------------


async def test_cancelling_the_call_cancels_the_handler(world: World) -> None:
    gate = Gate()
    await world.hub()
    await world.link("worker:1", {"wait": gate})
    front = await world.link("front")
    call = asyncio.create_task(front.call("worker:1", "wait", b"", timeout_seconds=BOUND_SECONDS))
    await gate.until_entered()
    call.cancel()
    await gate.until_cancelled()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_call_expires_and_its_handler_is_cancelled(world: World) -> None:
    gate = Gate()
    await world.hub()
    await world.link("worker:1", {"wait": gate})
    front = await world.link("front")
    with pytest.raises(ExpiredError, match="accepted but not answered"):
        await front.call("worker:1", "wait", b"", timeout_seconds=0.2)
    await gate.until_cancelled()


async def test_a_call_that_is_expired_on_arrival_is_not_executed(world: World) -> None:
    gate = Gate()
    await world.hub()
    worker = await world.link("worker:1", {"wait": gate})
    front = await world.link("front")
    with pytest.raises(ExpiredError):
        await front.call("worker:1", "wait", b"", timeout_seconds=0)
    await eventually(lambda: worker.counters["expired"])
    assert gate.runs == 0


async def test_an_answer_after_the_deadline_is_dropped_and_counted(world: World) -> None:
    release = asyncio.Event()

    async def stubborn(_request: Request) -> bytes:
        try:
            await release.wait()
        except asyncio.CancelledError:
            await release.wait()
        return b"too late"

    await world.hub()
    await world.link("worker:1", {"stubborn": stubborn})
    front = await world.link("front")
    with pytest.raises(ExpiredError):
        await front.call("worker:1", "stubborn", b"", timeout_seconds=0.02)
    release.set()
    await eventually(lambda: front.counters["late"] == 1)


async def test_progress_comes_in_order_and_before_the_reply(world: World) -> None:
    async def work(request: Request) -> bytes:
        for step in (b"1", b"2", b"3"):
            request.progress(step)
            await asyncio.sleep(0)
        return b"done"

    await world.hub()
    await world.link("worker:1", {"work": work})
    front = await world.link("front")
    seen: list[bytes] = []
    assert await front.call("worker:1", "work", b"", timeout_seconds=BOUND_SECONDS, on_progress=seen.append) == b"done"
    assert seen
    assert seen == sorted(seen)
    assert seen[-1] == b"3"


async def test_a_listener_that_raises_harms_nobody(world: World) -> None:
    async def work(request: Request) -> bytes:
        request.progress(b"1")
        return b"done"

    def listen(_body: bytes) -> None:
        raise RuntimeError("a bug of the caller")

    await world.hub({"work": work})
    front = await world.link("front")
    assert await front.call("runner", "work", b"", timeout_seconds=BOUND_SECONDS, on_progress=listen) == b"done"


async def test_an_event_is_handled_and_not_answered(world: World) -> None:
    heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def hear(request: Request) -> bytes:
        heard.put_nowait((request.source, request.body))
        return b"nobody reads this"

    await world.hub({"hear": hear})
    front = world.start_link("front")
    front.cast("runner", "hear", b"said before there was a session")
    async with asyncio.timeout(BOUND_SECONDS):
        assert await heard.get() == ("front", b"said before there was a session")


async def test_an_event_to_nobody_is_dropped_and_counted(world: World) -> None:
    hub, _ = await world.hub()
    front = await world.link("front")
    front.cast("nobody", "hear", b"")
    await eventually(lambda: hub.counters["unreachable.event"] == 1)


# --- sessions ----------------------------------------------------------------------------------------------------


async def test_the_hub_knows_its_peers_and_what_they_said_at_hello(world: World) -> None:
    said: list[tuple[str, str, bytes]] = []
    gone: list[str] = []
    hub, _ = await world.hub(
        on_peer=lambda peer, body: said.append((peer.name, peer.role, body)),
        on_gone=lambda peer: gone.append(peer.name),
    )
    worker = await world.link("worker:1", hello_body=lambda: b"nothing in flight")
    assert said == [("worker:1", "worker", b"nothing in flight")]
    assert hub.peers["worker:1"].incarnation == worker.incarnation
    assert hub.peers["worker:1"].liveness == "alive"
    assert hub.peers["worker:1"].queued == 0
    await world.end(worker)
    await eventually(lambda: gone == ["worker:1"])
    assert not hub.peers


async def test_a_peer_that_dies_without_a_word_is_soon_gone(world: World) -> None:
    gone: list[str] = []
    hub, _ = await world.hub(on_gone=lambda peer: gone.append(peer.name))
    worker = await world.link("worker:1")
    await world.crash(worker)
    async with asyncio.timeout(PROBE_SECONDS):  # sooner than its silence would show
        await eventually(lambda: gone == ["worker:1"])
    assert not hub.peers


async def test_a_new_incarnation_takes_the_place_of_the_old(world: World) -> None:
    gone: list[Peer] = []
    hub, runner = await world.hub(on_gone=gone.append)
    first = await world.link("worker:1", {"echo": echo})
    second = await world.link("worker:1", {"echo": echo})
    assert [peer.incarnation for peer in gone] == [first.incarnation]
    assert hub.peers["worker:1"].incarnation == second.incarnation
    assert await runner.call("worker:1", "echo", b"new", timeout_seconds=BOUND_SECONDS) == b"new"


async def test_a_restarted_hub_is_told_hello_and_everything_goes_on(world: World) -> None:
    hellos: list[bytes] = []
    welcomes: list[str] = []
    first, _ = await world.hub({"echo": echo})
    front = await world.link("front", hello_body=lambda: b"as before", on_welcome=welcomes.append)
    await world.end(first)
    await eventually(lambda: not front.welcomed.is_set())
    call = asyncio.create_task(front.call("runner", "echo", b"meanwhile", timeout_seconds=BOUND_SECONDS))
    second, _ = await world.hub({"echo": echo}, on_peer=lambda _peer, body: hellos.append(body))
    assert await call == b"meanwhile"
    assert welcomes == [first.incarnation, second.incarnation]
    assert front.hub_incarnation == second.incarnation
    assert hellos == [b"as before"]


async def test_what_was_said_while_the_hub_was_away_is_heard_by_its_successor(world: World) -> None:
    heard: list[bytes] = []

    async def hear(request: Request) -> bytes:
        heard.append(request.body)
        return b""

    first, _ = await world.hub()
    front = await world.link("front")
    await world.end(first)
    await eventually(lambda: not front.welcomed.is_set())
    said = [b"%d" % number for number in range(50)]
    for body in said:
        front.cast("runner", "hear", body)
    hub, _ = await world.hub({"hear": hear})
    await eventually(lambda: heard == said)
    assert hub.counters["strangers"] == 0


async def test_when_the_hub_restarts_an_idempotent_call_goes_on_and_runs_once(world: World) -> None:
    gate = Gate()
    first, _ = await world.hub()
    worker = await world.link("worker:1", {"wait": gate})
    front = await world.link("front")
    call = asyncio.create_task(front.call("worker:1", "wait", b"x", timeout_seconds=BOUND_SECONDS, idempotent=True))
    await gate.until_entered()
    await world.end(first)
    await world.hub()
    await eventually(lambda: worker.counters["joined"] == 1)
    gate.opened.set()
    assert await call == b"x"
    assert gate.runs == 1


async def test_an_answer_given_while_the_hub_was_away_is_given_again(world: World) -> None:
    gate = Gate()
    first, _ = await world.hub()
    await world.link("worker:1", {"wait": gate})
    front = await world.link("front")
    call = asyncio.create_task(front.call("worker:1", "wait", b"x", timeout_seconds=BOUND_SECONDS, idempotent=True))
    await gate.until_entered()
    await world.end(first)
    await eventually(lambda: not front.welcomed.is_set())
    gate.opened.set()
    await world.hub()
    assert await call == b"x"
    assert gate.runs == 1


async def test_when_the_hub_restarts_the_outcome_of_any_other_call_is_lost(world: World) -> None:
    gate = Gate()
    first, _ = await world.hub()
    await world.link("worker:1", {"wait": gate})
    front = await world.link("front")
    call = asyncio.create_task(front.call("worker:1", "wait", b"x", timeout_seconds=BOUND_SECONDS))
    await gate.until_entered()
    await world.end(first)
    await world.hub()
    with pytest.raises(LostError, match="unknown"):
        await call


async def test_when_the_callee_dies_an_idempotent_call_waits_for_its_successor(world: World) -> None:
    gate = Gate()
    await world.hub()
    first = await world.link("worker:1", {"work": gate})
    front = await world.link("front")
    call = asyncio.create_task(front.call("worker:1", "work", b"x", timeout_seconds=BOUND_SECONDS, idempotent=True))
    await gate.until_entered()
    await world.crash(first)
    await world.link("worker:1", {"work": echo})
    assert await call == b"x"


async def test_when_the_callee_dies_the_outcome_of_any_other_call_is_lost(world: World) -> None:
    gate = Gate()
    _, runner = await world.hub()
    worker = await world.link("worker:1", {"work": gate})
    front = await world.link("front")
    calls = [
        asyncio.create_task(link.call("worker:1", "work", b"", timeout_seconds=BOUND_SECONDS))
        for link in (front, runner)
    ]
    await eventually(lambda: gate.runs == 2)
    await world.crash(worker)
    for call in calls:
        with pytest.raises(LostError, match="worker:1 went away"):
            await call


async def test_an_idempotent_call_waits_for_a_peer_that_is_not_there_yet(world: World) -> None:
    await world.hub()
    front = await world.link("front")
    call = asyncio.create_task(front.call("worker:1", "echo", b"x", timeout_seconds=BOUND_SECONDS, idempotent=True))
    await eventually(lambda: front.counters["resent"] > 0)
    await world.link("worker:1", {"echo": echo})
    assert await call == b"x"


async def test_ending_a_link_ends_its_calls_and_its_handlers(world: World) -> None:
    gate = Gate()
    await world.hub({"wait": gate})
    front = await world.link("front", {"wait": gate})
    outgoing = asyncio.create_task(front.call("runner", "wait", b"", timeout_seconds=BOUND_SECONDS))
    await gate.until_entered()
    await world.end(front)
    with pytest.raises(LostError, match="closed"):
        await outgoing
    with pytest.raises(UnreachableError, match="closed"):
        await front.call("runner", "wait", b"", timeout_seconds=BOUND_SECONDS)


# --- bounds and hostility ----------------------------------------------------------------------------------------


async def test_a_peer_that_does_not_read_makes_its_callers_busy_and_nobody_else(world: World) -> None:
    hub, runner = await world.hub()
    await world.link("worker:2", {"echo": echo})
    mute = world.mute("worker:1")
    await eventually(lambda: "worker:1" in hub.peers)
    calls: list[asyncio.Task[bytes]] = []
    while not hub.counters["busy"]:
        assert len(calls) < 20 * ENVELOPES_MAX
        calls += [
            asyncio.create_task(runner.call("worker:1", "echo", b"x" * 8192, timeout_seconds=BOUND_SECONDS))
            for _ in range(64)
        ]
        await asyncio.sleep(0)
    done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    assert {type(call.exception()) for call in done} == {BusyError}
    assert hub.peers["worker:1"].queued <= ENVELOPES_MAX
    assert await runner.call("worker:2", "echo", b"quick", timeout_seconds=BOUND_SECONDS) == b"quick"
    for call in waiting:
        call.cancel()
    await asyncio.wait(waiting)
    mute.close()


async def test_the_hub_drops_and_counts_what_is_no_envelope(world: World) -> None:
    hub, _ = await world.hub({"echo": echo})
    front = await world.link("front")
    stranger = world.outsider(b"stranger")
    stranger.say(b"\xff\x00 not msgpack")
    stranger.say(b"")
    await eventually(lambda: hub.counters["malformed"] == 2)
    assert await front.call("runner", "echo", b"still here", timeout_seconds=BOUND_SECONDS) == b"still here"
    stranger.close()


async def test_nobody_speaks_in_anothers_name(world: World) -> None:
    runs = Gate()
    hub, _ = await world.hub({"work": runs})
    liar = world.outsider(identity("front", "1"))
    liar.say(hello_frame("worker:1", "1"))
    await eventually(lambda: hub.counters["denied"] == 1)
    liar.say(hello_frame("front", "1"))
    await eventually(lambda: "front" in hub.peers)
    liar.say(encode_batch([Envelope(Kind.CALL, b"key", "worker:1", "runner", "work")]))
    await eventually(lambda: hub.counters["forged"] == 1)
    liar.say(hello_frame("runner", "1"))
    await eventually(lambda: hub.counters["denied"] == 2)
    assert "runner" not in hub.peers
    assert runs.runs == 0
    liar.close()


async def test_an_error_without_a_key_that_a_peer_sends_ends_nobodys_session(world: World) -> None:
    await world.hub()
    worker = await world.link("worker:1", {"work": Gate()})
    liar = world.outsider(identity("front", "1"))
    liar.say(hello_frame("front", "1"))
    body = encode_error(DeniedError("go away"), own=True)
    liar.say(encode_batch([Envelope(Kind.ERROR, b"", "front", "worker:1", body=body)]))
    await eventually(lambda: worker.counters["forged"] == 1)
    assert worker.welcomed.is_set()
    liar.close()


async def test_an_event_that_its_handler_refuses_is_counted(world: World) -> None:
    async def refuse(_request: Request) -> bytes:
        raise DeniedError("not like this")

    await world.hub()
    worker = await world.link("worker:1", {"work": refuse})
    front = await world.link("front")
    front.cast("worker:1", "work", b"")
    await eventually(lambda: worker.counters["refused"] == 1)


async def test_a_stranger_is_not_served(world: World) -> None:
    gate = Gate()
    hub, _ = await world.hub({"work": gate})
    stranger = world.outsider(identity("front", "1"))
    stranger.say(encode_batch([Envelope(Kind.CALL, b"key", "front", "runner", "work")]))
    await eventually(lambda: hub.counters["strangers"] == 1)
    assert gate.runs == 0
    stranger.close()


async def test_a_kind_without_meaning_where_it_arrives_is_ignored_and_counted(world: World) -> None:
    hub, _ = await world.hub()
    early = world.outsider(identity("front", "1"))
    early.say(hello_frame("front", "1"))
    early.say(encode_batch([Envelope(Kind.WELCOME, b"", "front", "runner")] * 2))
    await eventually(lambda: hub.counters["ignored"] == 2)
    early.close()


async def test_every_failure_of_messaging_is_an_ipc_error(world: World) -> None:
    await world.hub()
    front = await world.link("front")
    with pytest.raises(IpcError) as caught:
        await front.call("nobody", "echo", b"", timeout_seconds=BOUND_SECONDS)
    assert caught.value.code == "unreachable"
