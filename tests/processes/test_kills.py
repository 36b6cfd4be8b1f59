"""kill -9 of every kind of process under load: nothing is lost, nothing runs twice, and each cause is named."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from ipc.errors import IpcError
from ratchet import messages
from ratchet.bodies.executions import GetExecution, Submit
from ratchet.cli.connection import Client, connect
from ratchet.errors import RatchetError
from ratchet.models import Category, Execution, Failure, Source
from ratchet.next_attempt import DEATHS_MAX
from tests.harness import Json, RunningProject, eventually_async, running_project

KILLS = 20
OUTSTANDING = 50
BACK_SECONDS = 2.0
CALL_SECONDS = 60.0

TASKS = {
    "effects": """
        import time
        from ratchet import Context, task

        def leave_mark(ctx: Context, file: str) -> None:
            with open(file, "a") as marks:
                marks.write(f"{ctx.execution_id}\\n")
            ctx.log("marked")
            time.sleep(0.1)

        @task
        def once(ctx: Context, file: str) -> str:
            leave_mark(ctx, file)
            return "done"

        @task(idempotent=True)
        def again(ctx: Context, file: str) -> str:
            leave_mark(ctx, file)
            return "done"
        """
}


@dataclass
class Load:
    """`OUTSTANDING` callers that execute one after another, until told to stop."""

    client: Client
    marks: Path
    stopping: bool = False
    ended: dict[str, Execution] = field(default_factory=dict[str, Execution])
    unanswered: list[str] = field(default_factory=list[str])

    async def caller(self, name: str) -> None:
        number = 0
        while not self.stopping:
            number += 1
            execution_id = f"exec_{name}_{number}"
            body = Submit(
                execution_id=execution_id,
                task_id="again" if number % 3 == 0 else "once",
                input={"file": str(self.marks)},
                source=Source(kind="cli"),
                wait_seconds=CALL_SECONDS - 5,
            )
            try:
                self.ended[execution_id] = await self.client.call(messages.SUBMIT, body, timeout_seconds=CALL_SECONDS)
            except (IpcError, RatchetError):
                self.unanswered.append(execution_id)


@asynccontextmanager
async def under_load(project: RunningProject, marks: Path, name: str) -> AsyncGenerator[Load]:
    """Callers keep their executions outstanding while the block runs; all have their answer after it."""
    async with connect(project.project) as client:
        load = Load(client, marks)
        async with asyncio.TaskGroup() as callers:
            for number in range(OUTSTANDING):
                callers.create_task(load.caller(f"{name}_{number}"))
            await eventually_async(lambda: bool(load.ended), "the load runs")
            yield load
            load.stopping = True
        for execution_id in load.unanswered:
            body = GetExecution(execution_id=execution_id, wait_seconds=CALL_SECONDS - 5)
            load.ended[execution_id] = await client.call(messages.GET_EXECUTION, body, timeout_seconds=CALL_SECONDS)


def assert_whole(load: Load) -> None:
    """Every accepted execution ended; what is not idempotent ran once at the most, and exactly once if it completed."""
    marks = Counter(load.marks.read_text().split())
    assert all(one.status.terminal for one in load.ended.values())
    for execution in load.ended.values():
        if execution.status.value == "completed":
            assert marks[execution.execution_id] >= 1
        if not execution.idempotent:
            assert marks[execution.execution_id] <= 1, (
                f"{execution.execution_id} ran {marks[execution.execution_id]} times"
            )
    assert not marks.keys() - load.ended.keys()


def processes(project: RunningProject, kind: str) -> list[psutil.Process]:
    """The living processes of a kind; children only once their zygote forked them."""
    match kind:
        case "zygote":
            return below(living(actor_pids(project, "worker")))
        case "child":
            return below(below(living(actor_pids(project, "worker"))))
        case _:
            return living(actor_pids(project, kind))


def living(pids: list[int]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):  # the supervisor has not noticed yet
            found.append(psutil.Process(pid))
    return found


def below(parents: list[psutil.Process]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for parent in parents:
        with suppress(psutil.NoSuchProcess):
            found += parent.children()
    return found


def actor_pids(project: RunningProject, role: str) -> list[int]:
    status = project.status()
    assert status is not None
    return [one.pid for one in status.children if one.name.partition(":")[0] == role and one.pid is not None]


def settled(project: RunningProject, kind: str, count: int) -> Callable[[], bool]:
    return lambda: project.all_running() and (kind == "child" or len(processes(project, kind)) >= count)


async def kill_one(project: RunningProject, kind: str, count: int, rng: random.Random) -> float:
    """Kill one process of the kind. Returns the seconds until there are as many again."""
    victims = processes(project, kind)
    if not victims:  # between two children
        return 0.0
    started = time.monotonic()
    with suppress(psutil.NoSuchProcess):  # it ended by itself: a worker was told, or a zygote with its worker
        rng.choice(victims).send_signal(signal.SIGKILL)
    await eventually_async(settled(project, kind, count), f"{kind} is back")
    return time.monotonic() - started


def causes(failure: Failure) -> list[str]:
    """How an execution ended; of one that is poison, how each of the attempts did that made it so."""
    if failure.category is not Category.POISON:
        return [failure.category.value]
    deaths: list[Json] = failure.details["deaths"]
    assert len(deaths) == DEATHS_MAX
    return [death["category"] for death in deaths]


@pytest.mark.parametrize(
    ("kind", "categories"),
    [
        ("task-runner", set[str]()),
        ("log-store", set[str]()),
        ("trace-store", set[str]()),
        ("mcp-front", set[str]()),
        ("worker", {"worker_lost"}),
        ("zygote", {"worker_lost"}),
        ("child", {"crashed"}),
    ],
)
async def test_kills_under_load_lose_nothing_and_run_nothing_twice(kind: str, categories: set[str], tmp_path: Path):
    rng = random.Random(kind)
    async with running_project(tmp_path / "project", tasks=TASKS) as project:
        count = len(processes(project, kind))
        seconds: list[float] = []
        async with under_load(project, tmp_path / "marks", kind) as load:
            for _ in range(KILLS):
                seconds += [await kill_one(project, kind, count, rng)]
        assert_whole(load)
        failures = [one.failure for one in load.ended.values() if one.failure is not None]
        assert {cause for failure in failures for cause in causes(failure)} <= categories
        for failure in failures:
            assert failure.process is not None
            assert failure.process.process.partition(":")[0] == kind
            assert failure.process.signal_name == "SIGKILL"
            assert "SIGKILL" in failure.message
        assert sorted(seconds)[KILLS // 2] <= BACK_SECONDS
