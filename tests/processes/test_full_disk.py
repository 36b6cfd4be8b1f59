"""A store whose disk is full for a moment: the limit on the size of files is lowered under the running process."""

import asyncio
import os
import resource
import signal
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager

import psutil
import pytest

from ratchet import messages
from ratchet.bodies.executions import GetExecution, Submit
from ratchet.bodies.telemetry import ReadLogs
from ratchet.cli.connection import Client, connect
from ratchet.models import Source, Status
from tests.harness import BOUND_SECONDS, RunningProject, eventually_async, started_project

TASKS = {
    "saying": """
        from ratchet import Context, task

        @task
        def say(ctx: Context) -> str:
            ctx.log("said")
            return "done"
        """
}


# What the task-runner says of itself is shorter, its write-ahead log is longer.
_MORE_THAN_IT_SAYS = 16 * 1024


@contextmanager
def stopped(project: RunningProject, actor: str) -> Generator[None]:
    """For the time of the block the actor stands still."""
    pid = project.child(actor).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def full_disk(project: RunningProject, actor: str, file_bytes: int = 1) -> Generator[None]:
    """For the time of the block the actor's files cannot grow beyond `file_bytes`."""
    pid = project.child(actor).pid
    assert pid is not None
    process = psutil.Process(pid)
    _, hard = process.rlimit(resource.RLIMIT_FSIZE)
    process.rlimit(resource.RLIMIT_FSIZE, (file_bytes, hard))
    try:
        yield
    finally:
        process.rlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningProject]:
    with started_project(tmp_path_factory.mktemp("disk") / "project", tasks=TASKS) as found:
        yield found


async def test_what_a_short_execution_logged_is_stored_once_the_disk_of_the_log_store_has_room_again(
    project: RunningProject,
) -> None:
    async with connect(project.project) as client:
        with full_disk(project, "log-store"):
            ended = await client.call(messages.SUBMIT, saying("exec_a"))
            assert ended.status is Status.COMPLETED  # nobody waits for the log
            assert ended.attempts[0].telemetry is None  # nor is told that it is incomplete before that is known
            await eventually_async(
                lambda: "a store does not take telemetry; trying again" in events(project), "refused"
            )

        assert await telemetry(client, "exec_a") == "complete"
        page = await client.call(messages.READ_LOGS, ReadLogs(execution_id="exec_a"))
        assert [record.message for record in page.records] == ["said"]


async def test_complete_telemetry_is_noted_once_the_disk_of_the_task_runner_has_room_again(
    project: RunningProject,
) -> None:
    async with connect(project.project) as client, AsyncExitStack() as disk:
        with stopped(project, "log-store"):  # so that the proof comes when the disk is full
            await client.call(messages.SUBMIT, saying("exec_b"))
            disk.enter_context(full_disk(project, "task-runner", _MORE_THAN_IT_SAYS))
        refused = "complete telemetry could not be noted"
        await eventually_async(lambda: refused in events(project), "the note is refused")
    await asyncio.to_thread(project.kill, "task-runner", signal.SIGTERM)  # which notes what it still knows
    async with connect(project.project) as client:
        assert await telemetry(client, "exec_b") == "complete"


def saying(execution_id: str) -> Submit:
    return Submit(execution_id=execution_id, task_id="say", input={}, source=Source(kind="cli"), wait_seconds=20)


def events(project: RunningProject) -> set[str]:
    """What the task-runner logged."""
    return {str(entry["event"]) for entry in project.log("task-runner")}


async def telemetry(client: Client, execution_id: str) -> str:
    """What is said of an attempt's telemetry once the stores have answered."""
    async with asyncio.timeout(BOUND_SECONDS):
        while True:
            found = await client.call(messages.GET_EXECUTION, GetExecution(execution_id=execution_id))
            if found.attempts[0].telemetry is not None:
                return found.attempts[0].telemetry
            await asyncio.sleep(0.05)
