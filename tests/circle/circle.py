"""The circle: an agent runs a task, and the task asks everybody there is, its caller's own LLM included.

Every station is a process of its own: the MCP client, Ratchet's actors, the child with the task, a server that speaks
OpenAI's protocol, an MCP server on stdio and one over HTTP.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness import ROOT, Json, RunningProject, running_project
from tests.integration.agents import WAY_IDS, WAYS, Agent, agent
from tests.integration.caller_model import CallerModel

REMOTE = ROOT / "tests" / "integration" / "remote_server.py"
PROVIDER = ROOT / "tests" / "circle" / "provider.py"
_WAIT_SECONDS = 50

TASKS = {
    "circle": """
        import os
        from ratchet import Context, task

        @task
        def circle(ctx: Context, topic: str) -> dict:
            '''Ask everybody about something.'''
            draft = ctx.llm.complete(f"Write about {topic}.", route="provider")
            better = ctx.llm.complete(f"Make this better: {draft.text}", route="caller")
            with ctx.span("look up"):
                found = [ctx.mcp.call_tool(server, "environment", {}).structured["pid"] for server in ("pipe", "web")]
                echoed = [ctx.mcp.call_tool(server, "echo", {"text": better.text}).text for server in ("pipe", "web")]
            title = ctx.llm.complete(f"Name this: {echoed[0]}", route="caller")
            return {
                "draft": draft.text, "better": better.text, "title": title.text, "same": echoed[0] == echoed[1],
                "processes": {"child": os.getpid(), "pipe": found[0], "web": found[1]},
            }
        """
}


@dataclass(frozen=True)
class Turn:
    """One way around.

    Attributes:
        way: How the client came in: transport and era.
        output: Of the task.
        asked: What the client's LLM was asked.
        spans: The trace: (depth, span), in the order of the tree.
        roots: How many trees it is.
    """

    way: str
    output: Json
    asked: list[str]
    spans: list[tuple[int, Json]]
    roots: int

    def problems(self) -> list[str]:
        """What of it is not as it should be."""
        names = [span["name"] for _, span in self.spans]
        failed = [span["name"] for _, span in self.spans if span["status"] != "ok"]
        draft = self.output["draft"]
        wanted = {
            "one tree": self.roots == 1,
            "nothing failed": not failed,
            "three answers of LLMs": names.count("llm.complete") == 3,
            "four calls of tools": names.count("mcp.call_tool") == 4,
            "the caller was asked twice": self.asked == [f"Make this better: {draft}", f"Name this: {draft.upper()}"],
            "every answer arrived": self.output["same"]
            and self.output["title"] == self.asked[-1].upper().partition(": ")[2],
            "processes of their own": len(set(self.output["processes"].values())) == 3,
        }
        return [f"{self.way}: not so: {name}" for name, holds in wanted.items() if not holds]


@asynccontextmanager
async def server(*command: str) -> AsyncGenerator[int]:
    """A server of its own process, which prints its port first."""
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def stations(folder: Path) -> AsyncGenerator[RunningProject]:
    """Everybody but the client."""
    async with server("-m", "tests.circle.provider") as provider, server(str(REMOTE), "http", "0") as web:
        config: Json = {
            "llm": {
                "providers": [{"name": "provider", "base_url": f"http://127.0.0.1:{provider}/v1", "model": "local-1"}],
                "routes": ["provider", "caller"],
            },
            "mcp": {
                "servers": [
                    {"name": "pipe", "command": sys.executable, "args": [str(REMOTE), "stdio"]},
                    {"name": "web", "url": f"http://127.0.0.1:{web}/mcp"},
                ]
            },
        }
        async with running_project(folder, tasks=TASKS, config=config) as project:
            yield project


async def turn(project: RunningProject, way: tuple[str, str]) -> Turn:
    """Go around once."""
    model = CallerModel(lambda text: text.partition(": ")[2].upper())
    async with agent(project, way, sampling_callback=model) as caller:
        ran = await caller.run("circle", {"topic": "the sea"}, wait_seconds=_WAIT_SECONDS)
        assert ran.structured["status"] == "completed", ran.text
        roots = await _trace(caller, ran.structured["execution_id"])
    return Turn(WAY_IDS[WAYS.index(way)], ran.structured["output"], model.texts, list(_flat(roots)), len(roots))


async def around(folder: Path, ways: Sequence[tuple[str, str]]) -> AsyncGenerator[Turn]:
    """Go around in each of these ways."""
    async with stations(folder) as project:
        for way in ways:
            yield await turn(project, way)


async def _trace(caller: Agent, execution_id: str) -> list[Json]:
    trace = await caller.call("get_execution_trace", {"execution_id": execution_id})
    return trace.structured["trace"]["spans"]


def _flat(spans: list[Json], depth: int = 0) -> Iterator[tuple[int, Json]]:
    for span in spans:
        yield depth, span
        yield from _flat(span.get("children", []), depth + 1)
