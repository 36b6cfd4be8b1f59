"""Tasks as tools of their own: listed, called, changed, through the SDK's client."""

from collections.abc import Iterator
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent

from tests.harness import Json, RunningProject, started_project

TASKS = {
    "exposed": """
        import time
        from pydantic import BaseModel
        from ratchet import Context, task

        class Doubled(BaseModel):
            value: int

        @task(id="tool.double", idempotent=True)
        def double(value: int) -> Doubled:
            '''Double a value.'''
            return Doubled(value=2 * value)

        @task(id="tool_double")
        def same_name() -> int:
            return 0

        @task(id="tool-text")
        def text() -> str:
            return "as it is"

        @task(id="tool-fail", dangerous=False)
        def fail(value: int = 1) -> Doubled:
            '''Fail.'''
            raise ValueError(f"{value} is not to be doubled")

        @task(id="tool-slow")
        def slow(ctx: Context) -> Doubled:
            ctx.progress(1, 2, "half")
            time.sleep(30)
            return Doubled(value=1)

        @task(id="tool-large")
        def large() -> dict:
            return {"text": "x" * 300_000}

        @task(id="hidden")
        def hidden() -> int:
            return 0
        """
}
WAIT_SECONDS = 0.5

both_eras = pytest.mark.parametrize("mode", ["auto", "legacy"])


@pytest.fixture(scope="module")
def exposing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    server = {"expose_tasks": ["tool*"], "wait_seconds_max": WAIT_SECONDS}
    config: Json = {"workers": {"count": 1, "children": 2}, "mcp": {"server": server}}
    with started_project(tmp_path_factory.mktemp("exposed") / "project", tasks=TASKS, config=config) as project:
        yield project


def text_of(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


def meta_of(result: CallToolResult) -> dict[str, Any]:
    return {name.removeprefix("ratchet/"): one for name, one in (result.meta or {}).items() if "ratchet/" in name}


@both_eras
async def test_a_task_is_listed_after_the_tools_with_what_is_known_of_it(exposing: RunningProject, mode: str) -> None:
    async with exposing.client(mode) as client:
        tools = (await client.list_tools()).tools

    names = [tool.name for tool in tools]
    assert [name for name in names if not name.startswith("ratchet_")] == names[9:]
    assert names[9:] == ["tool-fail", "tool-large", "tool-slow", "tool-text", "tool_double"]
    [double] = [tool for tool in tools if tool.name == "tool_double"]
    assert (double.title, double.description) == ("Tool double", "Double a value.")
    assert double.input_schema["properties"] == {"value": {"type": "integer"}}
    assert double.output_schema is not None
    assert double.annotations is not None
    assert double.annotations.idempotent_hint
    assert [tool.output_schema for tool in tools if tool.name == "tool-text"] == [None]


@both_eras
async def test_a_call_returns_the_output_and_is_an_execution(exposing: RunningProject, mode: str) -> None:
    async with exposing.client(mode) as client:
        result = await client.call_tool("tool_double", {"value": 4})
        execution_id = meta_of(result)["execution_id"]
        status = (await client.call_tool("get_execution_status", {"execution_id": execution_id})).structured_content
        text = await client.call_tool("tool-text", {})

    assert (result.is_error, result.structured_content) == (False, {"value": 8})
    assert '{"value": 8}' in text_of(result)
    assert execution_id in text_of(result)
    assert status is not None
    assert (status["task_id"], status["input"], status["status"]) == ("tool.double", {"value": 4}, "completed")
    assert status["source"]["kind"] == "mcp"
    assert (text.content[0], text.structured_content) == (TextContent(type="text", text="as it is"), None)


@both_eras
async def test_without_an_output_the_result_is_an_error_that_says_why(exposing: RunningProject, mode: str) -> None:
    said: list[tuple[float, float | None, str | None]] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        said.append((progress, total, message))

    async with exposing.client(mode) as client:
        failed = await client.call_tool("tool-fail", {"value": 3})
        wrong = await client.call_tool("tool_double", {"value": "four"})
        large = await client.call_tool("tool-large", {})
        slow = await client.call_tool("tool-slow", {}, progress_callback=told)
        await client.call_tool("cancel_execution", {"execution_id": meta_of(slow)["execution_id"]})
        with pytest.raises(MCPError, match="Unknown tool 'hidden'"):
            await client.call_tool("hidden", {})

    assert all(one.is_error for one in (failed, wrong, large, slow))
    # What is there to be validated would have to fit the schema of an output.
    assert [one.structured_content for one in (failed, wrong, slow)] == [None, None, None]
    assert meta_of(failed)["error"]["message"] == "3 is not to be doubled"
    assert "3 is not to be doubled" in text_of(failed)
    assert meta_of(wrong)["error"]["type"] == "invalid_input"
    assert "value" in text_of(wrong)
    assert (meta_of(slow)["status"], said) == ("running", [(1.0, 2.0, "half")])
    assert "get_execution_status" in text_of(slow)
    assert "Do not call this tool again" in text_of(slow)
    assert meta_of(large)["status"] == "completed"
    assert "output_offset" in text_of(large)


async def test_a_task_that_is_not_exposed_is_reported_with_the_reason(exposing: RunningProject) -> None:
    async with exposing.client() as client:
        answer = (await client.call_tool("list_available_tasks", {})).structured_content
        ran = await client.call_tool("execute_task", {"task_id": "tool_double", "input": {}})

    assert answer is not None
    [broken] = answer["broken_files"]
    assert (broken["error_type"], "'tool_double'" in broken["message"]) == ("NotExposed", True)
    assert not ran.is_error
    assert [entry["task"] for entry in exposing.log("task-runner") if entry["event"] == "a task is not exposed"]


async def test_what_is_listed_follows_the_task_files(exposing: RunningProject) -> None:
    async def names(client: Client) -> set[str]:
        return {tool.name for tool in (await client.list_tools()).tools}

    source = "from ratchet import task\n@task(id='tool-new')\ndef new() -> dict:\n    return {{'version': {}}}\n"
    async with exposing.client() as http, exposing.stdio_client("legacy") as stdio:
        path = exposing.write_task("new", source.format(1))
        assert "tool-new" in await names(http)
        assert "tool-new" in await names(stdio)
        assert (await stdio.call_tool("tool-new", {})).structured_content == {"version": 1}
        exposing.write_task("new", source.format(2))
        assert (await stdio.call_tool("tool-new", {})).structured_content == {"version": 2}
        path.unlink()
        assert "tool-new" not in await names(http)
        assert "tool-new" not in await names(stdio)
