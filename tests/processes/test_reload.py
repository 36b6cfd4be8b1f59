"""`ratchet reload` under load: every worker is another process, no call was refused, and what ran has finished."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from ratchet.errors import DrainingError
from ratchet.supervision.client import SupervisorClient
from tests.harness import BOUND_SECONDS, Json, RunningProject, eventually_async, started_project
from tests.integration.command_line import CommandLine
from tests.integration.policy_world import told

TASKS = {
    "tasks": """
        import os
        import time
        from ratchet import task

        @task
        def where(seconds: float = 0.0) -> int:
            if seconds == 60:
                open("begun", "w").close()
            time.sleep(seconds)
            return os.getppid()

        @task
        def held() -> None:
            open(f"held-{os.getpid()}", "w").close()
            while not os.path.exists("released"):
                time.sleep(0.01)
        """
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    # A drain of 3.3 s leaves what runs a tenth of a second, and the rest for stopping it.
    config: Json = {
        "workers": {"count": 2, "children": 2},
        "supervisor": {"drain_seconds": 3.3},
        "executions": {"grace_seconds": 0.2},
    }
    with started_project(tmp_path_factory.mktemp("reload") / "project", tasks=TASKS, config=config) as found:
        yield found


def pids(project: RunningProject) -> dict[str, int | None]:
    status = project.status()
    assert status is not None
    return {one.name: one.pid for one in status.children if one.name.startswith("worker:")}


async def test_workers_are_replaced_while_calls_go_on(project: RunningProject) -> None:
    before = pids(project)
    ended: list[Json] = []
    stopping = asyncio.Event()
    async with project.client() as client, asyncio.timeout(BOUND_SECONDS):

        async def call(seconds: float) -> None:
            while not stopping.is_set():
                ended.append(await told(client, "execute_task", task_id="where", input={"seconds": seconds}))

        async with asyncio.TaskGroup() as calls:
            for seconds in (0.02, 0.1, 0.2, 0.4):
                calls.create_task(call(seconds))
            await eventually_async(lambda: len(ended) > 5, "calls are answered")
            result = await asyncio.to_thread(CommandLine(project).run_process, "reload", "--json")
            stopping.set()
    after = pids(project)
    assert result.json["workers"] == [{"name": name, "pid": after[name]} for name in ("worker:1", "worker:2")]
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    assert {one["status"] for one in ended} == {"completed"}
    assert {one.get("attempts", 1) for one in ended} == {1}
    assert len({one["output"] for one in ended}) > 2  # zygotes
    status = project.status()
    assert status is not None
    assert {one.restarts for one in status.children} == {0, 1}


async def test_progress_is_told_and_only_one_reload_goes_on(project: RunningProject) -> None:
    async with project.client() as client, asyncio.timeout(BOUND_SECONDS):
        running = [asyncio.create_task(told(client, "execute_task", task_id="held", input={})) for _ in range(4)]
        await eventually_async(lambda: len(list(project.folder.glob("held-*"))) == 4, "every slot is taken")
        shell = CommandLine(project)
        first = asyncio.create_task(asyncio.to_thread(shell.run_process, "reload"))
        await eventually_async(lambda: len(pids(project)) == 3, "a spare worker has come")
        second = await asyncio.to_thread(shell.run_process, "reload")
        assert "already" in second.err
        assert second.code == 1
        (project.folder / "released").touch()
        done = await first
        assert [(await one)["status"] for one in running] == ["completed"] * 4
    assert "worker:3 (for the time being) starts" in done.err
    assert "worker:1 finishes what it runs" in done.err
    assert "replaced: worker:1 (pid " in done.out
    assert len(pids(project)) == 2


async def test_the_end_of_the_supervisor_ends_a_reload_and_what_it_waits_for(project: RunningProject) -> None:
    async with project.stdio_client() as client, asyncio.timeout(BOUND_SECONDS):
        call = asyncio.create_task(told(client, "execute_task", task_id="where", input={"seconds": 60}))
        await eventually_async(lambda: list(project.folder.glob("begun")), "it runs")
        with SupervisorClient(project.project) as reloading:
            reloading.request_reload()
            await eventually_async(lambda: replacing(project), "a worker is waited for")
            await asyncio.to_thread(project.stop)
            with pytest.raises(DrainingError):
                list(reloading.messages())
        await asyncio.wait({call})
    with closing(sqlite3.connect(project.data_dir / "executions.db")) as store:
        where = "FROM executions WHERE input LIKE '%60%'"
        [found] = store.execute(f"SELECT json_extract(failure, '$.category') {where}").fetchone()
    assert found == "shutdown"


def replacing(project: RunningProject) -> bool:
    status = project.status()
    return status is not None and any(one.state == "replacing" for one in status.children)
