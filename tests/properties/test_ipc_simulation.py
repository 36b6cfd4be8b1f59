"""Seeded schedules of calls and faults, in virtual time: whatever goes away, each call has one true end."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from ipc.access import AccessTable
from ipc.errors import BusyError, IpcError, UnreachableError
from ipc.handshake import fits, identity
from ipc.hub import Hub
from ipc.link import Link, Request
from ipc.memory import MemoryNetwork
from tests.unit.ipc_virtual_time import VirtualTimeLoop, run_virtually

NAMES = ("front", "store", "worker:1", "worker:2")
CALL_SECONDS = 20.0


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
class Simulation:
    loop: VirtualTimeLoop
    chance: random.Random
    network: MemoryNetwork = field(default_factory=MemoryNetwork)
    runs: Counter[bytes] = field(default_factory=Counter[bytes])
    calls: list[Made] = field(default_factory=list[Made])
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

    def start_hub(self) -> None:
        self.started += 1
        self.hub = Hub(
            self.network.hub_transport(),
            name="runner",
            incarnation=f"h{self.started}",
            access=AccessTable.everyone(),
            clock=self.loop.time,
        )
        self.runner = self.hub.local_link({"work": self.work})
        self.tasks[self.hub] = asyncio.create_task(self.hub.run())

    def start_link(self, name: str) -> None:
        self.started += 1
        self.links[name] = Link(
            self.network.link_transport(),
            name=name,
            incarnation=str(self.started),
            methods={"work": self.work},
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
            ["call", "restart hub", "restart link", "crash link", "hold", "release", "wait"], [12, 1, 1, 1, 1, 3, 4]
        )[0]:
            case "call":
                source = self.chance.choice([self.runner, *self.links.values()])
                assert source is not None
                target = self.chance.choice([*NAMES, "runner", "nobody"])
                self.callers.append(asyncio.create_task(self.call(source, target)))
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
            case _:
                await asyncio.sleep(self.chance.choice([0, 0.001, 0.02, 0.5, 4]))

    async def finish(self) -> None:
        for route in tuple(self.network.held):
            self.network.release(route)
        await asyncio.gather(*self.callers)
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


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_every_call_has_one_true_end(seed: int) -> None:
    async def play(loop: VirtualTimeLoop) -> Simulation:
        simulation = Simulation(loop, random.Random(seed))
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


def test_without_faults_every_call_between_peers_succeeds() -> None:
    async def play(loop: VirtualTimeLoop) -> Simulation:
        simulation = Simulation(loop, random.Random(1))
        simulation.start_hub()
        for name in NAMES:
            simulation.start_link(name)
        for source in simulation.links.values():
            for target in (*NAMES, "runner"):
                simulation.callers.append(asyncio.create_task(simulation.call(source, target)))
        await simulation.finish()
        return simulation

    simulation = run_virtually(play)
    assert all(made.reply for made in simulation.calls)
    assert set(simulation.runs.values()) == {1}
