"""Looking into executions that run: what hangs where, without harm to the run."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import jsonschema_rs
import pytest

from actors.mcp_front.tools.table import TOOLS
from ratchet import messages
from ratchet.bodies.executions import CancelExecution, GetExecution, Submit
from ratchet.bodies.inspection import InspectExecution, Inspection, Stack
from ratchet.cli.connection import Client, connect
from ratchet.errors import ForbiddenError, RequestError, UnknownExecutionError
from ratchet.execution_ids import new_execution_id
from ratchet.inspection import sentences
from ratchet.models import Execution, Source
from ratchet.policy.client import EVERY_PERMISSION
from ratchet.policy.client import Client as PolicyClient
from tests.harness import RunningProject, started_project
from tests.integration.agents import agent
from tests.integration.command_line import CommandLine

SECONDS_MAX = 30.0
LOOK_SECONDS = 0.02
CONFIG = {"workers": {"count": 1, "children": 8}, "executions": {"grace_seconds": 0.2}}
TASKS = {
    "stuck": """
        import asyncio, itertools, pathlib, threading, time
        from ratchet import Context, task

        def until(file: str) -> None:
            while not pathlib.Path(file).exists():
                time.sleep(0.05)  # the very line

        @task
        def wait(ctx: Context, file: str) -> str:
            with ctx.span("outer"), ctx.span("inner"):
                beside = threading.Thread(target=until, args=(file,), name="beside")
                beside.start()
                until(file)
                beside.join()
            return "went on"

        @task
        async def awaits(file: str) -> str:
            async def inner() -> None:
                while not pathlib.Path(file).exists():
                    await asyncio.sleep(0.05)  # awaited here
            await asyncio.gather(*(asyncio.create_task(inner(), name=name) for name in ("first", "second")))
            return "went on"

        @task
        def spin(file: str) -> str:
            path = pathlib.Path(file)
            while not path.exists():
                pass
            return "went on"

        @task
        def lock() -> int:
            return sum(itertools.repeat(0, 10**13))  # keeps the lock for ages, and looks at no signal
        """
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    with started_project(tmp_path_factory.mktemp("inspect") / "project", tasks=TASKS, config=CONFIG) as started:
        yield started


@pytest.fixture
async def client(project: RunningProject) -> AsyncGenerator[Client]:
    async with connect(project.project) as connected:
        yield connected


async def running(client: Client, task_id: str, **given: object) -> Execution:
    """An execution of this task that has a process."""
    source = Source(kind="mcp", client="local")
    body = Submit(execution_id=new_execution_id(), task_id=task_id, input=given, source=source)
    started = await client.call(messages.SUBMIT, body, timeout_seconds=SECONDS_MAX)

    async with asyncio.timeout(SECONDS_MAX):
        while True:
            found = await client.call(messages.GET_EXECUTION, GetExecution(execution_id=started.execution_id))
            if found.attempts and found.attempts[-1].pid is not None:
                return found
            await asyncio.sleep(LOOK_SECONDS)


async def look(client: Client, one: Execution, *, until: str = "") -> Inspection:
    """What it is doing, once what is seen of it has this text: it may only just have begun."""
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            body = InspectExecution(execution_id=one.execution_id)
            found = await client.call(messages.INSPECT_EXECUTION, body, timeout_seconds=SECONDS_MAX)
            if until in found.model_dump_json():
                return found


async def output(client: Client, one: Execution) -> object:
    body = GetExecution(execution_id=one.execution_id, wait_seconds=SECONDS_MAX - 1)
    return (await client.call(messages.GET_EXECUTION, body, timeout_seconds=SECONDS_MAX)).output


def sources(stack: Stack) -> list[str | None]:
    return [one.source for one in stack.frames]


async def test_a_blocked_task_shows_the_very_line_of_each_thread_and_goes_on(client: Client, tmp_path: Path):
    one = await running(client, "wait", file=str(tmp_path / "go"))
    found = await look(client, one, until='"beside"')
    assert found.seen == "python"
    main, beside = found.threads[0], next(stack for stack in found.threads if stack.name == "beside")
    assert sources(main)[:2] == ["time.sleep(0.05)  # the very line", "until(file)"]
    assert sources(beside)[0] == "time.sleep(0.05)  # the very line"
    assert main.frames[0].file.endswith("stuck.py")
    assert not any("ratchet/runtime" in frame.file for stack in found.threads for frame in stack.frames)
    assert [span.name for span in found.spans] == ["wait", "outer", "inner"]
    assert found.spans[2].parent_id == found.spans[1].span_id
    assert found.process is not None
    assert found.process.pid == one.attempts[-1].pid
    assert found.process.memory_bytes > 1_000_000
    assert "the very line" in sentences(found)[0]
    for _ in range(20):  # as often as anybody likes
        await look(client, one)
    (tmp_path / "go").touch()
    assert await output(client, one) == "went on"


async def test_coroutines_show_what_they_await(client: Client, tmp_path: Path):
    one = await running(client, "awaits", file=str(tmp_path / "go"))
    found = await look(client, one, until='"second"')
    by_name = {stack.name: stack for stack in found.coroutines}
    assert "await asyncio.sleep(0.05)  # awaited here" in sources(by_name["first"])
    assert "awaited here" in " ".join(sentences(found))
    (tmp_path / "go").touch()
    assert await output(client, one) == "went on"


async def test_a_busy_loop_shows_its_line_and_its_cpu(client: Client, tmp_path: Path):
    one = await running(client, "spin", file=str(tmp_path / "go"))
    found = await look(client, one, until="not path.exists()")
    assert found.process is not None
    assert found.process.cpu_share > 0.05
    (tmp_path / "go").touch()
    assert await output(client, one) == "went on"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the stack file is found through /proc")
async def test_a_c_function_that_keeps_the_lock_shows_where_it_was_called(client: Client):
    one = await running(client, "lock")
    found = await look(client, one, until='"native"')
    assert found.seen == "native"
    assert any(frame.function == "lock" and frame.file.endswith("stuck.py") for frame in found.threads[0].frames)
    assert "C function" in sentences(found)[0]
    again = await look(client, one, until='"native"')
    assert len(again.threads[0].frames) == len(found.threads[0].frames)
    await client.call(messages.CANCEL_EXECUTION, CancelExecution(execution_id=one.execution_id, wait_seconds=10.0))


async def test_a_stopped_process_is_said_to_be_stopped(client: Client, tmp_path: Path):
    one = await running(client, "wait", file=str(tmp_path / "go"))
    pid = one.attempts[-1].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        found = await look(client, one, until="nothing")
        assert "stopped" in sentences(found)[0]
    finally:
        os.kill(pid, signal.SIGCONT)
    (tmp_path / "go").touch()
    assert await output(client, one) == "went on"


async def test_what_does_not_run_is_not_looked_into(client: Client, tmp_path: Path):
    (tmp_path / "go").touch()
    one = await running(client, "wait", file=str(tmp_path / "go"))
    await output(client, one)
    with pytest.raises(RequestError, match=r"has ended \(completed\)"):
        await look(client, one)
    with pytest.raises(UnknownExecutionError):
        await client.call(messages.INSPECT_EXECUTION, InspectExecution(execution_id=new_execution_id()))
    other = PolicyClient(name="bob", permissions=EVERY_PERMISSION)
    for who, error in ((other, UnknownExecutionError), (PolicyClient(name="local"), ForbiddenError)):
        body = InspectExecution(execution_id=one.execution_id, client=who)
        with pytest.raises(error):
            await client.call(messages.INSPECT_EXECUTION, body)


async def test_the_tool_and_the_command_show_it(project: RunningProject, client: Client, tmp_path: Path):
    one = await running(client, "wait", file=str(tmp_path / "go"))
    await look(client, one, until='"inner"')
    async with agent(project, ("http", "auto")) as asking:
        result = await asking.call("inspect_execution", {"execution_id": one.execution_id})
    jsonschema_rs.validate(TOOLS["inspect_execution"].output_schema, result.structured)
    assert "time.sleep(0.05)  # the very line" in result.text
    assert result.structured["open_spans"][-1]["name"] == "inner"
    line = CommandLine(project)
    shown = await asyncio.to_thread(line.run, "inspect", one.execution_id)
    assert (shown.code, shown.err) == (0, "")
    assert "the very line" in shown.out
    assert "inner" in shown.out
    told = json.loads((await asyncio.to_thread(line.run, "inspect", one.execution_id, "--json")).out)
    assert told["seen"] == "python"
    (tmp_path / "go").touch()
    assert await output(client, one) == "went on"
