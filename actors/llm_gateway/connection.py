"""One connection to an MCP server: a task that owns it, what is submitted to that task, and when it is made anew.

The SDK's client never reconnects, and has to be left in the task that entered it; a request that cannot be delivered
may cancel whatever runs inside it. So one task of the gateway makes the connection when somebody wants it, runs what is
submitted inside it, and makes it anew, after a while that grows, when it broke.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Final, Generic, Literal, TypeVar, cast

import mcp_types as types
import structlog
from mcp import Client
from mcp.shared.exceptions import MCPError

from ratchet.errors import McpServerDownError, McpTimeoutError, RatchetError

ResultT = TypeVar("ResultT")
Connect = Callable[[AsyncExitStack], Awaitable[Client]]
State = Literal["idle", "connecting", "connected", "down"]

CONNECT_SECONDS: Final = 20.0
CALLS_MAX: Final = 32
# The first is for a server that was well until now.
BACKOFF_SECONDS: Final = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# A connection that answered so lately is taken for well.
FRESH_SECONDS: Final = 1.0

log = structlog.stdlib.get_logger("llm-gateway")


class _Job(Generic[ResultT]):
    """Work that waits for, or runs in, a connection."""

    def __init__(self, work: Callable[[Client], Awaitable[ResultT]]) -> None:
        self.work = work
        self.future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Connection:
    """The connection to one server.

    Args:
        name: The server's.
        connect: Makes the client; what it has to give back goes onto the stack.
        counters: Where breaks and refusals are counted.
    """

    def __init__(self, name: str, connect: Connect, counters: Counter[str]) -> None:
        self.name = name
        self.state: State = "idle"
        self.problem: str | None = None
        self._connect = connect
        self._counters = counters
        # Bounded by the room. A number says that the connection of that number broke.
        self._jobs: asyncio.Queue[_Job[Any] | int] = asyncio.Queue()
        self._room = asyncio.Semaphore(CALLS_MAX)
        self._answered_at = float("-inf")
        self._retry_at = float("-inf")
        self._failures = 0
        self._number = 0

    @property
    def fresh(self) -> bool:
        """Whether it answered so lately that it will very probably answer now."""
        return self.state == "connected" and asyncio.get_running_loop().time() - self._answered_at < FRESH_SECONDS

    async def submit(
        self, work: Callable[[Client], Awaitable[ResultT]], *, timeout_seconds: float, repeatable: bool
    ) -> ResultT:
        """Have `work` done inside the connection, which is made if need be.

        Args:
            work: What to do with the client; run as a task of its own.
            timeout_seconds: After this it is cancelled.
            repeatable: Whether it may be done once more where the connection broke meanwhile.

        Raises:
            McpServerDownError: There is no connection, or it broke.
            McpTimeoutError: Time is up.
        """
        try:
            async with asyncio.timeout(timeout_seconds), self._room:
                try:
                    return await self._once(work)
                except McpServerDownError as error:
                    if not repeatable or error.details["outcome"] != "unknown":
                        raise
                return await self._once(work)
        except TimeoutError:
            raise McpTimeoutError(
                f"the MCP server {self.name} did not answer within {timeout_seconds:.3g} s",
                details={"server": self.name},
            ) from None

    async def _once(self, work: Callable[[Client], Awaitable[ResultT]]) -> ResultT:
        wait_seconds = self._retry_at - asyncio.get_running_loop().time()
        if self.state == "down" and wait_seconds > 0:
            raise self._down("not_called", retry_after_seconds=round(wait_seconds, 2))
        job = _Job(work)
        self._jobs.put_nowait(job)
        return await job.future

    async def run(self) -> None:
        """Own the connection until cancelled."""
        while True:
            first = await self._jobs.get()
            if isinstance(first, int) or first.future.done():  # it broke long ago, or nobody waits any more
                continue
            self._jobs.put_nowait(first)
            self.state = "connecting"
            self._number += 1
            await self._serve_until_broken()
            self._counters["mcp_connections_lost"] += 1
            log.warning("an MCP server is down", server=self.name, problem=self.problem, failures=self._failures)
            self.state = "down"
            delay = BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS) - 1)]
            self._retry_at = asyncio.get_running_loop().time() + delay
            if delay > 0:
                self._refuse_waiting()

    async def _serve_until_broken(self) -> None:
        self._failures += 1
        self.problem = None
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(CONNECT_SECONDS):
                    client = await self._connect(stack)
                self.state, self._failures = "connected", 0
                await self._serve(client)
        except RatchetError as error:
            self.problem = error.message
        except TimeoutError:
            self.problem = f"no connection within {CONNECT_SECONDS:g} s"
        except Exception as error:  # noqa: BLE001 - whatever a transport raises, its connection is over
            self.problem = self.problem or _innermost(error)

    async def _serve(self, client: Client) -> None:
        """Run what is submitted until the connection breaks."""
        async with asyncio.TaskGroup() as running:
            while (job := await self._jobs.get()) != self._number:
                if isinstance(job, _Job) and not job.future.done():
                    task = running.create_task(self._do(job, client))
                    job.future.add_done_callback(lambda _future, task=task: task.cancel())
            raise ConnectionError(self.problem)

    async def _do(self, job: _Job[Any], client: Client) -> None:
        try:
            with self._noticing():
                result = await job.work(client)
        except asyncio.CancelledError:
            job.fail(self._down("unknown"))
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to whoever submitted the work
            job.fail(error)
        else:
            self._answered_at = asyncio.get_running_loop().time()
            if not job.future.done():
                job.future.set_result(result)

    @contextmanager
    def _noticing(self) -> Generator[None]:
        """Raise what means that the connection is over as what it is, and end it."""
        try:
            yield
        except MCPError as error:
            if not is_over(error):
                raise
            self.problem = error.message
            self._jobs.put_nowait(self._number)
            raise self._down("unknown") from None

    def _refuse_waiting(self) -> None:
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            if isinstance(job, _Job):
                job.fail(self._down("not_called"))

    def _down(self, outcome: Literal["unknown", "not_called"], **details: Any) -> McpServerDownError:
        return McpServerDownError(
            f"the MCP server {self.name} is down: {self.problem or 'the connection broke'}",
            details={"server": self.name, "outcome": outcome, **details},
        )


def is_over(error: MCPError) -> bool:
    """Whether the connection answers nothing any more: its process is dead, or the server has forgotten the session."""
    if error.code == types.CONNECTION_CLOSED:
        return True
    return error.code == types.INVALID_REQUEST and "session" in error.message.lower()


def _innermost(error: BaseException) -> str:
    found: BaseException = error
    while isinstance(found, BaseExceptionGroup):
        found = cast("BaseExceptionGroup[BaseException]", found).exceptions[0]
    return f"{type(found).__name__}: {found}" if str(found) else type(found).__name__
