"""`execute_task` over HTTP beside FastMCP, interleaved: a tool that runs in the server, and a background task.

The tool has no process, no record, no log and no limit; the background task is recorded in a Redis that waits for its
disk, as Ratchet waits for its own. Its end is asked for again and again, since FastMCP tells nobody of it.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.figure import Figure
from benchmarks.http_calls import HELLO, Target, clients, figures_of, interleave, ratchet_target
from benchmarks.peer_environment import environment
from benchmarks.processes import ROOT, await_start, free_port, listens, running, running_ratchet
from benchmarks.redis_server import running_redis

_ASK_AGAIN_SECONDS = 0.001
_TASKS: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}


class BackgroundTarget(Target):
    """A tool that answers with a task, which is then asked for."""

    async def _answer(self, client: httpx.AsyncClient) -> dict[str, Any]:
        task = await super()._answer(client)
        while task.get("status") == "working":
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
            task_id: str = task["taskId"]
            task = await self._ask(client, "tasks/get", task_id, taskId=task_id)
        return task.get("result", {"isError": True, "task": task})


def measure() -> list[Figure]:
    """The figures of this part.

    Raises:
        RuntimeError: FastMCP or Redis cannot be had here, so that this part is skipped.
    """
    python = environment("fastmcp", "fastmcp[tasks]", module="fastmcp_tasks")
    with running_redis() as redis, _running_fastmcp(python, redis) as url, running_ratchet() as folder:
        return asyncio.run(_measure(url, folder.url))


async def _measure(fastmcp_url: str, ratchet_url: str) -> list[Figure]:
    async with clients() as ours, clients() as theirs:
        ratchet = ratchet_target(ours, ratchet_url)
        tool = Target(theirs, fastmcp_url, "echo", HELLO, _result)
        background = BackgroundTarget(theirs, fastmcp_url, "background", HELLO, _result, capabilities=_TASKS)
        await interleave(ratchet, tool, background)
        return [
            *figures_of("execute_task over HTTP, beside a tool in FastMCP", ratchet, tool),
            *figures_of("execute_task over HTTP, beside a background task of FastMCP", ratchet, background),
        ]


def _result(answer: dict[str, Any]) -> object:
    return answer.get("result")


@contextmanager
def _running_fastmcp(python: Path, redis: str) -> Generator[str]:
    port = free_port()
    log = ROOT / "build" / "peers" / "fastmcp.log"
    with running([str(python), str(ROOT / "benchmarks" / "fastmcp_server.py"), str(port), redis], log=log) as process:
        await_start(process, "FastMCP", lambda: listens(port), log=log)
        yield f"http://127.0.0.1:{port}/mcp"
