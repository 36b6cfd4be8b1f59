"""What a task logs while a call waits for it, as notifications: for a client that asked, paced, and counted.

The records come from the log-store, which has each of them before an attempt's end is reported; so what was logged
before the end is sent before the answer, unless the client does not read.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog

from ratchet.bodies.telemetry import LogPage, StoredLogRecord
from ratchet.models import Level

log = structlog.stdlib.get_logger("mcp-front")

RECORDS_MAX = 500  # of one call; a log is read with get_execution_logs
PACE_SECONDS = 0.05
_FLUSH_SECONDS = 1.0

SendRecord = Callable[[StoredLogRecord], Awaitable[None]]
ReadPage = Callable[[str | None, bool], Awaitable[LogPage]]


@dataclass(frozen=True, slots=True)
class LogWish:
    """What a client wants to hear.

    Attributes:
        level: This level and above.
        send: Sends one record as a notification of its call.
    """

    level: Level
    send: SendRecord


class LogRelay:
    """`async with` it around a wait.

    Args:
        read: The page after a cursor; it may wait for one.
        send: Sends one record.
        records_max: How many are sent.
    """

    def __init__(self, read: ReadPage, send: SendRecord, *, records_max: int = RECORDS_MAX) -> None:
        self._read = read
        self._send = send
        self._left = records_max
        self._cursor: str | None = None
        self._over = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._pump = asyncio.create_task(self._run(), name="logs")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pump, self._pump = self._pump, None
        if pump is None:
            return
        self._over.set()
        if kind is None:
            await asyncio.wait([pump], timeout=_FLUSH_SECONDS)
        pump.cancel()
        await asyncio.wait([pump])
        if not pump.cancelled() and (failed := pump.exception()) is not None:
            log.info("no more of the log is sent", error=repr(failed))

    async def _run(self) -> None:
        """Read and send; once the wait is over, what there is and no more."""
        while self._left > 0:
            last = self._over.is_set()
            page = await self._next_page(last=last)
            if page is not None:
                await self._send_all(page)
            if last and (page is None or not page.more):
                return
            if not last:
                await self._pause()

    async def _next_page(self, *, last: bool) -> LogPage | None:
        """None where there is no news, or the wait was over before there was any."""
        reading = asyncio.ensure_future(self._read(self._cursor, not last))
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait([reading] if last else [reading, over], return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else None
        finally:
            reading.cancel()
            over.cancel()

    async def _send_all(self, page: LogPage) -> None:
        for record in page.records[: self._left]:
            await self._send(record)
            self._left -= 1
        self._cursor = page.next_cursor or self._cursor

    async def _pause(self) -> None:
        with suppress(TimeoutError):  # the call goes on
            async with asyncio.timeout(PACE_SECONDS):
                await self._over.wait()
