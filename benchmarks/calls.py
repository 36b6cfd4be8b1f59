"""Calls between processes, beside bare ZeroMQ sockets that do as much, interleaved.

Two processes: a worker's link calls the actor that embeds the hub, beside a DEALER and a ROUTER that block. Three: a
link calls another through the hub, beside the same over a bare switch, blocking and on `zmq.asyncio`.
"""

import gc
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass

import uvloop
import zmq
import zmq.asyncio

from benchmarks.callers import AsyncioCaller, Caller, LinkCaller, RawCaller, Took, asyncio_dealer, dealer, linked
from benchmarks.figure import Figure, percentile
from benchmarks.processes import running

_ROUNDS = 8
_ROUND_SECONDS = 0.25
_WARM_UP_SECONDS = 0.3
_PEERS = {
    "hub": ["hub", "actor"],
    "echo": ["raw-echo"],
    "switch": ["raw-switch", "raw-actor"],
    "asyncio": ["asyncio-switch", "asyncio-actor"],
}


@dataclass(frozen=True, slots=True)
class Load:
    """What is kept under way: calls of a size."""

    name: str
    body_bytes: int
    outstanding: int


SMALL = [Load("64 B", 64, 1), Load("64 B", 64, 64)]
LARGE = [Load("64 KiB", 2**16, 1), Load("64 KiB", 2**16, 64), Load("1 MiB", 2**20, 1), Load("1 MiB", 2**20, 4)]


def measure() -> list[Figure]:
    """The figures of this part."""
    with tempfile.TemporaryDirectory(prefix="rt-") as folder, ExitStack() as stack:
        endpoints = {name: f"ipc://{folder}/{name}" for name in _PEERS}
        for name, kinds in _PEERS.items():
            for kind in kinds:
                command = [sys.executable, "-m", "benchmarks.call_peer", kind, endpoints[name]]
                stack.enter_context(running(command))
        return uvloop.run(_measure(endpoints))


async def _measure(endpoints: dict[str, str]) -> list[Figure]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    asynchronous = zmq.asyncio.Context()
    try:
        async with AsyncExitStack() as stack:
            link = await stack.enter_async_context(linked(context, endpoints["hub"], "worker:1"))
            to_hub = LinkCaller(link, "runner")
            to_actor = LinkCaller(link, "actor")
            blocking = RawCaller(dealer(context, endpoints["echo"]))
            switched = RawCaller(dealer(context, endpoints["switch"]))
            coroutines = AsyncioCaller(asyncio_dealer(asynchronous, endpoints["asyncio"]))
            for caller in (to_hub, to_actor, blocking, switched, coroutines):
                await caller.meet()
            figures: list[Figure] = []
            for load in [*SMALL, *LARGE]:
                took = await interleave([to_hub, blocking], load)
                figures += figures_of("hub and worker", load, *took)
            for load in SMALL:
                ours, raw, slow = await interleave([to_actor, switched, coroutines], load)
                figures += figures_of("actor, hub, actor", load, ours, raw)
                figures += figures_of("actor, hub, actor, beside zmq.asyncio", load, ours, slow)
            return figures
    finally:
        context.destroy(linger=0)
        asynchronous.destroy(linger=0)


async def interleave(callers: Sequence[Caller], load: Load) -> list[Took]:
    """What the calls of each took, in rounds that take turns."""
    body = bytes(load.body_bytes)
    for caller in callers:
        await caller.call(body, load.outstanding, _WARM_UP_SECONDS, Took())
    took = [Took() for _ in callers]
    gc.collect()
    for _ in range(_ROUNDS):
        for caller, into in zip(callers, took, strict=True):
            await caller.call(body, load.outstanding, _ROUND_SECONDS, into)
    return took


def figures_of(name: str, load: Load, ours: Took, baseline: Took) -> list[Figure]:
    """Rate and median of a load."""
    what = f"{name}: calls of {load.name}, {load.outstanding} outstanding"
    samples = len(ours.milliseconds)
    return [
        Figure(f"{what}, rate", ours.rate, "calls/s", samples, baseline.rate),
        Figure(f"{what}, p50", percentile(ours.milliseconds, 50), "ms", samples, percentile(baseline.milliseconds, 50)),
    ]
