"""Agents as the tests play them: the SDK's client on every transport and era, and raw JSON-RPC underneath."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import mcp_types as t
from mcp import Client
from mcp.shared.dispatcher import ProgressFnT

from tests.harness import BOUND_SECONDS, Json, RunningProject

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN_VERSION = "2026-07-28"
WAYS = [(transport, mode) for transport in ("http", "stdio") for mode in ("auto", "legacy")]
WAY_IDS = [f"{transport}-{mode}" for transport, mode in WAYS]


@dataclass(frozen=True)
class Result:
    """What a tool gave."""

    structured: Json
    text: str
    failed: bool


class Agent:
    """An MCP client that calls tools by their bare name, under the advertised one."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, arguments: Json | None = None, **options: Any) -> Result:
        """Call a tool."""
        result = await self.client.call_tool(f"ratchet_{tool}", arguments or {}, **options)
        assert result.structured_content is not None
        [content] = result.content
        assert isinstance(content, t.TextContent)
        return Result(result.structured_content, content.text, bool(result.is_error))

    async def run(self, task_id: str, given: Json | None = None, **more: Any) -> Result:
        """Execute a task."""
        return await self.call("execute_task", {"task_id": task_id, "input": given or {}, **more})

    async def run_with_progress(self, task_id: str, given: Json, progress: ProgressFnT) -> Result:
        """Execute a task and hear of its progress."""
        arguments = {"task_id": task_id, "input": given}
        return await self.call("execute_task", arguments, progress_callback=progress)


@asynccontextmanager
async def agent(project: RunningProject, way: tuple[str, str], **options: Any) -> AsyncGenerator[Agent]:
    """An agent that came in this way."""
    transport, mode = way
    client = project.client(mode, **options) if transport == "http" else project.stdio_client(mode, **options)
    async with client as entered:
        yield Agent(entered)


def modern_meta() -> Json:
    """The envelope of a request of the current protocol."""
    return {
        "io.modelcontextprotocol/protocolVersion": MODERN_VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }


def request(request_id: int, method: str, params: Json | None = None) -> Json:
    """A JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params or {}}


def notification(method: str, params: Json | None = None) -> Json:
    """A JSON-RPC notification."""
    return {"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})}


def initialize(version: str) -> Json:
    """The first request of a handshake."""
    client = {"name": "raw", "version": "1"}
    return request(1, "initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": client})


class RawStdio:
    """A shim's process, spoken to line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin = process.stdin
        self._stdout = process.stdout

    async def send(self, *messages: Json | str) -> None:
        """Write messages, one a line."""
        for message in messages:
            line = message if isinstance(message, str) else json.dumps(message)
            self._stdin.write(line.encode() + b"\n")
        await self._stdin.drain()

    async def receive(self) -> Json:
        """The next message."""
        async with asyncio.timeout(BOUND_SECONDS):
            line = await self._stdout.readline()
        assert line, "the server closed its output"
        return json.loads(line)

    async def answer(self, request_id: int) -> Json:
        """The answer to this request; whatever comes before is skipped."""
        while (message := await self.receive()).get("id") != request_id:
            pass
        return message

    async def rest(self) -> list[Json]:
        """Everything until the end of the output."""
        async with asyncio.timeout(BOUND_SECONDS):
            return [json.loads(line) for line in (await self._stdout.read()).splitlines()]

    def close_input(self) -> None:
        """Say no more."""
        self._stdin.close()

    async def wait(self) -> int:
        """The exit code."""
        async with asyncio.timeout(BOUND_SECONDS):
            return await self.process.wait()


@asynccontextmanager
async def raw_stdio(project: RunningProject) -> AsyncGenerator[RawStdio]:
    """A shim started as an agent's host does it."""
    process = await asyncio.create_subprocess_exec(
        *project.stdio_command,
        cwd=project.folder,
        env=project.environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=16 * 1024 * 1024,
    )
    raw = RawStdio(process)
    try:
        yield raw
    finally:
        raw.close_input()
        try:
            await raw.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def events(body: str) -> Sequence[Json]:
    """The messages of a server-sent event stream."""
    lines = [line.removeprefix("data:").strip() for line in body.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line]
