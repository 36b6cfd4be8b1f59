"""Calls over an encrypted TCP connection, beside bare sockets that encrypt, too, interleaved."""

import os
import sys
import tempfile

import uvloop
import zmq

from benchmarks.call_peer import LOCAL, SERVER_KEYS
from benchmarks.callers import LinkCaller, RawCaller, dealer, linked
from benchmarks.calls import SMALL, Load, figures_of, interleave
from benchmarks.figure import Figure
from benchmarks.processes import free_port, running
from ipc.curve import CurveClient, KeyPair

_LOADS = [*SMALL, Load("64 KiB", 2**16, 1), Load("1 MiB", 2**20, 1)]


def measure() -> list[Figure]:
    """The figures of this part."""
    server, own = KeyPair.generate(), KeyPair.generate()
    hub, bare = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    peer = [sys.executable, "-m", "benchmarks.call_peer"]
    with tempfile.TemporaryDirectory(prefix="rt-") as folder:
        os.environ[SERVER_KEYS] = f"{server.public.hex()}:{server.secret.hex()}"
        os.environ[LOCAL] = f"ipc://{folder}/hub"
        with running([*peer, "curve-hub", hub]), running([*peer, "curve-echo", bare]):
            return uvloop.run(_measure(hub, bare, CurveClient(server.public, own)))


async def _measure(hub: str, bare: str, curve: CurveClient) -> list[Figure]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        async with linked(context, hub, "worker:1", curve) as link:
            ours, raw = LinkCaller(link, "runner"), RawCaller(dealer(context, bare, curve))
            for caller in (ours, raw):
                await caller.meet()
            figures: list[Figure] = []
            for load in _LOADS:
                figures += figures_of("with CURVE over TCP, hub and worker", load, *await interleave([ours, raw], load))
            return figures
    finally:
        context.destroy(linger=0)
