"""Durable executions per second through the messaging layer alone: no MCP, no HTTP."""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import zmq

from benchmarks.callers import linked
from benchmarks.figure import Figure, percentile
from benchmarks.processes import Folder, running_ratchet
from ipc.link import Link
from ratchet import rpc
from ratchet.bodies.executions import Submit
from ratchet.messages import SUBMIT
from ratchet.models import Source, Status
from ratchet.project import find_project

_OUTSTANDING = (1, 16, 64)
_SECONDS = 4.0
_FSYNCS = 100
_WARM_UP_SECONDS = 1.0
_WAIT_SECONDS = 30.0


def measure() -> list[Figure]:
    """The figures of this part."""
    with running_ratchet() as folder:
        return asyncio.run(_measure(folder))


def run_some(folder: Folder, count: int) -> None:
    """Run `echo` so often, one after the other."""

    async def run() -> None:
        async with _linked(folder) as link:
            for _ in range(count):
                await _execute(link)

    asyncio.run(run())


async def _measure(folder: Folder) -> list[Figure]:
    syncs = _fsyncs(folder)
    figures = [Figure("one fsync of 4 KiB on this disk, p50", percentile(syncs, 50), "ms", len(syncs))]
    async with _linked(folder) as link:
        for outstanding in _OUTSTANDING:
            await _load(link, outstanding, _WARM_UP_SECONDS)
            took = await _load(link, outstanding, _SECONDS)
            name = f"executions without MCP, {outstanding} outstanding"
            figures += [
                Figure(f"{name}, rate", len(took) / _SECONDS, "executions/s", len(took)),
                Figure(f"{name}, p50", percentile(took, 50), "ms", len(took)),
            ]
    return figures


def _fsyncs(folder: Folder) -> list[float]:
    """Milliseconds of what every commit consists of at least: the floor under the figures of this part."""
    took: list[float] = []
    with (folder.path / "fsync").open("wb") as file:
        for _ in range(_FSYNCS):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            took.append(1000 * (time.perf_counter() - started))
    return took


async def _load(link: Link, outstanding: int, seconds: float) -> list[float]:
    """Milliseconds of every execution that ended within the time."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def caller() -> None:
        while (started := time.perf_counter()) < until:
            await _execute(link)
            if (ended := time.perf_counter()) <= until:
                took.append(1000 * (ended - started))

    async with asyncio.TaskGroup() as group:
        for _ in range(outstanding):
            group.create_task(caller())
    return took


async def _execute(link: Link) -> None:
    """Submit `echo` and wait for its end; both its acceptance and its end are committed before the answer.

    Raises:
        RuntimeError: It did not complete.
    """
    request = Submit(
        execution_id=secrets.token_hex(10),
        task_id="echo",
        input={"text": "hello"},
        source=Source(kind="cli"),
        wait_seconds=_WAIT_SECONDS,
    )
    execution = await rpc.call(link, SUBMIT, request, timeout_seconds=2 * _WAIT_SECONDS)
    if execution.status is not Status.COMPLETED:
        raise RuntimeError(f"{execution.execution_id} is {execution.status}: {execution.failure}")


@asynccontextmanager
async def _linked(folder: Folder) -> AsyncGenerator[Link]:
    project = find_project(folder.config, None, os.environ, folder.path)
    with zmq.Context() as context:
        async with linked(context, project.hub_endpoint, f"cli:{os.getpid()}-bench") as link:
            yield link
