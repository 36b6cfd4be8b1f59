"""What an agent does with Ratchet, as a program: connect over MCP, run a task, follow it, read its logs.

Everything here is the MCP SDK's own client; an agent's host does the same from its configuration.
"""

import os
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import CallToolResult, TextContent

DEFAULT_URL = "http://127.0.0.1:8090/mcp"

Answer = dict[str, Any]

_WAIT_SECONDS = 20
_POLL_SECONDS = 1
_TERMINAL = ("completed", "failed", "cancelled")


class TaskError(Exception):
    """An execution did not complete, or a tool refused its arguments."""


class Agent:
    """A connected client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def execute(self, task_id: str, task_input: Answer) -> Any:
        """The output of a task, once it has completed; raises as `run` does."""
        return (await self.run(task_id, task_input))["output"]

    async def run(self, task_id: str, task_input: Answer) -> Answer:
        """Run a task to its end; raises where that is not what was wanted.

        Returns:
            What the last call said of the execution: `execution_id`, `status`, `output`, …

        Raises:
            TaskError: It failed or was cancelled; what it logged last is printed.
        """
        return await self.completed(await self.follow(task_id, task_input))

    async def follow(self, task_id: str, task_input: Answer, metadata: Answer | None = None) -> Answer:
        """Run a task and wait until it has ended, however long that takes; its progress is printed as it is told.

        Returns:
            What the last call said of the execution, whatever became of it.
        """
        print(f"\n{task_id}")
        arguments: Answer = {"task_id": task_id, "input": task_input, "wait_seconds": _WAIT_SECONDS}
        if metadata is not None:
            arguments["metadata"] = metadata
        answer = await self._call("execute_task", arguments, _print_progress)
        following = {"execution_id": answer["execution_id"], "wait_seconds": _WAIT_SECONDS}
        while answer["status"] not in _TERMINAL:  # the execution goes on, whoever waits
            answer = await self._call("get_execution_status", following, _print_progress)
        print(f"  {answer['status']}  {answer['execution_id']}")
        return answer

    async def poll(self, task_id: str, task_input: Answer) -> Answer:
        """Run a task and ask for its status until it has ended: for clients that are told of no progress.

        Returns:
            What the last call said of the execution, whatever became of it.
        """
        print(f"\n{task_id}")
        answer = await self.call("execute_task", task_id=task_id, input=task_input, wait_seconds=0)
        execution_id = answer["execution_id"]
        while answer["status"] not in _TERMINAL:
            # Ratchet waits this long with its answer, so it is the pause between two questions, and ends early with
            # the execution.
            answer = await self.call("get_execution_status", execution_id=execution_id, wait_seconds=_POLL_SECONDS)
            if answer["status"] == "running" and answer["progress"] is not None:
                print(f"  running: {answer['progress']['percent']} %")
        print(f"  {answer['status']}  {execution_id}")
        return answer

    async def completed(self, answer: Answer) -> Answer:
        """The answer, where its execution completed.

        Raises:
            TaskError: It failed or was cancelled; what it logged last is printed.
        """
        if answer["status"] != "completed":
            logs = await self.call("get_execution_logs", execution_id=answer["execution_id"], limit=10)
            for record in logs["logs"]:
                print(f"  {record['level']:>5}  {record['message']}")
            raise TaskError(f"{answer['task_id']} {answer['status']}: {answer.get('error')}")
        return answer

    async def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool of Ratchet's.

        Raises:
            TaskError: It refused; the message is what a model would read.
        """
        return await self._call(tool, arguments, None)

    async def _call(self, tool: str, arguments: Answer, progress: ProgressFnT | None) -> Answer:
        result = await self._client.call_tool(f"ratchet_{tool}", arguments, progress_callback=progress)
        answer = cast("Answer | None", result.structured_content)
        if answer is None or (result.is_error and "execution_id" not in answer):
            raise TaskError(_text(result))
        return answer


@asynccontextmanager
async def over_http(url: str, api_key: str | None = None) -> AsyncGenerator[Agent]:
    """An agent connected to a running Ratchet by Streamable HTTP."""
    headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=300)) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield Agent(client)


@asynccontextmanager
async def over_stdio(config: Path) -> AsyncGenerator[Agent]:
    """An agent that starts `ratchet stdio`, as desktop hosts do, and talks to it through its stdin and stdout."""
    command = Path(sys.executable).with_name("ratchet")
    # The SDK passes on only a few environment variables; this one decides where the project's sockets are.
    environ = {name: value for name, value in os.environ.items() if name == "XDG_RUNTIME_DIR"}
    server = StdioServerParameters(command=str(command), args=["stdio", "--config", str(config)], env=environ)
    async with Client(server) as client:
        yield Agent(client)


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The errors in a group, of which task groups make one more around each `async with`."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(cast("BaseExceptionGroup[BaseException]", error))
        else:
            yield error


async def _print_progress(progress: float, total: float | None, message: str | None) -> None:
    done = f"{100 * progress / total:3.0f} %" if total else f"{progress:g}"
    print(f"  {done}  {message or ''}")


def _text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))
