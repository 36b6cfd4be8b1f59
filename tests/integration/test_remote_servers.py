"""Calling other MCP servers through the gateway: real ones, on stdio and HTTP, that die and come back."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from ratchet.errors import (
    McpResultError,
    McpServerDownError,
    McpTimeoutError,
    McpToolError,
    McpUnknownServerError,
    McpUnknownToolError,
)
from tests.integration.gateway_world import Gateway, gateway

SERVER = str(Path(__file__).parent / "remote_server.py")
TOOLS = ["echo", "environment", "fail", "slow", "large", "die", "die_once"]
SECRET = "tickets-0123456789abcdef"

pytestmark = pytest.mark.asyncio(loop_scope="module")


class WebServer:
    """An MCP server over HTTP that comes back at the same port."""

    def __init__(self) -> None:
        self.port = 0
        self._process: Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, SERVER, "http", str(self.port), stdout=PIPE
        )
        assert self._process.stdout is not None
        self.port = int(await self._process.stdout.readline())

    async def end(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web() -> AsyncGenerator[WebServer]:
    server = WebServer()
    await server.start()
    yield server
    await server.end()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, web: WebServer) -> AsyncGenerator[Gateway]:
    program = {"command": sys.executable, "args": [SERVER, "stdio"]}
    mcp = {
        "servers": [
            {"name": "local", **program, "env": {"TICKETS": "${TICKETS_TOKEN}"}, "timeout_seconds": 10},
            {"name": "web", "url": f"http://127.0.0.1:{web.port}/mcp", "headers": {"x-ticket": "${TICKETS_TOKEN}"}},
            {"name": "claude"},
            {"name": "nowhere", "url": "http://127.0.0.1:9/mcp"},
            {"name": "no-program", "command": "there-is-no-such-program"},
            {"name": "wrong-program", "command": "false"},
        ]
    }
    environ = {"TICKETS_TOKEN": SECRET, "OTHER_SECRET": "not-for-servers"}
    async with gateway(tmp_path_factory.mktemp("remote"), {"mcp": mcp}, environ) as running:
        yield running


async def test_servers_are_listed_with_what_becomes_of_them(world: Gateway) -> None:
    await world.call("local", "echo")
    found = await world.servers()

    assert list(found) == ["local", "web", "claude", "nowhere", "no-program", "wrong-program"]
    assert (found["local"].transport, found["local"].usable, found["local"].state) == ("stdio", True, "connected")
    assert (found["claude"].transport, found["claude"].usable) == (None, False)
    assert "neither a command nor a url" in str(found["claude"].problem)


@pytest.mark.parametrize("server", ["local", "web"])
async def test_tools_are_listed_and_called(world: Gateway, server: str) -> None:
    assert await world.tools(server) == TOOLS
    answers = await asyncio.gather(*(world.call(server, "echo", text=f"number {number}") for number in range(20)))

    assert [answer.text for answer in answers] == [f"number {number}" for number in range(20)]
    assert answers[0].content[0]["type"] == "text"


async def test_a_program_gets_the_environment_of_its_configuration_and_no_more(world: Gateway) -> None:
    said = (await world.call("local", "environment")).structured

    assert said["environment"]["TICKETS"] == "[redacted]"  # it has it, but no task gets to see it
    assert "OTHER_SECRET" not in said["environment"]
    assert "TICKETS_TOKEN" not in said["environment"]


async def test_a_web_server_gets_the_headers_of_its_configuration(world: Gateway) -> None:
    assert (await world.call("web", "environment")).structured["headers"]["x-ticket"] == "[redacted]"


@pytest.mark.parametrize("server", ["local", "web"])
async def test_what_a_tool_cannot_do_is_an_error_of_its_kind(world: Gateway, server: str) -> None:
    with pytest.raises(McpToolError) as failed:
        await world.call(server, "fail")
    assert (failed.value.details["content"], failed.value.retryable) == ("no such ticket", False)
    with pytest.raises(McpUnknownToolError, match="did you mean echo"):
        await world.call(server, "ecko")
    with pytest.raises(McpResultError, match="bytes"):
        await world.call(server, "large", bytes=1_100_000)
    with pytest.raises(McpTimeoutError) as late:
        await world.call(server, "slow", seconds=60, timeout_seconds=0.7)
    assert late.value.retryable
    assert (await world.call(server, "echo", text="still well")).text == "still well"


@pytest.mark.parametrize(
    ("server", "why"),
    [("nowhere", "ConnectError"), ("no-program", "No such file"), ("wrong-program", "Connection closed")],
)
async def test_a_server_that_cannot_be_reached_is_down_and_not_tried_by_everybody(
    world: Gateway, server: str, why: str
) -> None:
    with pytest.raises(McpServerDownError, match=why) as raised:
        await world.call(server, "echo")
    assert raised.value.retryable
    assert raised.value.details["outcome"] == "not_called"
    with pytest.raises(McpServerDownError) as raised:
        await world.call(server, "echo")
    assert raised.value.details["retry_after_seconds"] > 0
    assert (await world.servers())[server].state == "down"


@pytest.mark.parametrize(
    ("server", "message"), [("claude", "neither a command"), ("other", "known here: local, web, claude")]
)
async def test_a_server_that_is_not_there_is_named(world: Gateway, server: str, message: str) -> None:
    with pytest.raises(McpUnknownServerError, match=message):
        await world.tools(server)


async def test_a_program_that_dies_is_started_again(world: Gateway, tmp_path: Path) -> None:
    with pytest.raises(McpServerDownError) as raised:
        await world.call("local", "die")
    assert raised.value.details["outcome"] == "unknown"
    assert (await world.call("local", "echo", text="again")).text == "again"

    # What says of itself that it may be called twice is.
    assert (await world.call("local", "die_once", file=str(tmp_path / "died"), text="twice")).text == "twice"


async def test_what_a_program_says_on_stderr_is_logged_without_secrets(world: Gateway) -> None:
    await world.call("local", "echo", text=f"the token {SECRET}")
    logged = (world.folder / "data" / "logs" / "llm-gateway.jsonl").read_text()

    assert "echoing the token [redacted]" in logged
    assert SECRET not in logged


async def test_a_web_server_that_comes_back_is_found_again(world: Gateway, web: WebServer) -> None:
    await web.end()
    with pytest.raises(McpServerDownError):
        await world.call("web", "fail")
    await web.start()

    async with asyncio.timeout(20):
        while True:
            try:
                answer = await world.call("web", "echo", text="2")
            except McpServerDownError as error:
                await asyncio.sleep(error.details.get("retry_after_seconds", 0))
            else:
                break
    assert answer.text == "2"
