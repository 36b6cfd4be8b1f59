"""Who gets in over the network, as whom, and until when: the hub's end that speaks CURVE, against raw clients too."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import zmq

from ipc.codec import encode_batch
from ipc.curve import CurveClient, KeyPair
from ipc.envelope import Envelope, Kind
from ipc.errors import DeniedError, UnreachableError
from ipc.link import Request
from ipc.remote import key_of
from tests.contract.ipc_world import BOUND_SECONDS, CurveWorld, eventually, hello_frame

SILENCE_MS = 300  # nothing comes: this long is waited for what would come at once


@pytest.fixture
async def world() -> AsyncIterator[CurveWorld]:
    folder = Path(tempfile.mkdtemp(prefix="rt-"))
    made = CurveWorld(folder)
    yield made
    await made.close()
    shutil.rmtree(folder)


async def echo(request: Request) -> bytes:
    return request.body


class Intruder:
    """A DEALER with whatever keys; says hello like a link and hears what comes back."""

    def __init__(self, world: CurveWorld, prepare: Callable[["zmq.Socket[bytes]"], None]) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.setsockopt(zmq.ROUTING_ID, b"worker:1|intruder")
        prepare(self._socket)
        self._socket.connect(world.endpoint)
        self._socket.send(hello_frame("worker:1", "intruder"))

    async def heard(self) -> bool:
        return bool(await asyncio.to_thread(self._socket.poll, SILENCE_MS))

    def close(self) -> None:
        self._context.destroy(linger=0)


def curve(server_public: bytes, own: KeyPair) -> Callable[["zmq.Socket[bytes]"], None]:
    return CurveClient(server_public, own).apply


def plain(socket: "zmq.Socket[bytes]") -> None:
    socket.setsockopt(zmq.PLAIN_USERNAME, b"admin")
    socket.setsockopt(zmq.PLAIN_PASSWORD, b"admin")


def without_keys(_socket: "zmq.Socket[bytes]") -> None:
    """ZeroMQ's NULL mechanism."""


async def test_whoever_proves_an_admitted_key_is_answered(world: CurveWorld) -> None:
    await world.hub()
    friend = Intruder(world, curve(world.server.public, world.own))
    assert await friend.heard()
    friend.close()


@pytest.mark.parametrize("kind", ["none", "plain", "wrong", "wrong server"])
async def test_without_an_admitted_key_nothing_is_heard(world: CurveWorld, kind: str) -> None:
    hub, _ = await world.hub()
    prepare = {
        "none": without_keys,
        "plain": plain,
        "wrong": curve(world.server.public, KeyPair.generate()),
        "wrong server": curve(KeyPair.generate().public, world.own),
    }[kind]
    intruder = Intruder(world, prepare)
    assert not await intruder.heard()
    intruder.close()
    assert not hub.peers
    assert hub.counters["refused.key"] == (1 if kind == "wrong" else 0)  # the others do not get as far as a key


async def test_a_public_key_alone_does_not_let_in(world: CurveWorld) -> None:
    """Public keys are no secret: whoever copies one cannot prove it."""
    hub, _ = await world.hub()
    thief = KeyPair(world.own.public, KeyPair.generate().secret)
    intruder = Intruder(world, curve(world.server.public, thief))
    assert not await intruder.heard()
    intruder.close()
    assert not hub.peers


async def test_a_refused_link_is_told_so_and_gets_in_once_its_key_is_admitted(world: CurveWorld) -> None:
    await world.hub({"echo": echo})
    late = KeyPair.generate()
    refusals: list[bool] = []

    def refused() -> None:
        refusals.append(True)
        world.admitted.add(late.public)

    transport = world.link_with(late, refused)
    link = await world.join("worker:1", transport)
    assert refusals == [True]
    assert await link.call("runner", "echo", b"x", timeout_seconds=BOUND_SECONDS) == b"x"


