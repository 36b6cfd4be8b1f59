"""Items of a stream from a hub's process to a worker's, beside a bare pair of ZeroMQ sockets, interleaved."""

import asyncio
import sys
import tempfile
import time

import uvloop
import zmq

from benchmarks.callers import linked
from benchmarks.figure import Figure
from benchmarks.processes import running
from benchmarks.stream_source import RAW_WINDOW
from ipc.link import Link

_ROUNDS = 5
_ITEMS = 40_000
_TOGETHER = 8


def measure() -> list[Figure]:
    """The figures of this part."""
    with tempfile.TemporaryDirectory(prefix="rt-") as folder:
        hub, bare = f"ipc://{folder}/hub", f"ipc://{folder}/raw"
        source = [sys.executable, "-m", "benchmarks.stream_source"]
        with running([*source, "hub", hub]), running([*source, "raw", bare]):
            return uvloop.run(_measure(hub, bare))


async def _measure(hub: str, bare: str) -> list[Figure]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.PULL)
    socket.setsockopt(zmq.RCVHWM, RAW_WINDOW)
    socket.connect(bare)
    alone, together, raw = 0.0, 0.0, 0.0
    try:
        async with linked(context, hub, "worker:1") as link:
            await _read(link, _ITEMS // 10)
            _receive(socket, _ITEMS // 10)
            for _ in range(_ROUNDS):
                raw += _receive(socket, _ITEMS)
                alone += await _read(link, _ITEMS)
                together += await _read_together(link)
    finally:
        context.destroy(linger=0)
    items = _ROUNDS * _ITEMS
    return [
        Figure("items of 64 B, hub to worker, 1 stream", items / alone, "items/s", items, items / raw),
        Figure(f"items of 64 B, hub to worker, {_TOGETHER} streams", items / together, "items/s", items, items / raw),
    ]


async def _read(link: Link, items: int) -> float:
    """Read a stream to its end. Returns the seconds that it took."""
    started = time.perf_counter()
    got = 0
    async with link.stream("runner", "count", str(items).encode()) as stream:
        async for _ in stream:
            got += 1
    if got != items:
        raise RuntimeError(f"{got} of {items} items came")
    return time.perf_counter() - started


async def _read_together(link: Link) -> float:
    started = time.perf_counter()
    await asyncio.gather(*(_read(link, _ITEMS // _TOGETHER) for _ in range(_TOGETHER)))
    return time.perf_counter() - started


def _receive(socket: "zmq.Socket[bytes]", items: int) -> float:
    """Take messages off the bare socket, blocking; what waited there from before is not counted."""
    for _ in range(4 * RAW_WINDOW):
        socket.recv()
    started = time.perf_counter()
    for _ in range(items):
        socket.recv()
    return time.perf_counter() - started
