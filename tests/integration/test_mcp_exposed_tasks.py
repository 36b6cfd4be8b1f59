"""Tasks as tools of their own: listed, called, changed, through the SDK's client."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.subscriptions import ToolsListChanged
from mcp_types import (
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    LoggingMessageNotificationParams,
    TextContent,
    ToolListChangedNotification,
)

from tests.conformance.__main__ import fixtures
from tests.harness import BOUND_SECONDS, Json, RunningProject, eventually_async, started_project
from tests.integration.command_line import CommandLine
from tests.integration.policy_world import told

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

        @task(id="tool-talk")
        def talk(ctx: Context) -> str:
            ctx.log.debug("quiet")
            ctx.log("loud", number=1)
            print("printed")
            ctx.log.warning("careful")
            return "said"

        @task(id="hidden")
        def hidden() -> int:
            return 0
        """
}
WAIT_SECONDS = 2.5  # one test waits that long; all others need an answer within it
STDIO_CALLS = 6

both_eras = pytest.mark.parametrize("mode", ["auto", "legacy"])


@pytest.fixture(scope="module")
def exposing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    server = {
        "expose_tasks": ["tool*", "test_*", "json_*"],
        "wait_seconds_max": WAIT_SECONDS,
        "stdio": {"permissions": {"rate_limits": {"execute_task": f"{STDIO_CALLS}/hour"}}},
    }
    config: Json = {"workers": {"count": 1, "children": 2}, "mcp": {"server": server}}
    folder = tmp_path_factory.mktemp("exposed") / "project"
    with started_project(folder, tasks=TASKS | fixtures(), config=config) as project:
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
    assert all(name.startswith("ratchet_") for name in names[:9])
    ours = [name for name in names[9:] if name.startswith("tool")]
    assert ours == ["tool-fail", "tool-large", "tool-slow", "tool-talk", "tool-text", "tool_double"]
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
    async with exposing.client(mode) as client:
        failed = await client.call_tool("tool-fail", {"value": 3})
        wrong = await client.call_tool("tool_double", {"value": "four"})
        large = await client.call_tool("tool-large", {})
        with pytest.raises(MCPError, match="Unknown tool 'hidden'"):
            await client.call_tool("hidden", {})

    assert all(one.is_error for one in (failed, wrong, large))
    # What is there to be validated would have to fit the schema of an output.
    assert [one.structured_content for one in (failed, wrong)] == [None, None]
    assert meta_of(failed)["error"]["message"] == "3 is not to be doubled"
    assert "3 is not to be doubled" in text_of(failed)
    assert meta_of(wrong)["error"]["type"] == "invalid_input"
    assert "value" in text_of(wrong)
    assert meta_of(large)["status"] == "completed"
    assert "output_offset" in text_of(large)


async def test_an_execution_that_outlasts_the_wait_goes_on_and_can_be_followed(exposing: RunningProject) -> None:
    said: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        said.append((progress, total, message))

    async with exposing.client() as client:
        slow = await client.call_tool("tool-slow", {}, progress_callback=hear)
        followed = await told(client, "cancel_execution", execution_id=meta_of(slow)["execution_id"])

    assert (slow.is_error, slow.structured_content) == (True, None)
    assert (meta_of(slow)["status"], said) == ("running", [(1.0, 2.0, "half")])
    assert "get_execution_status" in text_of(slow)
    assert "Do not call this tool again" in text_of(slow)
    assert followed["task_id"] == "tool-slow"


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