async def test_a_revoked_key_is_cut_off_at_once_and_kept_out(world: CurveWorld) -> None:
    heard: list[bytes] = []

    async def hear(request: Request) -> bytes:
        heard.append(request.body)
        return b""

    hub, runner = await world.hub({"hear": hear})
    link = await world.link("worker:1", {"echo": echo})
    world.admitted.clear()
    hub.expel(hub.peers["worker:1"])
    with pytest.raises(UnreachableError):
        await runner.call("worker:1", "echo", b"", timeout_seconds=BOUND_SECONDS)
    link.cast("runner", "hear", b"said after it was revoked")
    await eventually(lambda: hub.counters["revoked"])
    assert heard == []
    assert not hub.peers
    await world.crash(link)
    again = world.start_link("worker:1")
    await eventually(lambda: hub.counters["refused.key"])
    assert not again.welcomed.is_set()


async def test_a_name_cannot_be_taken_over_by_another_key(world: CurveWorld) -> None:
    other = KeyPair.generate()
    world.admitted.add(other.public)
    names = {world.own.public: "worker:a", other.public: "worker:b"}
    world.admission = lambda key, name: key is None or names[key] == name
    hub, runner = await world.hub()
    await world.link("worker:a", {"echo": echo})
    with pytest.raises(DeniedError, match="worker:a"):
        await world.join("worker:a", world.link_with(other))
    assert await runner.call("worker:a", "echo", b"x", timeout_seconds=BOUND_SECONDS) == b"x"
    await world.join("worker:b", world.link_with(other))
    assert set(hub.peers) == {"worker:a", "worker:b"}


async def test_the_same_routing_id_under_another_key_is_another_connection(world: CurveWorld) -> None:
    """Whoever learned an incarnation still speaks for nobody but himself."""
    other = KeyPair.generate()
    world.admitted.add(other.public)
    hub, _ = await world.hub()
    first = Intruder(world, curve(world.server.public, world.own))
    await eventually(lambda: "worker:1" in hub.peers)
    first.close()
    second = Intruder(world, curve(world.server.public, other))
    await eventually(lambda: "worker:1" in hub.peers and key_of(hub.peers["worker:1"].route) == other.public)
    second.close()


async def test_a_process_of_this_machine_cannot_pass_for_one_of_the_network(world: CurveWorld) -> None:
    world.admission = lambda key, name: (key is None) == (name == "local")
    hub, _ = await world.hub()
    local = world.local_transport()
    with pytest.raises(DeniedError, match="worker:1"):
        await world.join("worker:1", local)
    await world.join("local", world.local_transport())
    with pytest.raises(DeniedError, match="local"):
        await world.join("local", world.link_with(world.own))
    assert set(hub.peers) == {"local"}


async def test_a_routing_id_of_this_machine_that_looks_like_one_of_the_network_is_dropped(world: CurveWorld) -> None:
    """ZeroMQ's own begin like that, and no link's may."""
    hub, _ = await world.hub()
    nameless = world.local_outsider()
    nameless.say(hello_frame("worker:1", "x"))
    await eventually(lambda: hub.counters["forged"])
    nameless.close()
    assert not hub.peers


async def test_links_of_both_kinds_call_each_other(world: CurveWorld) -> None:
    await world.hub()
    remote = await world.link("worker:1", {"echo": echo})
    local = await world.join("front", world.local_transport(), {"echo": echo})
    assert await local.call("worker:1", "echo", b"there", timeout_seconds=BOUND_SECONDS) == b"there"
    assert await remote.call("front", "echo", b"back", timeout_seconds=BOUND_SECONDS) == b"back"


async def test_an_envelope_in_the_name_of_a_neighbour_is_dropped(world: CurveWorld) -> None:
    hub, _ = await world.hub()
    friend = world.outsider(b"worker:1|f")
    friend.say(hello_frame("worker:1", "f"))
    await eventually(lambda: "worker:1" in hub.peers)
    friend.say(encode_batch([Envelope(Kind.EVENT, b"", "task-runner", "runner", method="hear")]))
    await eventually(lambda: hub.counters["forged"])
    friend.close()
