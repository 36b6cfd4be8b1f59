"""What a worker does that is asked to end while it works."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from ratchet import messages
from ratchet.bodies.common import Empty
from ratchet.bodies.executions import GetExecution, Submit
from ratchet.cli.connection import connect
from ratchet.models import Source, Status
from tests.harness import BOUND_SECONDS, eventually_async, running_project

EXECUTION = "exec_of_a_worker_that_ends"


async def found(look: Callable[[], Awaitable[str | None]]) -> str:
    """What `look` finds as soon as it finds something."""
    async with asyncio.timeout(BOUND_SECONDS):
        while (seen := await look()) is None:  # noqa: ASYNC110 - polls what fires no event
            await asyncio.sleep(0.02)
    return seen


async def test_a_worker_that_is_to_end_is_shown_as_draining_and_ends_what_it_began(tmp_path: Path) -> None:
    config = {"workers": {"count": 2}}
    async with running_project(tmp_path / "project", config=config) as project, connect(project.project) as client:
        steps = {"count": 40, "seconds": 0.05}
        source = Source(kind="cli")
        submitted = Submit(execution_id=EXECUTION, task_id="steps", input=steps, source=source, wait_seconds=0)
        await client.call(messages.SUBMIT, submitted)
        wanted = GetExecution(execution_id=EXECUTION, wait_seconds=20)

        async def worker_at_work() -> str | None:
            now = await client.call(messages.GET_EXECUTION, GetExecution(execution_id=EXECUTION, wait_seconds=0))
            return now.attempts[-1].worker if now.status is Status.RUNNING else None

        async def draining() -> str | None:
            health = await client.call(messages.GET_HEALTH, Empty(), target="task-runner")
            return next((peer.name for peer in health.peers if peer.draining), None)

        worker = await found(worker_at_work)
        before = project.child(worker)
        assert await draining() is None
        os.kill(before.pid or 0, signal.SIGTERM)
        assert await found(draining) == worker
        ended = await client.call(messages.GET_EXECUTION, wanted)
        assert (ended.status, len(ended.attempts)) == (Status.COMPLETED, 1)
        await eventually_async(
            lambda: project.all_running() and project.child(worker).incarnation != before.incarnation,
            "another took its place",
        )
