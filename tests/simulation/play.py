"""One schedule from its seed: trouble for a while, then none, and what must hold then."""

import asyncio
import gc
import hashlib
import logging
import random
import traceback
from collections.abc import Generator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from tests.simulation.check import crashes, leftovers, violations
from tests.simulation.clients import Clients
from tests.simulation.faults import Faults
from tests.simulation.loop import PROCESS
from tests.simulation.world import ACTORS, World

STEPS = 20
REST_SECONDS_MAX = 400.0
_LOOK_SECONDS = 1.0
_PAUSES = (0.0, 0.001, 0.02, 0.1, 0.5, 3.0)


@dataclass(frozen=True)
class Played:
    """What came of a seed.

    Attributes:
        violated: The invariants that do not hold, in words.
        trail: What happened, in order.
        digest: Of the trail and of how much ran: the same whenever the seed is.
    """

    seed: int
    steps: int
    violated: list[str]
    trail: list[str]
    digest: str
    executions: int
    seconds: float


def play(seed: int, folder: Path, *, steps: int = STEPS, verbose: bool = False) -> Played:
    """Play the schedule of a seed with so many steps; `folder` is for the task file."""
    random.seed(seed)  # what the runner leaves to chance
    world = World(seed, folder)
    violated: list[str] = []
    with logging_of(world, verbose=verbose):
        try:
            world.loop.run(_schedule(world, steps, violated))
            violated += violations(world)
        except Exception as error:  # noqa: BLE001 - whatever it is, the seed shows it again
            violated += [f"the schedule broke off: {type(error).__name__}: {error}", *crashes(world)]
    trail = world.machine.trail
    digest = hashlib.sha256("\n".join([*trail, str(world.loop.steps), repr(world.loop.now)]).encode()).hexdigest()
    world.disk.close()
    return Played(seed, steps, violated, trail, digest[:12], len(world.truth.accepted), world.loop.now)


async def _schedule(world: World, steps: int, violated: list[str]) -> None:
    clients, faults = Clients(world), Faults(world)
    for name in ACTORS:
        world.start(name)
    await asyncio.sleep(1.0)
    for _ in range(steps):
        if world.chance.random() < 0.3:
            faults.strike()
        else:
            clients.act()
        await asyncio.sleep(world.chance.choice(_PAUSES))
        violated += _out_of_bounds(world)
    faults.heal()
    rest = REST_SECONDS_MAX
    left = ["nobody looked"]
    while left and rest > 0:
        await asyncio.sleep(_LOOK_SECONDS)
        rest -= _LOOK_SECONDS
        left = leftovers(world)
        if clients.waiting:
            left.append(f"{clients.waiting} clients wait")
    violated += [f"left over: {one}" for one in left]


def _out_of_bounds(world: World) -> list[str]:
    runner = world.runner
    if runner is None:
        return []
    return [f"{peer.queued} envelopes wait for {peer.name}" for peer in runner.hub.peers.values() if peer.queued > 1280]


@contextmanager
def logging_of(world: World, *, verbose: bool) -> Generator[None]:
    """Have what the actors log in the trail, or nowhere; and no collection of garbage in the middle of a schedule."""

    def trail(_logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        if event.pop("exc_info", None) and not world.loop.over:
            world.truth.tracebacks.append(f"{event}: {traceback.format_exc()}")
        if verbose and not world.loop.over:
            said = " ".join(f"{key}={value}" for key, value in event.items() if key != "event")
            world.machine.note(f"  [{PROCESS.get(world.loop.world).name}] {method} {event.get('event')} {said}")
        raise structlog.DropEvent

    before = structlog.get_config()
    level = logging.DEBUG if verbose else logging.ERROR
    structlog.configure(
        processors=[trail], wrapper_class=structlog.make_filtering_bound_logger(level), cache_logger_on_first_use=False
    )
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        structlog.configure(**before)
