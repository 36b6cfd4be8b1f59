"""What messaging does as time passes: on the in-memory twin, in virtual time."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest

from ipc import serving
from ipc.access import AccessTable
from ipc.codec import decode_batch, encode_batch
from ipc.envelope import Envelope, Kind
from ipc.errors import ExpiredError, LostError, UnreachableError
from ipc.handshake import Welcome, encode_welcome, identity
from ipc.hub import Hub
from ipc.link import Handler, Link, Request
from ipc.liveness import DEAD_SECONDS, SUSPECT_SECONDS, Liveness
from ipc.memory import MemoryNetwork
from tests.unit.ipc_virtual_time import VirtualTimeLoop, run_virtually


class Star:
    """One hub and its links in virtual time."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self.loop = loop
        self.network = MemoryNetwork()
        self.gone: list[str] = []
        self.peers: list[str] = []
        self._tasks: dict[object, asyncio.Task[None]] = {}

    async def hub(self, methods: Mapping[str, Handler] | None = None, incarnation: str = "h1") -> tuple[Hub, Link]:
        hub = Hub(
            self.network.hub_transport(),
            name="runner",
            incarnation=incarnation,
            access=AccessTable.everyone(),
            on_peer=lambda peer, _body: self.peers.append(peer.name),
            on_gone=lambda peer: self.gone.append(peer.name),
            clock=self.loop.time,
        )
        local = hub.local_link(methods or {})
        self._tasks[hub] = asyncio.create_task(hub.run())
        await local.welcomed.wait()
        return hub, local

    async def link(self, name: str, methods: Mapping[str, Handler] | None = None, incarnation: str = "1") -> Link:
        link = Link(
            self.network.link_transport(),
            name=name,
            incarnation=incarnation,
            methods=methods or {},
            clock=self.loop.time,
        )
        self._tasks[link] = asyncio.create_task(link.run())
        await link.welcomed.wait()
        return link

    async def end(self, one: Hub | Link) -> None:
        task = self._tasks.pop(one)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def silence(self, *names: str) -> None:
        """Let whatever these links say vanish."""
        routes = {identity(name, "1") for name in names}
        hub = self.network.hub

        def drop(route: bytes, frame: bytes) -> bool:
            return route in routes and decode_batch(frame)[0].source in names and self.network.hub is hub

        self.network.drop = drop

    def listen_again(self) -> None:
        self.network.drop = lambda _route, _frame: False

    async def close(self) -> None:
        for one in tuple(self._tasks):
            assert isinstance(one, Hub | Link)
            await self.end(one)


