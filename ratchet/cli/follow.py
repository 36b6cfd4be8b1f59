"""Follows an execution to its end: progress and log records as they come, and Ctrl-C.

Knows calls and order, not how anything looks: an `Audience` is told. The first interrupt asks the execution to stop,
the second one leaves it to itself.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from ipc.errors import IpcError
from ratchet.bodies.executions import CancelExecution, GetExecution
from ratchet.bodies.telemetry import ReadLogs, StoredLogRecord
from ratchet.cli.connection import Caller
from ratchet.errors import UnavailableError
from ratchet.messages import CANCEL_EXECUTION, GET_EXECUTION, READ_LOGS
from ratchet.models import Execution, JsonObject

# One long-poll. Calls may take longer by the slack, so that a runner that restarts meanwhile can still answer.
SLICE_SECONDS = 20.0
SLACK_SECONDS = 30.0
_LOG_PAGE = 500
_LOG_PAUSE_SECONDS = 0.5
_DRAIN_SECONDS = 5.0
_FAREWELL_SECONDS = 1.0

T = TypeVar("T")


class Audience(Protocol):
    """Who is told while an execution runs."""

    def progress(self, told: JsonObject) -> None:
        """The newest progress: `current`, `total`, `message`, `status`."""
        ...

    def records(self, records: Sequence[StoredLogRecord]) -> None:
        """Log records, in order."""
        ...

    def note(self, text: str) -> None:
        """Something to say to people."""
        ...


class LeftRunning(Exception):  # noqa: N818 - no error: somebody pressed Ctrl-C twice
    """The execution was left to itself."""


async def follow(
    client: Caller,
    execution: Execution,
    audience: Audience,
    *,
    interrupts: "asyncio.Queue[None]",
    wait_seconds: float | None,
) -> Execution:
    """Wait until the execution is terminal, or at most `wait_seconds`.

    Args:
        client: Calls go through it.
        execution: What to follow, as submitted.
        audience: Is told what happens.
        interrupts: One item a Ctrl-C.
        wait_seconds: None waits for ever.

    Returns:
        The execution as it was last seen.

    Raises:
        LeftRunning: It was interrupted twice.
        ratchet.errors.RatchetError: The supervisor has gone, for one.
        ipc.errors.IpcError: There was no answer.
    """
    logs = LogReader(client, execution.execution_id, audience)
    stopping = _stop_on_interrupt(client, execution.execution_id, audience, interrupts)
    async with _owned(_end(client, execution, audience, wait_seconds)) as ending:
        async with _owned(logs.follow()), _owned(stopping) as left:
            await asyncio.wait({ending, left}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                left.result()
                raise LeftRunning
        execution = ending.result()
    if execution.status.terminal:
        await logs.drain()
    return execution


async def _end(client: Caller, execution: Execution, audience: Audience, wait_seconds: float | None) -> Execution:
    loop = asyncio.get_running_loop()
    until = None if wait_seconds is None else loop.time() + wait_seconds
    while not execution.status.terminal:
        seconds = SLICE_SECONDS if until is None else min(SLICE_SECONDS, until - loop.time())
        if seconds <= 0:
            break
        execution = await client.call(
            GET_EXECUTION,
            GetExecution(execution_id=execution.execution_id, wait_seconds=seconds),
            timeout_seconds=seconds + SLACK_SECONDS,
            on_progress=audience.progress,
        )
    return execution


async def _stop_on_interrupt(
    client: Caller, execution_id: str, audience: Audience, interrupts: "asyncio.Queue[None]"
) -> None:
    """Ask the execution to stop at the first interrupt; return at the second."""
    await interrupts.get()
    audience.note(f"cancelling {execution_id}; Ctrl-C again leaves without waiting for its end")
    request = CancelExecution(execution_id=execution_id, reason="Ctrl-C at `ratchet run`")
    async with _owned(client.call(CANCEL_EXECUTION, request)) as asking, _owned(interrupts.get()) as second:
        await asyncio.wait({asking, second}, return_when=asyncio.FIRST_COMPLETED)
        if asking.done() and (error := asking.exception()) is not None:
            audience.note(f"it could not be cancelled: {error}")
        await second
        # Who is in a hurry leaves before the answer, not before the request.
        await asyncio.wait({asking}, timeout=_FAREWELL_SECONDS)


@asynccontextmanager
async def _owned(work: Coroutine[Any, Any, T]) -> "AsyncGenerator[asyncio.Task[T], None]":
    """A task that ends with the block. Its error is the business of whoever looks at the task."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()


class LogReader:
    """Reads the log of one execution behind a cursor, so that no record is told twice."""

    def __init__(self, client: Caller, execution_id: str, audience: Audience) -> None:
        self._client = client
        self._execution_id = execution_id
        self._audience = audience
        self._after: str | None = None

    async def follow(self) -> None:
        """Tell records as they are stored; until cancelled. A store that does not answer now is asked again."""
        while True:
            try:
                await self._read(SLICE_SECONDS)
            except (IpcError, UnavailableError):
                await asyncio.sleep(_LOG_PAUSE_SECONDS)

    async def drain(self) -> None:
        """Tell what is left, now that nothing more will come; says so where the store does not answer."""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while await self._read(0):
                    pass
        except (IpcError, UnavailableError, TimeoutError) as error:
            self._audience.note(f"the rest of the log could not be read ({error}): `ratchet logs {self._execution_id}`")

    async def _read(self, wait_seconds: float) -> bool:
        """One page; whether there is more."""
        page = await self._client.call(
            READ_LOGS,
            ReadLogs(execution_id=self._execution_id, after=self._after, limit=_LOG_PAGE, wait_seconds=wait_seconds),
            timeout_seconds=wait_seconds + SLACK_SECONDS,
        )
        self._after = page.next_cursor or self._after
        if page.records:
            self._audience.records(page.records)
        return page.more
