"""A simulated Ratchet (`tests.simulation`) that is given hostile input everywhere at once, and must live on.

Inputs reach the hub as frames of strangers and of peers that went mad, a link as frames of a hub that did, each
procedure as the body of a call, workers as messages of their children, and every framing as bytes.
"""

import asyncio
import traceback
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from ipc.codec import decode_batch, encode_batch
from ipc.envelope import PROTOCOL_VERSION, Envelope, Kind
from ipc.errors import MalformedError
from ipc.handshake import Hello, encode_hello, identity
from ipc.link import Link
from ratchet import messages, rpc
from ratchet.access import ACCESS
from ratchet.bodies.common import Empty
from ratchet.bodies.executions import Submit
from ratchet.channel import ChannelError, Decoder, encode
from ratchet.messages import StreamProcedure
from ratchet.models import Source, Status
from tests.fuzz.hostile import PROCEDURES, Hostile
from tests.simulation.clients import Clients
from tests.simulation.loop import context_of
from tests.simulation.play import logging_of
from tests.simulation.tasks import PLAIN
from tests.simulation.world import ACTORS, LOGS, RUNNER, SPANS, WORKERS, World

INPUTS_PER_WORLD = 400
_SEEN_MAX = 100
_REST_SECONDS = 200.0
_ENVELOPES_MAX = 1280
_ROLES = {RUNNER: (RUNNER,), LOGS: (LOGS,), SPANS: (SPANS,), "worker": WORKERS, "*": (RUNNER, LOGS, SPANS, *WORKERS)}
_MAD = ("cli:7", "mcp-front:7", "log-store:7", "llm-gateway")  # a worker would be given work


def play(seed: int, folder: Path, *, inputs: int = INPUTS_PER_WORLD) -> list[str]:
    """Give a world so many inputs; returns what should not be, in words."""
    world = World(seed, folder)
    fuzz = _Fuzz(world, Random(seed))
    violated: list[str] = []
    with logging_of(world, verbose=False):
        try:
            world.loop.run(fuzz.schedule(inputs, violated))
        except Exception as error:  # noqa: BLE001 - whatever it is, the seed shows it again
            violated.append(f"it broke off: {''.join(traceback.format_exception(error))}")
    violated += [f"{name} crashed: {error!r}" for name, error in world.loop.crashes]
    violated += world.truth.tracebacks
    world.disk.close()
    return violated


