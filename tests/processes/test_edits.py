"""Tasks are edited while they run: nobody is refused, and each execution is of the version whose code it ran."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest
from mcp import Client
from mcp_types import ResourceListChangedNotification

from ratchet.bodies.executions import ListExecutions
from ratchet.cli.connection import connect
from ratchet.messages import LIST_EXECUTIONS
from ratchet.runtime.versions import version_of
from tests.harness import BOUND_SECONDS, Json, RunningProject, started_project
from tests.integration.policy_world import told

EDITS = 20

TASK = """
    import time
    from kit.numbers import module_number
    from ratchet import Context, task

    @task
    def edited(ctx: Context, seconds: float = 0.0) -> dict:
        before = {number}, module_number()
        ctx.progress(1, 2)
        time.sleep(seconds)
        return {{"before": before, "after": ({number}, module_number())}}
    """
MODULE = "def module_number() -> int:\n    return {number}\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    config: Json = {"workers": {"count": 2, "children": 3}}
    folder = tmp_path_factory.mktemp("edited") / "project"
    with started_project(folder, tasks={"other": OTHER}, config=config) as found:
        yield found


OTHER = """
    from ratchet import task

    @task
    def other() -> int:
        return 1
    """


class Files:
    """A task file and a module that it imports, with what every state of the two is the version of."""

    def __init__(self, project: RunningProject) -> None:
        self.root = project.folder / "tasks"
        self.task, self.module = self.root / "edited.py", self.root / "kit" / "numbers.py"
        self.numbers = [1, 1]
        self.versions: dict[tuple[int, int], str] = {}
        self.module.parent.mkdir(exist_ok=True)
        (self.module.parent / "__init__.py").touch()
        self.write(self.module, 1, in_place=True)
        self.write(self.task, 1, in_place=True)

    def write(self, path: Path, number: int, *, in_place: bool) -> None:
        """Give one of the files a number, as an editor does that writes in place or as one that renames."""
        text = dedent(TASK if path == self.task else MODULE).format(number=number)
        if in_place:
            path.write_text(text)
        else:
            beside = path.with_suffix(".tmp")
            beside.write_text(text)
            os.replace(beside, path)  # noqa: PTH105 - what editors do
        self.numbers[0 if path == self.task else 1] = number
        files = [str(self.task), str(self.module), str(self.module.parent / "__init__.py")]
        self.versions[self.now] = version_of(files, [str(self.root)])

    @property
    def now(self) -> tuple[int, int]:
        return self.numbers[0], self.numbers[1]


@dataclass
class Stream:
    """Executions one after the other in one session, until told to stop."""

    client: Client
    seconds: float
    stopping: bool = False
    ended: list[Json] = field(default_factory=list[Json])

    async def run(self) -> None:
        while not self.stopping:
            arguments: Json = {"task_id": "edited", "input": {"seconds": self.seconds}}
            self.ended.append(await told(self.client, "execute_task", **arguments))


async def test_no_call_fails_and_each_execution_has_the_version_that_it_ran(project: RunningProject) -> None:
    files = Files(project)
    async with (
        project.client("legacy") as session,
        project.stdio_client() as agent,
        asyncio.timeout(2 * BOUND_SECONDS),
    ):
        streams = [Stream(session, 0.0), Stream(session, 0.15), Stream(agent, 0.0), Stream(agent, 0.15)]
        async with asyncio.TaskGroup() as running:
            for stream in streams:
                running.create_task(stream.run())
            for number in range(2, EDITS // 2 + 2):
                files.write(files.module, number, in_place=number % 2 == 0)
                await the_new_code_runs(session, files)
                files.write(files.task, number, in_place=number % 2 == 1)
                await the_new_code_runs(agent, files)
            for stream in streams:
                stream.stopping = True
    seen = await versions_of([one for stream in streams for one in stream.ended], project, files)
    assert len(files.versions) == EDITS + 1
    assert len(seen) > EDITS // 2


async def versions_of(ended: list[Json], project: RunningProject, files: Files) -> set[str]:
    """The versions that are recorded: of each execution that of the code whose numbers it returned."""
    recorded: dict[str, str] = {}
    cursor: str | None = None
    async with connect(project.project) as shell:
        while not recorded or cursor is not None:
            page = await shell.call(LIST_EXECUTIONS, ListExecutions(limit=500, cursor=cursor))
            recorded |= {one.execution_id: one.version for one in page.executions}
            assert all(one.attempts[-1].version == one.version for one in page.executions if one.attempts)
            cursor = page.next_cursor
    for one in ended:
        assert one["status"] == "completed", one.get("error", one)
        assert one["output"]["before"] == one["output"]["after"]
        assert recorded[one["execution_id"]] == files.versions[tuple(one["output"]["before"])]
    return {recorded[one["execution_id"]] for one in ended}


async def the_new_code_runs(client: Client, files: Files) -> None:
    """What is called after an edit runs what was written."""
    ended = await told(client, "execute_task", task_id="edited", input={})
    assert ended["status"] == "completed", ended
    assert tuple(ended["output"]["before"]) == files.now


async def test_edits_faster_than_files_can_be_loaded_fail_no_call(project: RunningProject) -> None:
    files = Files(project)

    async def edit() -> None:
        for number in range(2, 2 * EDITS):
            files.write(files.module if number % 2 else files.task, number, in_place=bool(number % 3))
            await asyncio.sleep(0.01)

    async with project.client() as client, asyncio.timeout(BOUND_SECONDS):
        await the_new_code_runs(client, files)
        stream = Stream(client, 0.0)
        async with asyncio.TaskGroup() as running:
            running.create_task(stream.run())
            await edit()
            stream.stopping = True
        await the_new_code_runs(client, files)
    await versions_of(stream.ended, project, files)


async def test_a_broken_edit_is_refused_with_its_line_and_mended_by_the_next(project: RunningProject) -> None:
    files = Files(project)
    async with project.client() as client, asyncio.timeout(BOUND_SECONDS):
        running = await begun(client, "edited", {"seconds": 0.5})
        files.module.write_text("def module_number(:\n    return 0\n")
        broken = await told(client, "execute_task", task_id="edited", input={})
        assert broken["error"]["type"] == "task_broken"
        assert "SyntaxError" in broken["error"]["message"]
        assert "numbers.py, line 1" in broken["error"]["message"]
        assert (await told(client, "execute_task", task_id="other", input={}))["output"] == 1
        assert (await running)["output"]["after"] == [1, 1]
        files.write(files.module, 2, in_place=True)
        await the_new_code_runs(client, files)


async def begun(client: Client, task_id: str, task_input: Json) -> asyncio.Task[Json]:
    """A call of a task that has made progress."""
    started = asyncio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        started.set()

    async def call() -> Json:
        arguments: Json = {"task_id": task_id, "input": task_input}
        result = await client.call_tool("execute_task", arguments, progress_callback=hear)
        assert result.structured_content is not None
        return result.structured_content

    running = asyncio.create_task(call())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    assert started.is_set(), running.result()
    return running


async def test_what_a_function_imports_late_is_of_the_version_that_it_began_with(project: RunningProject) -> None:
    project.write_task("imported_late", "NUMBER = 1\n")
    project.write_task(
        "imports_late",
        """
        import time
        from ratchet import Context, task

        @task
        def imports_late(ctx: Context, seconds: float = 0.0) -> int:
            ctx.progress(1, 2)
            time.sleep(seconds)
            from imported_late import NUMBER
            return NUMBER
        """,
    )
    async with project.client() as client, asyncio.timeout(BOUND_SECONDS):
        running = await begun(client, "imports-late", {"seconds": 0.5})
        project.write_task("imported_late", "NUMBER = 2\n")
        assert (await told(client, "execute_task", task_id="imports-late", input={}))["output"] == 2
        assert (await running)["output"] == 1


async def test_clients_of_both_eras_hear_that_the_tasks_are_others(project: RunningProject) -> None:
    heard = asyncio.Event()

    async def hear(message: object) -> None:
        if isinstance(message, ResourceListChangedNotification):
            heard.set()

    source = "from ratchet import task\n@task\ndef newest() -> int:\n    return {}\n"
    async with (
        project.client("legacy", message_handler=hear) as session,
        project.stdio_client() as modern,
        modern.listen(resources_list_changed=True) as changes,
        asyncio.timeout(BOUND_SECONDS),
    ):
        assert session.server_capabilities.resources is not None
        assert session.server_capabilities.resources.list_changed
        path = project.write_task("newest", source.format(1))
        async for _ in changes:
            if await lists_newest(modern):
                break
        await heard.wait()
        heard.clear()
        path.unlink()
        async for _ in changes:
            if not await lists_newest(modern):
                break
        await heard.wait()


async def lists_newest(client: Client) -> bool:
    return "newest" in {one.name for one in (await client.list_resources()).resources}


async def test_a_module_that_was_missing_or_comes_before_another_is_noticed(project: RunningProject) -> None:
    source = "from ratchet import task\nfrom late.one import value\n\n@task\ndef late() -> int:\n    return value\n"
    late = project.folder / "tasks" / "late"
    async with project.client() as client:
        project.write_task("late_task", source)
        missing = await told(client, "execute_task", task_id="late", input={})
        assert "late" in missing["error"]["message"]
        late.mkdir()
        (late / "one.py").write_text("value = 1\n")
        assert (await told(client, "execute_task", task_id="late", input={}))["output"] == 1
        (late.parent / "late.py").write_text("raise RuntimeError('comes first')\n")
        assert "comes first" in (await told(client, "execute_task", task_id="late", input={}))["error"]["message"]