def virtually(scenario: Callable[[Star], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Turn a scenario into a test."""

    async def play(loop: VirtualTimeLoop) -> None:
        star = Star(loop)
        await scenario(star)
        await star.close()

    def test() -> None:
        run_virtually(play)

    test.__name__ = scenario.__name__
    return test


async def echo(request: Request) -> bytes:
    return request.body


@virtually
async def test_pings_keep_an_idle_peer_alive(star: Star) -> None:
    hub, _ = await star.hub()
    await star.link("worker:1")
    await asyncio.sleep(3600)
    assert hub.peers["worker:1"].liveness is Liveness.ALIVE
    assert hub.counters == {}


@virtually
async def test_a_silent_peer_is_suspect_and_then_gone(star: Star) -> None:
    hub, _ = await star.hub()
    await star.link("worker:1")
    star.silence("worker:1")
    await asyncio.sleep(SUSPECT_SECONDS + 1)
    assert hub.peers["worker:1"].liveness is Liveness.SUSPECT
    assert star.gone == []
    await asyncio.sleep(DEAD_SECONDS - SUSPECT_SECONDS)
    assert star.gone == ["worker:1"]


@virtually
async def test_a_peer_that_was_given_up_is_welcomed_again_when_it_speaks(star: Star) -> None:
    hub, runner = await star.hub()
    await star.link("worker:1", {"echo": echo})
    star.silence("worker:1")
    await asyncio.sleep(DEAD_SECONDS + 2)
    star.listen_again()
    await asyncio.sleep(3)
    assert star.peers == ["worker:1", "worker:1"]
    assert hub.peers["worker:1"].liveness is Liveness.ALIVE
    assert await runner.call("worker:1", "echo", b"again", timeout_seconds=5) == b"again"


@virtually
async def test_a_hub_that_stood_still_itself_gives_up_nobody(star: Star) -> None:
    hub, _ = await star.hub()
    await star.link("worker:1")
    star.loop.stand_still(3600)
    await asyncio.sleep(2)
    assert star.gone == []
    assert hub.peers["worker:1"].liveness is Liveness.ALIVE


@virtually
async def test_a_link_whose_hub_says_nothing_loses_its_session_and_connects_anew(star: Star) -> None:
    gate = asyncio.Event()

    async def wait(_request: Request) -> bytes:
        await gate.wait()
        return b"done"

    await star.hub({"wait": wait})
    front = await star.link("front")
    lost = asyncio.create_task(front.call("runner", "wait", b"", timeout_seconds=60))
    kept = asyncio.create_task(front.call("runner", "wait", b"", timeout_seconds=60, idempotent=True))
    await asyncio.sleep(0.1)
    route = identity("front", "1")
    star.network.drop = lambda link, _frame: link == route
    await asyncio.sleep(DEAD_SECONDS + 2)
    with pytest.raises(LostError):
        await lost
    assert front.counters["reset"] == 1
    gate.set()
    assert await kept == b"done"


@virtually
async def test_a_hello_is_said_again_ever_more_slowly_until_it_is_answered(star: Star) -> None:
    await star.hub()
    hellos: list[float] = []

    def drop(_route: bytes, frame: bytes) -> bool:
        if any(envelope.kind is Kind.HELLO for envelope in decode_batch(frame)):
            hellos.append(star.loop.time())
        return True

    star.network.drop = drop
    task = asyncio.create_task(star.link("front"))
    await asyncio.sleep(60)
    gaps = [later - earlier for earlier, later in itertools.pairwise(hellos)]
    assert min(gaps) == pytest.approx(0.02)
    assert 60 / 0.5 < len(hellos) < 60 * 6
    star.listen_again()
    front = await task
    assert front.welcomed.is_set()
    assert star.peers == ["front"]


@virtually
async def test_a_pong_of_another_incarnation_begins_a_new_session(star: Star) -> None:
    await star.hub()
    front = await star.link("front")
    pong = Envelope(Kind.PONG, b"", "runner", "front", body=encode_welcome(Welcome(1, "another", 1)))
    star.network.links[identity("front", "1")].push(encode_batch([pong]))
    await asyncio.sleep(1)
    assert star.peers == ["front", "front"]
    assert front.welcomed.is_set()


@virtually
async def test_an_answer_is_remembered_for_a_minute_and_given_again(star: Star) -> None:
    runs: list[bytes] = []

    async def work(request: Request) -> bytes:
        runs.append(request.body)
        return b"answer"

    _, runner = await star.hub({"work": work})
    front = await star.link("front")
    said: list[bytes] = []
    star.network.drop = lambda _route, frame: said.append(frame) is not None
    await front.call("runner", "work", b"x", timeout_seconds=5)
    (again,) = (frame for frame in said if decode_batch(frame)[0].kind is Kind.CALL)
    await asyncio.sleep(1)
    hub_transport = star.network.hub
    assert hub_transport is not None
    route = identity("front", "1")
    hub_transport.arrive(route, again)
    await asyncio.sleep(0.1)
    assert (runs, runner.counters["replayed"], front.counters["late"]) == ([b"x"], 1, 1)
    await asyncio.sleep(serving.ANSWER_SECONDS)
    hub_transport.arrive(route, again)
    await asyncio.sleep(0.1)
    assert runs == [b"x", b"x"]


@virtually
async def test_a_handler_whose_caller_vanished_is_cancelled_soon_after_its_deadline(star: Star) -> None:
    cancelled_at: list[float] = []

    async def wait(_request: Request) -> bytes:
        try:
            return await asyncio.Future()
        except asyncio.CancelledError:
            cancelled_at.append(star.loop.time())
            raise

    _, runner = await star.hub({"wait": wait})
    front = await star.link("front")
    began = star.loop.time()
    call = asyncio.create_task(front.call("runner", "wait", b"", timeout_seconds=20))
    await asyncio.sleep(0.1)
    star.network.links[identity("front", "1")].close()
    await asyncio.sleep(60)
    assert cancelled_at == [pytest.approx(began + 20 + serving.OVERDUE_SECONDS, abs=0.1)]
    assert runner.counters["overdue"] == 1
    with pytest.raises(ExpiredError):
        await call


@virtually
async def test_an_idempotent_call_to_nobody_is_tried_until_its_deadline(star: Star) -> None:
    await star.hub()
    front = await star.link("front")
    began = star.loop.time()
    with pytest.raises(UnreachableError, match="nobody named"):
        await front.call("worker:1", "echo", b"", timeout_seconds=10, idempotent=True)
    assert star.loop.time() - began == pytest.approx(10, abs=0.01)
    assert 10 / 0.5 <= front.counters["resent"] <= 30


@virtually
async def test_deadlines_are_kept_whatever_order_the_calls_were_made_in(star: Star) -> None:
    async def wait(_request: Request) -> bytes:
        return await asyncio.Future()

    await star.hub({"wait": wait})
    front = await star.link("front")

    async def expire(seconds: float) -> float:
        began = star.loop.time()
        with pytest.raises(ExpiredError):
            await front.call("runner", "wait", b"", timeout_seconds=seconds)
        return star.loop.time() - began

    wanted = [30.0, 0.1, 7.0, 0.5, 60.0, 3.0]
    assert await asyncio.gather(*map(expire, wanted)) == [pytest.approx(one, abs=0.01) for one in wanted]


@virtually
async def test_a_cancelled_call_that_was_not_handed_over_is_never_executed(star: Star) -> None:
    runs: list[bytes] = []

    async def work(request: Request) -> bytes:
        runs.append(request.body)
        return b""

    await star.hub()
    await star.link("worker:1", {"work": work})
    front = await star.link("front")
    star.network.hold(identity("worker:1", "1"))
    calls = [
        asyncio.create_task(front.call("worker:1", "work", b"%d" % number, timeout_seconds=5)) for number in range(300)
    ]
    await asyncio.sleep(0.1)
    for call in calls:
        call.cancel()
    await asyncio.sleep(0.1)
    star.network.release(identity("worker:1", "1"))
    await asyncio.sleep(1)
    assert len(runs) < len(calls)


@virtually
async def test_a_call_that_is_cancelled_before_its_handler_began_is_settled_all_the_same(star: Star) -> None:
    runs: list[bytes] = []

    async def work(request: Request) -> bytes:
        runs.append(request.body)
        return b""

    _, runner = await star.hub({"work": work})
    front = await star.link("front")
    call = Envelope(Kind.CALL, b"key", "front", "runner", "work", 5000)
    route = identity("front", "1")
    hub_transport = star.network.hub
    assert hub_transport is not None
    hub_transport.arrive(route, encode_batch([call, Envelope(Kind.CANCEL, b"key", "front", "runner")]))
    await asyncio.sleep(0.1)
    assert front.counters["late"] == 1
    hub_transport.arrive(route, encode_batch([call]))
    await asyncio.sleep(0.1)
    assert runner.counters["replayed"] == 1
    assert runs == []


@virtually
async def test_calls_that_still_waited_for_a_replaced_peer_are_known_not_to_have_run(star: Star) -> None:
    async def wait(_request: Request) -> bytes:
        return await asyncio.Future()

    hub, _ = await star.hub()
    await star.link("worker:1", {"wait": wait})
    front = await star.link("front")
    star.network.hold(identity("worker:1", "1"))
    calls: list[asyncio.Task[bytes]] = []
    while not hub.peers["worker:1"].queued:
        calls.append(asyncio.create_task(front.call("worker:1", "wait", b"", timeout_seconds=50)))
        await asyncio.sleep(0.002)
    waiting = hub.peers["worker:1"].queued
    await star.link("worker:1", {"wait": wait}, incarnation="2")
    ends = Counter(type(error) for error in await asyncio.gather(*calls, return_exceptions=True))
    assert ends == {LostError: len(calls) - waiting, UnreachableError: waiting}


@virtually
async def test_nobody_answers_in_anothers_place(star: Star) -> None:
    keys: list[bytes] = []

    def tap(_route: bytes, frame: bytes) -> bool:
        keys.extend(one.key for one in decode_batch(frame) if one.kind is Kind.CALL)
        return False

    async def slow(_request: Request) -> bytes:
        await asyncio.sleep(1)
        return b"true"

    await star.hub()
    await star.link("worker:1", {"slow": slow})
    await star.link("worker:2")
    front = await star.link("front")
    star.network.drop = tap
    call = asyncio.create_task(front.call("worker:1", "slow", b"", timeout_seconds=5))
    await asyncio.sleep(0.1)
    forged = Envelope(Kind.REPLY, keys[0], "worker:2", "front", body=b"false")
    hub_transport = star.network.hub
    assert hub_transport is not None
    hub_transport.arrive(identity("worker:2", "1"), encode_batch([forged]))
    assert await call == b"true"
    assert front.counters["late"] == 1


@virtually
async def test_the_last_progress_arrives_however_slow_the_listener_reads(star: Star) -> None:
    async def work(request: Request) -> bytes:
        for step in range(5000):
            request.progress(b"%05d" % step)
            if not step % 10:
                await asyncio.sleep(0)
        return b"done"

    hub, _ = await star.hub({"work": work})
    front = await star.link("front")
    seen: list[bytes] = []
    call = asyncio.create_task(front.call("runner", "work", b"", timeout_seconds=60, on_progress=seen.append))
    await asyncio.sleep(0)
    star.network.hold(identity("front", "1"))
    await asyncio.sleep(1)
    star.network.release(identity("front", "1"))
    assert await call == b"done"
    assert len(seen) < 5000
    assert seen[-1] == b"04999"
    assert hub.counters["dropped.progress"] == 0