async def test_clients_are_told_when_the_list_is_another_one(exposing: RunningProject) -> None:
    heard = asyncio.Event()

    async def hear(message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            heard.set()

    source = "from ratchet import task\n@task(id='tool-late')\ndef late() -> int:\n    return 1\n"
    async with (
        exposing.client("legacy", message_handler=hear) as session,
        exposing.stdio_client() as modern,
        modern.listen(tools_list_changed=True) as changes,
        asyncio.timeout(BOUND_SECONDS),
    ):
        assert session.server_capabilities.tools is not None
        assert session.server_capabilities.tools.list_changed
        path = exposing.write_task("late", source)
        async for event in changes:
            assert isinstance(event, ToolsListChanged)
            break
        await heard.wait()
        assert "tool-late" in {tool.name for tool in (await modern.list_tools()).tools}
        assert "tool-late" in {tool.name for tool in (await session.list_tools()).tools}
        path.unlink()


@both_eras
async def test_a_client_that_asks_is_sent_the_log_while_the_task_runs(exposing: RunningProject, mode: str) -> None:
    said: list[tuple[str, str | None, Any]] = []

    async def hear(params: LoggingMessageNotificationParams) -> None:
        said.append((params.level, params.logger, params.data))

    async with exposing.client(mode, logging_callback=hear) as client:
        await client.call_tool("tool-talk", {})
        assert said == []

    async with exposing.client(mode, logging_callback=hear, log_level="info") as client:
        if mode == "legacy":
            with pytest.warns(MCPDeprecationWarning):
                await client.set_logging_level("info")  # pyright: ignore[reportDeprecated]
        await client.call_tool("tool-talk", {})
        await client.call_tool("execute_task", {"task_id": "tool-talk", "input": {}})
    wanted = [
        ("info", "ctx", {"message": "loud", "context": {"number": 1}}),
        ("info", "stdout", {"message": "printed"}),
        ("warning", "ctx", {"message": "careful"}),
    ]
    assert said == [*wanted, *wanted]


async def test_content_of_a_task_is_content_of_its_tool(exposing: RunningProject) -> None:
    async with exposing.client() as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        [image, _] = (await client.call_tool("test_image_content", {})).content
        [audio, _] = (await client.call_tool("test_audio_content", {})).content
        [document, _] = (await client.call_tool("test_embedded_resource", {})).content
        mixed = await client.call_tool("test_multiple_content_types", {})
        weather = await client.call_tool("test_structured_content", {"city": "Olten"})

    assert isinstance(image, ImageContent)
    assert (image.mime_type, image.data[:8]) == ("image/png", "iVBORw0K")
    assert isinstance(audio, AudioContent)
    assert isinstance(document, EmbeddedResource)
    assert [part.type for part in mixed.content] == ["text", "image", "resource", "text"]
    assert (mixed.structured_content, tools["test_multiple_content_types"].output_schema) == (None, None)
    assert tools["test_image_content"].output_schema is None
    assert weather.structured_content == {"city": "Olten", "degrees": 21.5}


async def test_what_types_cannot_say_of_an_input_is_in_its_schema_and_checked(exposing: RunningProject) -> None:
    async with exposing.client() as client:
        [tool] = [one for one in (await client.list_tools()).tools if one.name == "json_schema_2020_12_tool"]
        refused = await client.call_tool(tool.name, {"name": "Ada", "contactMethod": "phone", "email": "a@b.example"})
        taken = await client.call_tool(tool.name, {"name": "Ada", "contactMethod": "phone", "phone": "1"})

    assert tool.input_schema["then"] == {"required": ["phone"]}
    assert meta_of(refused)["error"]["type"] == "invalid_input"
    assert "phone" in text_of(refused)
    assert not taken.is_error


async def test_a_parameter_that_travels_in_a_header_must_be_the_same_there(exposing: RunningProject) -> None:
    async with exposing.client() as client:
        await client.list_tools()
        result = await client.call_tool("test_header_parameter", {"region": "eu"})
    assert text_of(result).startswith("eu")

    meta: Json = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params: Json = {"name": "test_header_parameter", "arguments": {"region": "eu"}, "_meta": meta}
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "test_header_parameter"}
    accept = {"Accept": "application/json, text/event-stream"}
    body: Json = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    async with exposing.http(headers=headers | accept) as http:
        other = await http.post("/mcp", json=body, headers={"Mcp-Param-Region": "us"})
        same = await http.post("/mcp", json=body, headers={"Mcp-Param-Region": "eu"})
    assert (other.status_code, same.status_code) == (400, 200)


async def test_calls_count_and_are_recorded_as_those_of_execute_task(exposing: RunningProject) -> None:
    async with exposing.stdio_client() as client:
        results = [await client.call_tool("tool-text", {}) for _ in range(STDIO_CALLS + 1)]
        assert (await told(client, "execute_task", task_id="tool-text", input={}))["error"]["type"] == "rate_limited"
    assert meta_of(results[-1])["error"]["type"] == "rate_limited"
    shell = CommandLine(exposing)

    def refused() -> list[Json] | None:
        found: list[Json] = shell.run("audit", "--refused", "--json").json["records"]
        limited = [one for one in found if one["code"] == "rate_limited"]
        return limited if len(limited) >= 2 else None

    for one in (await eventually_async(refused, "two refusals are recorded"))[:2]:
        assert (one["tool"], one["task_id"], one["transport"]) == ("execute_task", "tool-text", "stdio")


async def test_a_schema_that_is_none_breaks_its_file_and_nothing_else(exposing: RunningProject) -> None:
    source = (
        "from ratchet import task\n@task(id='tool-odd', constraints={'allOf': 3})\ndef odd() -> int:\n    return 1\n"
    )
    path = exposing.write_task("tool_odd", source)
    async with exposing.client() as client:
        listed = await told(client, "list_available_tasks", filter="tool-odd")
        ran = await told(client, "execute_task", task_id="tool-odd", input={})
        assert "tool-odd" not in {tool.name for tool in (await client.list_tools()).tools}
        path.unlink()
    assert "InvalidSchema" in {one["error_type"] for one in listed["broken_files"]}
    assert ran["error"]["type"] == "task_broken"
