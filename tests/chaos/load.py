"""Clients that execute one task after another, on every way in, and write down what they were told.

Whoever gets no answer asks again with the same id or key, as a client should. What was answered once was accepted.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
from mcp import Client as McpClient
from mcp.shared.exceptions import MCPError

from ipc.errors import IpcError
from ratchet import messages
from ratchet.bodies.executions import CancelExecution, GetExecution, Submit
from ratchet.cli.connection import Client, connect
from ratchet.errors import RatchetError
from ratchet.models import Execution, Source
from tests.harness import Json, RunningProject

LINKS: Final = 2
CALLERS_PER_LINK: Final = 8
MCP_CALLERS: Final = 2
# An LLM or an agent gives up some time; a test that does so has found something.
PATIENCE_SECONDS: Final = 180.0
_WAIT_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.05
_AHEAD_MAX: Final = 300
_EXECUTIONS_PER_COMMAND: Final = 100
_COMMAND_SECONDS: Final = 60.0

# Tasks by how often they come.
MIXTURE: Final = {
    "quick": 30,
    "again": 12,
    "slow": 12,
    "logging": 14,
    "tracing": 8,
    "failing": 6,
    "starting": 6,
    "family": 6,
    "asking": 5,
    "overrunning": 1,
}
_CANCELLED_SHARE: Final = 0.03


@dataclass
class Told:
    """What clients know.

    Attributes:
        accepted: Executions that somebody was told the id of, with their task.
        tried: Ids that were sent, whether or not an answer came.
        cancelled: Executions that somebody asked to stop.
        keys: Executions by the idempotency key that they were asked for under, as often as they were told.
        ends: The terminal status that somebody was told of an execution.
        ended: How many have ended as far as clients know.
        asked_again: Requests without an answer, by what came instead.
        complaints: What a client must not see.
        moved: Set whenever `ended` grows.
        due: The fault that waits for its turn falls after so many ends: the load does not run far ahead of it.
    """

    accepted: dict[str, str] = field(default_factory=dict[str, str])
    tried: dict[str, str] = field(default_factory=dict[str, str])
    cancelled: set[str] = field(default_factory=set[str])
    keys: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    ends: dict[str, str] = field(default_factory=dict[str, str])
    ended: int = 0
    asked_again: Counter[str] = field(default_factory=Counter[str])
    complaints: list[str] = field(default_factory=list[str])
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    due: int = 0
    fallen: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """One more has ended."""
        self.ended += 1
        self.moved.set()

    async def until(self, ended: int) -> None:
        """Return when so many have ended."""
        while self.ended < ended:
            self.moved.clear()
            await self.moved.wait()

    async def keep_pace(self) -> None:
        """Return when there are not too many ends since the next fault should have fallen."""
        while self.ended > self.due + _AHEAD_MAX:
            self.fallen.clear()
            await self.fallen.wait()

    def falls(self, due: int) -> None:
        """A fault falls; the next one falls after `due` ends."""
        self.due = due
        self.fallen.set()


class Load:
    """`executions` of the mixture, from several clients at once."""

    def __init__(self, project: RunningProject, executions: int, seed: int) -> None:
        self.told = Told()
        self._project = project
        self._executions = executions
        self._numbers = iter(range(executions))
        self._rng = random.Random(f"load {seed}")
        self._seed = seed

    async def run(self) -> None:
        """Until all have ended."""
        async with asyncio.TaskGroup() as callers:
            for _ in range(LINKS):
                callers.create_task(self._link())
            for _ in range(MCP_CALLERS):
                callers.create_task(self._agent())
            callers.create_task(self._commands())

    async def _next(self) -> tuple[int, str] | None:
        await self.told.keep_pace()
        number = next(self._numbers, None)
        if number is None:
            return None
        [task_id] = self._rng.choices([*MIXTURE], [*MIXTURE.values()])
        return number, task_id

    # --- the messaging layer ----------------------------------------------------------------------------------------

    async def _link(self) -> None:
        link = _Link(self._project)
        try:
            async with asyncio.TaskGroup() as callers:
                for _ in range(CALLERS_PER_LINK):
                    callers.create_task(self._caller(link))
        finally:
            await link.close()

    async def _caller(self, link: "_Link") -> None:
        while (work := await self._next()) is not None:
            number, task_id = work
            execution_id = f"exec_chaos_{self._seed}_{number}"
            self.told.tried[execution_id] = task_id
            cancels = self._rng.random() < _CANCELLED_SHARE
            # Those that wait with the submission learn of acceptance and end at once, the others one after the other.
            wait_seconds = _WAIT_SECONDS if number % 2 and not cancels else 0.0
            body = Submit(
                execution_id=execution_id,
                task_id=task_id,
                input={"number": number},
                source=Source(kind="cli"),
                wait_seconds=wait_seconds,
            )
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._see_through(link, body, cancels=cancels)
            except TimeoutError:
                self.told.complaints.append(f"{execution_id} ({task_id}) did not end in {PATIENCE_SECONDS:g} s")
            self.told.end()

    async def _see_through(self, link: "_Link", body: Submit, *, cancels: bool) -> None:
        execution_id = body.execution_id
        execution = await self._ask(link, messages.SUBMIT, body)
        self.told.accepted[execution_id] = body.task_id
        if cancels and not execution.status.terminal:
            self.told.cancelled.add(execution_id)
            cancel = CancelExecution(execution_id=execution_id, reason="chaos", wait_seconds=_WAIT_SECONDS)
            execution = await self._ask(link, messages.CANCEL_EXECUTION, cancel)
        while not execution.status.terminal:
            wait = GetExecution(execution_id=execution_id, wait_seconds=_WAIT_SECONDS)
            execution = await self._ask(link, messages.GET_EXECUTION, wait)
        self.told.ends[execution_id] = execution.status.value

    async def _ask(self, link: "_Link", procedure: Any, body: Any) -> Execution:
        """Ask until there is an answer; refusals that say nothing of passing weakness are complaints."""
        while True:
            try:
                client = await link.client()
                return await client.call(procedure, body, timeout_seconds=_WAIT_SECONDS + 5)
            except (IpcError, RatchetError, OSError) as error:
                self._note(error, body)
                await link.lost(error)
            await asyncio.sleep(_PAUSE_SECONDS)

    def _note(self, error: Exception, body: Any) -> None:
        code = str(getattr(error, "code", type(error).__name__))
        self.told.asked_again[code] += 1
        if isinstance(error, RatchetError) and not (error.retryable or code in _PASSING):
            self.told.complaints.append(f"{body.execution_id}: {code}: {error.message}")

    # --- MCP over HTTP ----------------------------------------------------------------------------------------------

    async def _agent(self) -> None:
        agent = _Agent(self._project)
        try:
            while (work := await self._next()) is not None:
                await self._through_mcp(agent, *work)
                self.told.end()
        finally:
            await agent.close()

    async def _through_mcp(self, agent: "_Agent", number: int, task_id: str) -> None:
        key = f"chaos-{self._seed}-{number}"
        call: Json = {"task_id": task_id, "input": {"number": number}, "idempotency_key": key, "wait_seconds": 10}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = await self._tool(agent, "ratchet_execute_task", call)
                execution_id = str(answer["execution_id"])
                self.told.accepted[execution_id] = self.told.tried[execution_id] = task_id
                self.told.keys.setdefault(key, set()).add(execution_id)
                while answer["status"] not in ("completed", "failed", "cancelled"):
                    look = {"execution_id": execution_id, "wait_seconds": 10}
                    answer = await self._tool(agent, "ratchet_get_execution_status", look)
                self.told.ends[execution_id] = str(answer["status"])
        except TimeoutError:
            self.told.complaints.append(f"{key} ({task_id}) did not end in {PATIENCE_SECONDS:g} s")

    async def _tool(self, agent: "_Agent", tool: str, arguments: Json) -> Json:
        while True:
            try:
                answer = await agent.call(tool, arguments)
            except _CONNECTION_ERRORS as error:
                self.told.asked_again[f"mcp {type(error).__name__}"] += 1
                await agent.close()
            else:
                if "status" in answer and answer.get("execution_id"):
                    return answer
                error = answer.get("error", answer)
                self.told.asked_again[f"mcp {error.get('type')}"] += 1
                if not error.get("retryable"):
                    self.told.complaints.append(f"{arguments}: {error}")
                    raise TimeoutError
            await asyncio.sleep(_PAUSE_SECONDS)

    # --- the command line -------------------------------------------------------------------------------------------

    async def _commands(self) -> None:
        for part in range(1, self._executions // _EXECUTIONS_PER_COMMAND + 1):
            await self.told.until((part - 1) * _EXECUTIONS_PER_COMMAND)
            if (work := await self._next()) is None:
                return
            await self._command(*work)
            self.told.end()

    async def _command(self, number: int, task_id: str) -> None:
        key = f"chaos-{self._seed}-{number}"
        command = [sys.executable, "-P", "-m", "ratchet", "run", task_id, f"--config={self._project.config_path}"]
        options = ["--json", f"--input={json.dumps({'number': number})}", f"--idempotency-key={key}"]
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    if await self._ran([*command, *options], key, task_id):
                        return
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            self.told.complaints.append(f"`ratchet run {task_id}` ({key}) did not end in {PATIENCE_SECONDS:g} s")

    async def _ran(self, command: list[str], key: str, task_id: str) -> bool:
        """Whether the command came to an end of the execution, good or bad."""
        pipe = asyncio.subprocess.PIPE
        environ, folder = self._project.environ, self._project.folder
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environ, cwd=folder)
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                out, err = await process.communicate()
        except TimeoutError:
            process.kill()
            self.told.complaints.append(f"`ratchet run` ({key}) did not end in {_COMMAND_SECONDS:g} s")
            return True
        with suppress(ValueError):
            answer: Json = json.loads(out)
            if "execution_id" in answer:
                execution_id = str(answer["execution_id"])
                self.told.accepted[execution_id] = self.told.tried[execution_id] = task_id
                self.told.keys.setdefault(key, set()).add(execution_id)
                if answer.get("status") in ("completed", "failed", "cancelled"):
                    self.told.ends[execution_id] = str(answer["status"])
                    return True
        self.told.asked_again[f"cli exit {process.returncode}"] += 1
        if process.returncode not in (1, 3, 4) or b"Traceback" in err:
            self.told.complaints.append(f"`ratchet run` ended with {process.returncode}: {err[-2000:].decode()}")
        return False


# What says "not now" in another word.
_PASSING: Final = {"not_running", "draining", "unavailable", "store_unavailable", "queue_full"}
_CONNECTION_ERRORS: Final = (
    MCPError,
    httpx2.HTTPError,
    OSError,
    ExceptionGroup,
    AssertionError,  # of the harness: no supervisor runs, or it serves no HTTP yet
)


class _Link:
    """A connection for several callers; made anew after the supervisor went."""

    def __init__(self, project: RunningProject) -> None:
        self._project = project
        self._stack: AsyncExitStack | None = None
        self._client: Client | None = None
        self._lock = asyncio.Lock()

    async def client(self) -> Client:
        async with self._lock:
            if self._client is None:
                stack = AsyncExitStack()
                self._client = await stack.enter_async_context(connect(self._project.project))
                self._stack = stack
            return self._client

    async def lost(self, error: Exception) -> None:
        if getattr(error, "code", "") == "not_running":
            await self.close()

    async def close(self) -> None:
        async with self._lock:
            stack, self._stack, self._client = self._stack, None, None
            if stack is not None:
                await stack.aclose()


class _Agent:
    """An MCP session over HTTP; made anew after the front went."""

    def __init__(self, project: RunningProject) -> None:
        self._project = project
        self._stack: AsyncExitStack | None = None
        self._client: McpClient | None = None

    async def call(self, tool: str, arguments: Json) -> Json:
        if self._client is None:
            url = await asyncio.to_thread(lambda: self._project.url)
            stack = AsyncExitStack()
            self._client = await stack.enter_async_context(McpClient(url))
            self._stack = stack
        async with asyncio.timeout(30):
            result = await self._client.call_tool(tool, arguments)
        return dict(result.structured_content or {})

    async def close(self) -> None:
        stack, self._stack, self._client = self._stack, None, None
        if stack is not None:
            with suppress(*_CONNECTION_ERRORS):
                await stack.aclose()
