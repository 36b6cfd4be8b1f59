"""Seeded schedules of calls, streams and faults, in virtual time: whatever goes away, each has one true end."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from ipc.access import AccessTable
from ipc.codec import decode_batch
from ipc.credit import WINDOW_ITEMS
from ipc.envelope import Kind
from ipc.errors import BusyError, ExpiredError, IpcError, LostError, UnreachableError
from ipc.handshake import fits, identity
from ipc.hub import Hub
from ipc.link import Link, Request
from ipc.memory import MemoryNetwork
from tests.unit.ipc_virtual_time import VirtualTimeLoop, run_virtually

NAMES = ("front", "store", "worker:1", "worker:2")
CALL_SECONDS = 20.0
TROUBLE_SECONDS = 120.0  # by then whoever was given up is back, and what was lost without a trace is found out


@dataclass
class Made:
    """One call and what came of it."""

    body: bytes
    idempotent: bool
    deadline: float
    ended_at: float | None = None
    reply: bytes | None = None
    error: IpcError | None = None


@dataclass
class Read:
    """One stream and what came of it."""

    body: bytes
    items: int
    deadline: float
    got: list[int] = field(default_factory=list[int])
    ended_at: float | None = None
    error: IpcError | None = None
    left: bool = False


@dataclass
class Simulation:
    loop: VirtualTimeLoop
    chance: random.Random
    network: MemoryNetwork = field(default_factory=MemoryNetwork)
    runs: Counter[bytes] = field(default_factory=Counter[bytes])
    calls: list[Made] = field(default_factory=list[Made])
    streams: list[Read] = field(default_factory=list[Read])
    ahead: Counter[bytes] = field(default_factory=Counter[bytes])
    lossy: bool = False
    links: dict[str, Link] = field(default_factory=dict[str, Link])
    tasks: dict[object, asyncio.Task[None]] = field(default_factory=dict[object, asyncio.Task[None]])
    callers: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    hub: Hub | None = None
    runner: Link | None = None
    started: int = 0

    async def work(self, request: Request) -> bytes:
        self.runs[request.body] += 1
        if self.chance.random() < 0.3:
            request.progress(b"on it")
        await asyncio.sleep(self.chance.choice([0, 0.001, 0.1, 2]))
        return b"done " + request.body

    async def count(self, request: Request) -> AsyncIterator[bytes]:
        self.runs[request.body] += 1
        read = self.streams[int(request.body[1:])]
        for number in range(read.items):
            self.ahead[request.body] = max(self.ahead[request.body], number - len(read.got))
            yield number.to_bytes(2, "big")
            if self.chance.random() < 0.05:
                await asyncio.sleep(self.chance.choice([0, 0.01, 3]))

    async def read(self, source: Link, target: str) -> None:
        seconds = self.chance.choice([None, CALL_SECONDS])
        deadline = float("inf") if seconds is None else self.loop.time() + seconds
        read = Read(b"s%d" % len(self.streams), self.chance.choice([0, 3, 100, 200]), deadline)
        self.streams.append(read)
        leave_at = self.chance.choice([None, None, 50])
        try:
            async with source.stream(target, "count", read.body, timeout_seconds=seconds) as items:
                async for item in items:
                    read.got.append(int.from_bytes(item, "big"))
                    if len(read.got) == leave_at:
                        read.left = True
                        break
                    if self.chance.random() < 0.05:
                        await asyncio.sleep(self.chance.choice([0, 0.1, 4]))
        except IpcError as error:
            read.error = error
        read.ended_at = self.loop.time()

    async def count_forever(self) -> None:
        read = Read(b"s0", 10**6, float("inf"))
        self.streams.append(read)
        try:
            async with self.links["front"].stream("store", "count", read.body) as items:
                async for item in items:
                    read.got.append(int.from_bytes(item, "big"))
        except IpcError as error:
            read.error = error

    def lose(self, _identity: bytes, _frame: bytes) -> bool:
        return self.lossy and self.chance.random() < 0.1

    def start_hub(self) -> None:
        self.started += 1
        self.hub = Hub(
            self.network.hub_transport(),
            name="runner",
            incarnation=f"h{self.started}",
            access=AccessTable.everyone(),
            clock=self.loop.time,
        )
        self.runner = self.hub.local_link({"work": self.work, "count": self.count})
        self.tasks[self.hub] = asyncio.create_task(self.hub.run())

    def start_link(self, name: str) -> None:
        self.started += 1
        self.links[name] = Link(
            self.network.link_transport(),
            name=name,
            incarnation=str(self.started),
            methods={"work": self.work, "count": self.count},
            clock=self.loop.time,
        )
        self.tasks[self.links[name]] = asyncio.create_task(self.links[name].run())

    async def stop(self, one: Hub | Link) -> None:
        task = self.tasks.pop(one)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def call(self, source: Link, target: str) -> None:
        made = Made(
            body=b"%d" % len(self.calls),
            idempotent=self.chance.random() < 0.5,
            deadline=self.loop.time() + CALL_SECONDS,
        )
        self.calls.append(made)
        try:
            made.reply = await source.call(
                target, "work", made.body, timeout_seconds=CALL_SECONDS, idempotent=made.idempotent
            )
        except IpcError as error:
            made.error = error
        made.ended_at = self.loop.time()

    async def step(self) -> None:
        name = self.chance.choice(NAMES)
        match self.chance.choices(
            ["call", "stream", "restart hub", "restart link", "crash link", "hold", "release", "loss", "wait"],
            [12, 6, 1, 1, 1, 1, 3, 1, 4],
        )[0]:
            case "call" | "stream" as kind:
                source = self.chance.choice([self.runner, *self.links.values()])
                assert source is not None
                target = self.chance.choice([*NAMES, "runner", "nobody"])
                use = self.call(source, target) if kind == "call" else self.read(source, target)
                self.callers.append(asyncio.create_task(use))
            case "restart hub":
                assert self.hub is not None
                await self.stop(self.hub)
                await asyncio.sleep(self.chance.choice([0, 0.05, 1]))
                self.start_hub()
            case "restart link":
                await self.stop(self.links[name])
                self.start_link(name)
            case "crash link":
                link = self.links[name]
                for route in [route for route in self.network.links if fits(route, name, link.incarnation)]:
                    self.network.links[route].close()
                await self.stop(link)
                await asyncio.sleep(self.chance.choice([0, 0.3]))
                self.start_link(name)
            case "hold":
                self.network.hold(identity(name, self.links[name].incarnation))
            case "release":
                for route in tuple(self.network.held):
                    self.network.release(route)
            case "loss":
                self.lossy = not self.lossy
            case _:
                await asyncio.sleep(self.chance.choice([0, 0.001, 0.02, 0.5, 4]))

    async def finish(self) -> None:
        self.lossy = False
        for route in tuple(self.network.held):
            self.network.release(route)
        async with asyncio.timeout(200 * 4 + TROUBLE_SECONDS):  # a reader that pauses at each item
            await asyncio.gather(*self.callers)
        await asyncio.sleep(TROUBLE_SECONDS)
        assert [link.running for link in self.links.values()] == [0] * len(NAMES), "a handler runs for nobody"
        for one in tuple(self.tasks):
            assert isinstance(one, Hub | Link)
            await self.stop(one)


def check(made: Made, runs: int) -> None:
    assert made.ended_at is not None
    assert made.ended_at <= made.deadline + 0.01
    assert (made.reply is None) != (made.error is None)
    if made.reply is not None:
        assert made.reply == b"done " + made.body
        assert runs >= 1
    if not made.idempotent:
        assert runs <= 1, "a call that may not be repeated was executed twice"
        if isinstance(made.error, UnreachableError | BusyError):
            assert runs == 0, f"{made.error.code} says that it was not executed"


def check_stream(read: Read, runs: int, ahead: int) -> None:
    assert read.ended_at is not None
    if isinstance(read.error, ExpiredError):  # a reader hears of it when it asks for the next item
        assert read.deadline <= read.ended_at <= read.deadline + 4.02
    assert read.got == list(range(len(read.got))), "items are missing, came twice or in another order"
    assert runs <= 1, "a stream is never sent again"
    assert ahead <= WINDOW_ITEMS + 1
    if read.error is None and not read.left:
        assert len(read.got) == read.items
    if isinstance(read.error, UnreachableError | BusyError):
        assert runs == 0, f"{read.error.code} says that nothing was done"


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_every_call_and_stream_has_one_true_end(seed: int) -> None:
    async def play(loop: VirtualTimeLoop) -> Simulation:
        simulation = Simulation(loop, random.Random(seed))
        simulation.network.drop = simulation.lose
        simulation.start_hub()
        for name in NAMES:
            simulation.start_link(name)
        for _ in range(60):
            await simulation.step()
        await simulation.finish()
        return simulation

    simulation = run_virtually(play)
    assert simulation.calls
    for made in simulation.calls:
        check(made, simulation.runs[made.body])
    for read in simulation.streams:
        check_stream(read, simulation.runs[read.body], simulation.ahead[read.body])


def test_items_that_vanish_without_a_trace_end_their_stream() -> None:
    def vanishes(_identity: bytes, frame: bytes) -> bool:
        return any(envelope.kind is Kind.ITEM for envelope in decode_batch(frame))

    async def play(loop: VirtualTimeLoop) -> Simulation:
        simulation = Simulation(loop, random.Random(1))
        simulation.network.drop = vanishes
        simulation.start_hub()
        for name in NAMES:
            simulation.start_link(name)
        simulation.callers.append(asyncio.create_task(simulation.count_forever()))
        await simulation.finish()
        return simulation

    [read] = run_virtually(play).streams
    assert isinstance(read.error, LostError)
    assert read.got == []


def test_without_faults_every_call_and_stream_between_peers_succeeds() -> None:
    async def play(loop: VirtualTimeLoop) -> Simulation:
        simulation = Simulation(loop, random.Random(1))
        simulation.start_hub()
        for name in NAMES:
            simulation.start_link(name)
        for source in simulation.links.values():
            for target in (*NAMES, "runner"):
                simulation.callers.append(asyncio.create_task(simulation.call(source, target)))
                simulation.callers.append(asyncio.create_task(simulation.read(source, target)))
        await simulation.finish()
        return simulation

    simulation = run_virtually(play)
    assert all(made.reply for made in simulation.calls)
    assert all(read.left or (read.items == len(read.got)) for read in simulation.streams if read.error is None)
    assert {read.error.code for read in simulation.streams if read.error is not None} <= {"expired"}
    assert set(simulation.runs.values()) == {1}
