"""Durable executions beside Dramatiq with a local Redis, interleaved.

Both have eight places to run the trivial task in, both have recorded what is asked for before they say so. Dramatiq
keeps no state, log, span or limit, and runs its actors in threads.
"""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Generator
from pathlib import Path

from benchmarks.callers import Took
from benchmarks.executions import OUTSTANDING, ROOM, TASKS, figures_of, linked_to, load
from benchmarks.figure import Figure
from benchmarks.peer_environment import environment
from benchmarks.processes import ROOT, running, running_ratchet
from benchmarks.redis_server import running_redis

_ROUNDS = 3
_SECONDS = 2.0
_WARM_UP_SECONDS = 1.0
_WORKERS = ["--processes", "2", "--threads", "4"]


class Peer:
    """Calls the actor from a process in Dramatiq's environment; one line asks for a round, one answers."""

    def __init__(self, process: "subprocess.Popen[str]", errors: Path) -> None:
        self._process = process
        self._errors = errors

    def call(self, outstanding: int, seconds: float, took: Took) -> None:
        """Keep so many calls under way for so long, and add what they took.

        Raises:
            RuntimeError: Dramatiq does not run.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{outstanding} {seconds}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line.startswith("{"):
            raise RuntimeError(f"skipped: Dramatiq does not run: {line or self._errors.read_text()[-1000:]}")
        answer = json.loads(line)
        took.milliseconds += answer["milliseconds"]
        took.seconds += answer["seconds"]


def measure() -> list[Figure]:
    """The figures of this part.

    Raises:
        RuntimeError: Dramatiq or Redis cannot be had here, so that this part is skipped.
    """
    python = environment("dramatiq", "dramatiq[redis]", module="dramatiq, redis")
    with running_redis() as redis, _dramatiq(python, redis) as peer, running_ratchet(TASKS, ROOM) as folder:
        return asyncio.run(_measure(peer, folder.config))


async def _measure(peer: Peer, config: str) -> list[Figure]:
    figures: list[Figure] = []
    async with linked_to(config) as link:
        for outstanding in OUTSTANDING:
            ours, theirs = Took(), Took()
            await load(link, outstanding, _WARM_UP_SECONDS, Took())
            peer.call(outstanding, _WARM_UP_SECONDS, Took())
            for _ in range(_ROUNDS):
                await load(link, outstanding, _SECONDS, ours)
                peer.call(outstanding, _SECONDS, theirs)
            name = f"executions, beside Dramatiq, {outstanding} outstanding"
            figures += figures_of(name, ours, theirs)
    return figures


@contextlib.contextmanager
def _dramatiq(python: Path, redis: str) -> Generator[Peer]:
    scripts = ROOT / "benchmarks"
    logs = ROOT / "build" / "peers"
    variables = {"BENCH_REDIS": redis, "PYTHONPATH": str(scripts)}
    workers = [str(python), "-m", "dramatiq", *_WORKERS, "dramatiq_calls"]
    errors = logs / "dramatiq.log"
    with (
        running(workers, log=logs / "dramatiq-workers.log", variables=variables),
        errors.open("w") as log,
        subprocess.Popen(
            [python, scripts / "dramatiq_calls.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=variables,
        ) as process,  # the end of its input ends it
    ):
        yield Peer(process, errors)