class _Fuzz:
    def __init__(self, world: World, chance: Random) -> None:
        self._world = world
        self._chance = chance
        self._hostile = Hostile(chance)
        self._frames: deque[bytes] = deque(maxlen=_SEEN_MAX)
        self._bodies: defaultdict[str, deque[bytes]] = defaultdict(lambda: deque(maxlen=10))
        self._keys = 0
        carry = world.network.carry

        def carry_and_keep(identity: bytes, frame: bytes, deliver: Callable[[bytes], None], *, to_hub: bool) -> None:
            self._keep(frame)
            carry(identity, frame, deliver, to_hub=to_hub)

        world.network.carry = carry_and_keep  # type: ignore[method-assign]

    async def schedule(self, inputs: int, violated: list[str]) -> None:
        world = self._world
        clients = Clients(world)
        for name in ACTORS:
            world.start(name)
        await asyncio.sleep(1)
        processes = {name: host.process for name, host in world.hosts.items()}
        attack = [self._hub, self._hub, self._link, self._procedure, self._procedure, self._child, self._framing]
        for number in range(inputs):
            if number % 40 == 0:
                clients.act()
                await asyncio.sleep(0.05)
            self._chance.choice(attack)()
            if number % 5 == 0:
                await asyncio.sleep(0.001)
            if number % 50 == 0:
                violated += self._out_of_bounds()
        await asyncio.sleep(_REST_SECONDS)
        world.machine.edit()  # what its children said of the task file may be anything
        violated += [f"{name} did not outlive it" for name, one in processes.items() if not one.alive]
        violated += await self._unwell()

    def _keep(self, frame: bytes) -> None:
        self._frames.append(frame)
        with suppress(MalformedError):
            self._keep_bodies(decode_batch(frame))

    def _keep_bodies(self, envelopes: list[Envelope]) -> None:
        for envelope in envelopes:
            if envelope.kind in (Kind.CALL, Kind.EVENT):
                self._bodies[envelope.method].append(envelope.body)

    # --- where it goes --------------------------------------------------------------------------------------------

    def _hub(self) -> None:
        """A frame from a peer that went mad, or from a stranger."""
        hub = self._world.hub_transport()
        if hub is None:
            return
        if self._chance.random() < 0.3:
            hub.arrive(
                self._chance.choice([b"stranger|1", self._chance.randbytes(8)]), self._hostile.frame(self._frames)
            )
            return
        name = self._chance.choice(_MAD)
        hub.arrive(identity(name, "1"), self._hello(name))  # it may have been dropped for what it said last
        frame = self._hostile.frame(self._frames)
        with suppress(MalformedError):  # what is in another's name goes no further: mostly it is in its own
            if self._chance.random() < 0.8:
                frame = encode_batch([one._replace(source=name) for one in decode_batch(frame)])
        hub.arrive(identity(name, "1"), frame)

    def _hello(self, name: str) -> bytes:
        hello = Hello(1, PROTOCOL_VERSION, name, "1", 1, b"")
        return encode_batch([Envelope(Kind.HELLO, b"", name, "", body=encode_hello(hello))])

    def _link(self) -> None:
        """A frame from the hub to one of the links."""
        link = self._world.link_of(self._chance.choice([LOGS, SPANS, *WORKERS]))
        if link is not None:
            frame = self._hostile.frame(self._frames)
            with suppress(MalformedError):
                if any(
                    envelope.kind is Kind.ERROR and not envelope.key + envelope.target.encode()
                    for envelope in decode_batch(frame)
                ):
                    return  # a hub may refuse a link, which ends it
            link.push(frame)

    def _procedure(self) -> None:
        """A call of a procedure, by somebody who may, with a body that is none."""
        procedure = self._chance.choice(PROCEDURES)
        names = _ROLES.get(procedure.role)
        if names is None:
            return
        name = self._chance.choice(names)
        link = self._link_of(name)
        if link is None:
            return
        self._keys += 1
        callers = sorted({caller for caller, callee, _ in ACCESS if callee in (procedure.role, "*")})
        envelope = Envelope(
            self._chance.choice([Kind.CALL, Kind.EVENT]),
            b"fuzz%d" % self._keys,
            self._chance.choice(callers),
            name,
            procedure.name,
            5000,
            body=self._hostile.body(procedure.request, self._bodies[procedure.name]),
            credit=4 if isinstance(procedure, StreamProcedure) else 0,
        )
        context = context_of(self._world.hosts[name].process)
        self._world.loop.call_soon(link._receive, [envelope], context=context)  # pyright: ignore[reportPrivateUsage]

    def _child(self) -> None:
        """A message of a child, on either channel."""
        children = sorted(self._world.machine.children, key=lambda child: child.pid)
        if not children:
            return
        child = self._chance.choice(children)
        kinds = ["log", "span", "progress", "done", "described", "call", "cancel", "credit", "what"]
        value: Any = self._hostile.value()
        body: dict[str, Any] = dict(value) if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownArgumentType]
        if not body or self._chance.random() < 0.7:
            names = ["id", "method", "body", "level", "message", "at_ns", "failure", "output", "current", "items"]
            body = {name: self._hostile.value() for name in self._chance.sample(names, 4)}
        say = self._chance.choice([child.end.say, child.end.call])
        say(self._chance.choice(kinds), body)

    def _framing(self) -> None:
        """Bytes on a private channel."""
        frame = encode("log", {"message": "m", "of": [1, 2, {"a": None}]})
        decoder = Decoder()
        with suppress(ChannelError):
            for _ in range(3):
                for kind, body in decoder.feed(self._hostile.damaged(frame)):
                    assert isinstance(kind, str)
                    assert isinstance(body, dict)

    # --- how everybody is -----------------------------------------------------------------------------------------

    def _link_of(self, name: str) -> Link | None:
        if name == RUNNER:
            runner = self._world.runner
            return None if runner is None else runner._link  # pyright: ignore[reportPrivateUsage]
        host = self._world.hosts.get(name)
        return host.link if host is not None else None

    def _out_of_bounds(self) -> list[str]:
        runner = self._world.runner
        peers = () if runner is None else runner.hub.peers.values()
        return [f"{one.queued} envelopes wait for {one.name}" for one in peers if one.queued > _ENVELOPES_MAX]

    async def _unwell(self) -> list[str]:
        """Everybody answers, and a task runs."""
        assert self._world.link is not None
        body = Submit(
            execution_id="last",
            task_id=PLAIN,
            input={"steps": [["effect", 1]]},
            source=Source(kind="cli"),
            wait_seconds=60,
        )

        async def ask() -> list[str]:
            link: Any = self._world.link
            found: list[str] = []
            for name in (RUNNER, LOGS, SPANS, *WORKERS):
                try:
                    await rpc.call(link, messages.GET_HEALTH, Empty(), target=name, timeout_seconds=60)
                except Exception as error:  # noqa: BLE001 - each of them is a finding
                    found.append(f"{name} does not say how it is: {error!r}")
            try:
                end = await rpc.call(link, messages.SUBMIT, body, timeout_seconds=120)
            except Exception as error:  # noqa: BLE001
                return [*found, f"nothing can be run any more: {error!r}"]
            return found if end.status is Status.COMPLETED else [*found, f"a task ended as {end.status}: {end.failure}"]

        return await self._world.loop.create_task(ask(), context=context_of(self._world.hosts["cli:1"].process))
