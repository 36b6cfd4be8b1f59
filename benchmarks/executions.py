"""Durable executions through the messaging layer alone: no MCP, no HTTP.

Each is recorded before it is begun and again when it has ended, and has the trace that every execution has.
"""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import zmq

from benchmarks.callers import Took, linked
from benchmarks.figure import Figure, percentile
from benchmarks.processes import Folder, running_ratchet
from ipc.link import Link
from ratchet import rpc
from ratchet.bodies.executions import Submit
from ratchet.messages import SUBMIT
from ratchet.models import Source, Status
from ratchet.project import find_project

OUTSTANDING = (1, 16, 256)
_SECONDS = 4.0
_WARM_UP_SECONDS = 1.0
_FSYNCS = 100
_WAIT_SECONDS = 30.0

ROOM = f"executions:\n  queue_size: {OUTSTANDING[-1]}\n"
TASKS = '''"""The tasks of the benchmark."""

from ratchet import Context, task


@task(idempotent=True)
def echo(text: str) -> str:
    """Return the text."""
    return text


@task(idempotent=True)
def talkative(text: str, ctx: Context) -> str:
    """Say ten things in five spans."""
    for number in range(5):
        with ctx.span("step", number=number):
            ctx.log.info("begun", number=number)
            ctx.log.info("done", number=number)
    return text
'''
_KINDS = {"echo": "trivial", "talkative": "ten log lines, five spans"}


def measure() -> list[Figure]:
    """The figures of this part."""
    with running_ratchet(TASKS, ROOM) as folder:
        return asyncio.run(_measure(folder))


def run_some(folder: Folder, count: int, task_id: str = "echo") -> None:
    """Run a task so often, one after the other."""

    async def run() -> None:
        async with linked_to(folder.config) as link:
            for _ in range(count):
                await _execute(link, task_id)

    asyncio.run(run())


def run_at_once(folder: Folder, count: int, task_id: str) -> None:
    """Run a task so often at the same time."""

    async def run() -> None:
        async with linked_to(folder.config) as link, asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(_execute(link, task_id))

    asyncio.run(run())


async def _measure(folder: Folder) -> list[Figure]:
    syncs = _fsyncs(folder)
    figures = [Figure("one fsync of 4 KiB on this disk, p50", percentile(syncs, 50), "ms", len(syncs))]
    async with linked_to(folder.config) as link:
        for task_id, kind in _KINDS.items():
            for outstanding in OUTSTANDING:
                took = Took()
                await load(link, outstanding, _WARM_UP_SECONDS, Took(), task_id)
                await load(link, outstanding, _SECONDS, took, task_id)
                figures += figures_of(f"executions ({kind}), {outstanding} outstanding", took)
    return figures


def figures_of(name: str, took: Took, baseline: Took | None = None) -> list[Figure]:
    """Their rate and what each took, beside what that is compared with."""
    count = len(took.milliseconds)
    return [
        Figure(f"{name}, rate", took.rate, "executions/s", count, None if baseline is None else baseline.rate),
        *(
            Figure(
                f"{name}, p{percent}",
                percentile(took.milliseconds, percent),
                "ms",
                count,
                None if baseline is None else percentile(baseline.milliseconds, percent),
            )
            for percent in (50, 99)
        ),
    ]


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


async def load(link: Link, outstanding: int, seconds: float, took: Took, task_id: str = "echo") -> None:
    """Keep so many executions under way for so long, and add what they took."""
    began = time.perf_counter()
    until = began + seconds

    async def caller() -> None:
        while (started := time.perf_counter()) < until:
            await _execute(link, task_id)
            took.milliseconds.append(1000 * (time.perf_counter() - started))

    async with asyncio.TaskGroup() as group:
        for _ in range(outstanding):
            group.create_task(caller())
    took.seconds += time.perf_counter() - began


async def _execute(link: Link, task_id: str) -> None:
    """Submit a task and wait for its end; both its acceptance and its end are committed before the answer.

    Raises:
        RuntimeError: It did not complete.
    """
    request = Submit(
        execution_id=secrets.token_hex(10),
        task_id=task_id,
        input={"text": "hello"},
        source=Source(kind="cli"),
        wait_seconds=_WAIT_SECONDS,
    )
    execution = await rpc.call(link, SUBMIT, request, timeout_seconds=2 * _WAIT_SECONDS)
    if execution.status is not Status.COMPLETED:
        raise RuntimeError(f"{execution.execution_id} is {execution.status}: {execution.failure}")


@asynccontextmanager
async def linked_to(config: str) -> AsyncGenerator[Link]:
    """A link to the running supervisor of a project, by its configuration file."""
    project = find_project(config, None, os.environ, Path(config).parent)
    with zmq.Context() as context:
        async with linked(context, project.hub_endpoint, f"cli:{os.getpid()}-bench") as link:
            yield link
