"""Calls between processes beside those of Ray, interleaved; Ray gets an environment of its own under build/.

Nothing of Ratchet depends on it: where it cannot be installed, the part says so and measures nothing.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import uvloop
import zmq

from benchmarks.callers import Caller, LinkCaller, Took, linked
from benchmarks.calls import SMALL, figures_of, interleave
from benchmarks.figure import Figure
from benchmarks.peer_environment import environment
from benchmarks.processes import ROOT, running


def measure() -> list[Figure]:
    """The figures of this part.

    Raises:
        RuntimeError: Ray cannot be installed or does not run, so that this part is skipped.
    """
    python = environment("ray", "ray", module="ray")
    with tempfile.TemporaryDirectory(prefix="rt-") as folder:
        hub = f"ipc://{folder}/hub"
        peer = [sys.executable, "-m", "benchmarks.call_peer"]
        with running([*peer, "hub", hub]), running([*peer, "actor", hub]), _ray(python, Path(folder)) as ray:
            return uvloop.run(_measure(hub, ray))


class RayCaller(Caller):
    """Calls a Ray actor from a process in Ray's environment; one line asks for a round, one answers."""

    def __init__(self, process: "subprocess.Popen[str]", errors: Path) -> None:
        self._process = process
        self._errors = errors

    async def meet(self) -> None:  # noqa: D102
        self._answer()

    async def call(self, body: bytes, outstanding: int, seconds: float, took: Took) -> None:  # noqa: D102
        assert self._process.stdin is not None
        self._process.stdin.write(f"{outstanding} {seconds} {len(body)}\n")
        self._process.stdin.flush()
        answer = self._answer()
        took.milliseconds += answer["milliseconds"]
        took.seconds += answer["seconds"]

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("{"):
            raise RuntimeError(f"skipped: Ray does not run: {line or self._errors.read_text()[-1000:]}")
        return json.loads(line)


async def _measure(endpoint: str, ray: RayCaller) -> list[Figure]:
    async with _callers(endpoint) as ours:
        for caller in (*ours, ray):
            await caller.meet()
        figures: list[Figure] = []
        for load in SMALL:
            to_hub, to_actor, rays = await interleave([*ours, ray], load)
            figures += figures_of("hub and worker, beside a Ray actor", load, to_hub, rays)
            figures += figures_of("actor, hub, actor, beside a Ray actor", load, to_actor, rays)
        return figures


@contextlib.asynccontextmanager
async def _callers(endpoint: str) -> AsyncGenerator[list[LinkCaller]]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        async with linked(context, endpoint, "worker:1") as link:
            yield [LinkCaller(link, "runner"), LinkCaller(link, "actor")]
    finally:
        context.destroy(linger=0)


@contextlib.contextmanager
def _ray(python: Path, folder: Path) -> Generator[RayCaller]:
    errors = folder / "ray.log"
    with errors.open("w") as log:
        process = subprocess.Popen(
            [python, ROOT / "benchmarks" / "ray_calls.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        with process:  # the end of its input ends it
            yield RayCaller(process, errors)
