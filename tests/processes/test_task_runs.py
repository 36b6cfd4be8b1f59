"""Tasks that run tasks, with one slot for all of them: nesting, cancels, failures, and kill -9 in the middle."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.types import CallToolResult

from ratchet import messages
from ratchet.bodies.executions import CancelExecution, GetExecution, ListExecutions, Submit
from ratchet.cli.connection import Client, connect
from ratchet.errors import QueueFullError
from ratchet.execution_ids import new_execution_id
from ratchet.models import Execution, Source, Status
from tests.harness import RunningProject, eventually_async, started_project

SECONDS_MAX = 30.0
LOOK_SECONDS = 0.02

TASKS = {
    "nesting": """
        import asyncio, pathlib, time
        from pydantic import BaseModel
        from ratchet import AsyncContext, Context, task
        from ratchet.errors import ExecutionFailedError

        class Point(BaseModel):
            x: int
            y: int = 0

        @task
        def nest(ctx: Context, depth: int) -> int:
            return 1 + ctx.run(nest, {"depth": depth - 1}) if depth else 0

        @task
        def point(x: int) -> Point:
            return Point(x=x)

        @task
        async def fan(ctx: AsyncContext, count: int) -> list[int]:
            points = await asyncio.gather(*(ctx.run(point, {"x": number}) for number in range(count)))
            return [one.x for one in points]

        @task
        def hold(ctx: Context, file: str, depth: int = 0) -> str:
            if depth:
                return ctx.run("hold", {"file": file, "depth": depth - 1})
            while not pathlib.Path(file).exists():
                time.sleep(0.01)
            return "let go"

        @task
        def fall(ctx: Context, depth: int = 2) -> None:
            if not depth:
                raise ValueError("the bottom")
            ctx.run(fall, {"depth": depth - 1})

        @task
        def hurry(ctx: Context, file: str) -> str:
            try:
                return ctx.run(hold, {"file": file}, timeout=0.2)
            except ExecutionFailedError as error:
                return f"{error.details['category']} of {error.execution_id}"
        """
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    config = {"workers": {"count": 1, "children": 1}, "executions": {"queue_size": 2, "depth_max": 6}}
    with started_project(tmp_path_factory.mktemp("runs") / "project", tasks=TASKS, config=config) as started:
        yield started


@pytest.fixture
async def client(project: RunningProject) -> AsyncGenerator[Client]:
    async with connect(project.project) as connected:
        yield connected


async def submit(
    client: Client, task_id: str, *, wait_seconds: float = 0.0, owner: str = "alice", **given: object
) -> Execution:
    source = Source(kind="mcp", client=owner)
    body = Submit(
        execution_id=new_execution_id(), task_id=task_id, input=given, source=source, wait_seconds=wait_seconds
    )
    return await client.call(messages.SUBMIT, body, timeout_seconds=SECONDS_MAX)


async def ended(client: Client, execution_id: str) -> Execution:
    body = GetExecution(execution_id=execution_id, wait_seconds=SECONDS_MAX - 1)
    found = await client.call(messages.GET_EXECUTION, body, timeout_seconds=SECONDS_MAX)
    assert found.status.terminal
    return found


async def family(client: Client, root: Execution) -> list[Execution]:
    """Everything below it, the deepest last."""
    page = await client.call(messages.LIST_EXECUTIONS, ListExecutions(root_id=root.execution_id, sort="oldest"))
    return page.executions


async def running_family(client: Client, root: Execution, size: int) -> list[Execution]:
    """Everything below it, once the last of so many runs."""
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            found = await family(client, root)
            if len(found) == size and found[-1].attempts and found[-1].attempts[-1].pid is not None:
                return found
            await asyncio.sleep(LOOK_SECONDS)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def test_five_deep_and_several_at_once_finish_with_one_slot(client: Client):
    top = await submit(client, "nest", depth=5, wait_seconds=SECONDS_MAX - 1)
    assert (top.status, top.output, top.lineage) == (Status.COMPLETED, 5, None)
    below = await family(client, top)
    lineages = [one.lineage for one in below if one.lineage is not None]
    assert [one.depth for one in lineages] == [1, 2, 3, 4, 5]
    assert {one.root_id for one in lineages} == {top.execution_id}
    assert [one.parent_id for one in lineages] == [top.execution_id, *(one.execution_id for one in below[:-1])]
    assert {(one.source.kind, one.source.client) for one in below} == {("task", "alice")}
    several = await asyncio.gather(*(submit(client, "nest", depth=3, wait_seconds=SECONDS_MAX - 1) for _ in range(3)))
    assert [one.output for one in several] == [3, 3, 3]
    fan = await submit(client, "fan", count=3, wait_seconds=SECONDS_MAX - 1)
    assert fan.output == [0, 1, 2]


async def test_failures_name_the_execution_and_the_deepest_cause(client: Client, tmp_path: Path):
    top = await submit(client, "fall", wait_seconds=SECONDS_MAX - 1)
    child, bottom = await family(client, top)
    assert top.failure is not None
    assert top.failure.type.endswith("ExecutionFailedError")
    assert f"ValueError: the bottom in fall ({bottom.execution_id})" in top.failure.message
    assert top.failure.details["called"]["execution_id"] == child.execution_id
    assert top.failure.details["called"]["root"]["execution_id"] == bottom.execution_id
    deep = await submit(client, "nest", depth=7, wait_seconds=SECONDS_MAX - 1)
    assert deep.failure is not None
    assert "TooDeepError: 'nest' would be called 7 executions deep and may be 6" in deep.failure.message
    hurried = await submit(client, "hurry", file=str(tmp_path / "never"), wait_seconds=SECONDS_MAX - 1)
    [held] = await family(client, hurried)
    assert hurried.output == f"timeout of {held.execution_id}"


async def test_agents_and_people_see_who_called_whom_and_one_trace_of_all(client: Client, project: RunningProject):
    top = await submit(client, "fall", owner="local", wait_seconds=SECONDS_MAX - 1)
    child, bottom = await family(client, top)
    async with project.client() as agent:

        async def call(tool: str, execution: Execution) -> CallToolResult:
            return await agent.call_tool(tool, {"execution_id": execution.execution_id})

        status: dict[str, Any] = (await call("get_execution_status", child)).structured_content or {}
        assert status["called_by"] == {"execution_id": top.execution_id, "root_id": top.execution_id, "depth": 1}
        assert status["called"] == [{"execution_id": bottom.execution_id, "task_id": "fall", "status": "failed"}]
        trace: dict[str, Any] = (await call("get_execution_trace", top)).structured_content or {}
        names: list[str] = []
        level: list[dict[str, Any]] = trace["trace"]["spans"]
        while level:
            [span] = level
            names.append(span["name"])
            level = span.get("children", [])
        assert names == ["fall", "run fall", "fall", "run fall", "fall"]
        analysis = await call("ratchet_analyze_execution_error", top)
        told: dict[str, Any] = analysis.structured_content or {}
        assert told["next_call"]["arguments"] == {"execution_id": bottom.execution_id}
    for command, wanted in (
        ("show", f"called by   {child.execution_id}, 2 below {top.execution_id}"),
        ("trace", "fall"),
    ):
        assert wanted in await asyncio.to_thread(_ratchet, project, command, bottom.execution_id)
    assert f"fall  {bottom.execution_id}  failed" in await asyncio.to_thread(
        _ratchet, project, "show", child.execution_id
    )
    assert "5 spans" in await asyncio.to_thread(_ratchet, project, "trace", top.execution_id)


def _ratchet(project: RunningProject, *arguments: str) -> str:
    command = [sys.executable, "-P", "-m", "ratchet", *arguments, f"--config={project.config_path}"]
    done = subprocess.run(
        command, env=project.environ, cwd=project.folder, capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout


async def test_a_full_queue_refuses_clients_and_not_what_a_running_task_calls(client: Client, tmp_path: Path):
    top = await submit(client, "hold", file=str(tmp_path / "go"), depth=2)
    await running_family(client, top, 2)
    waiting = [await submit(client, "nest", depth=2) for _ in range(2)]
    with pytest.raises(QueueFullError):
        await submit(client, "nest", depth=0)
    (tmp_path / "go").touch()
    assert (await ended(client, top.execution_id)).output == "let go"
    assert [(await ended(client, one.execution_id)).output for one in waiting] == [2, 2]


async def test_cancelling_the_top_cancels_all(client: Client, tmp_path: Path):
    top = await submit(client, "hold", file=str(tmp_path / "never"), depth=3)
    below = await running_family(client, top, 3)
    body = CancelExecution(execution_id=top.execution_id, reason="enough", wait_seconds=SECONDS_MAX - 1)
    cancelled = await client.call(messages.CANCEL_EXECUTION, body, timeout_seconds=SECONDS_MAX)
    assert cancelled.status is Status.CANCELLED
    found = [await ended(client, one.execution_id) for one in below]
    assert {one.status for one in found} == {Status.CANCELLED}
    assert all(one.cancel_requested for one in found)


async def test_a_killed_process_in_the_middle_ends_what_it_called_and_fails_who_called_it(
    client: Client, tmp_path: Path
):
    top = await submit(client, "hold", file=str(tmp_path / "never"), depth=2)
    middle, bottom = await running_family(client, top, 2)
    pid = middle.attempts[-1].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    failed = await ended(client, top.execution_id)
    assert failed.failure is not None
    assert failed.failure.details["called"]["execution_id"] == middle.execution_id
    assert failed.failure.details["called"]["category"] == "crashed"
    assert (await ended(client, bottom.execution_id)).status is Status.CANCELLED


async def test_a_killed_runner_interrupts_nobody_who_waits(client: Client, project: RunningProject, tmp_path: Path):
    top = await submit(client, "hold", file=str(tmp_path / "go"), depth=2)
    await running_family(client, top, 2)
    await asyncio.to_thread(project.kill, "task-runner")
    (tmp_path / "go").touch()
    assert (await ended(client, top.execution_id)).output == "let go"
    assert Counter(one.status for one in await family(client, top)) == {Status.COMPLETED: 2}


async def test_a_killed_worker_ends_all_of_a_family(client: Client, project: RunningProject, tmp_path: Path):
    top = await submit(client, "hold", file=str(tmp_path / "never"), depth=2)
    below = await running_family(client, top, 2)
    await asyncio.to_thread(project.kill, "worker:1")
    found = [await ended(client, one.execution_id) for one in (top, *below)]
    assert {one.status for one in found} <= {Status.FAILED, Status.CANCELLED}
    assert found[0].failure is not None
    assert found[0].failure.category.value == "worker_lost"
    pids = [one.attempts[-1].pid for one in found]
    await eventually_async(lambda: all(pid is None or is_gone(pid) for pid in pids), "their processes are gone")
    again = await submit(client, "nest", depth=2, wait_seconds=SECONDS_MAX - 1)
    assert again.output == 2
