"""Log records on their way to a client that may read slowly, or not at all, while a call waits."""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import pytest

from actors.mcp_front.protocol.log_relay import LogRelay
from actors.mcp_front.protocol.loudness import Loudness
from ipc.errors import LostError
from ratchet.bodies.telemetry import LogPage, StoredLogRecord

PAGE = 10


def record(number: int) -> StoredLogRecord:
    return StoredLogRecord(sequence=number, at_ns=0, level="info", logger="ctx", message=str(number), attempt=1)


class Log:
    """A log that grows, read page by page like the store's."""

    def __init__(self) -> None:
        self.records: list[StoredLogRecord] = []
        self._grown = asyncio.Event()

    def add(self, count: int) -> None:
        start = len(self.records)
        self.records += [record(number) for number in range(start, start + count)]
        self._grown.set()

    async def read(self, after: str | None, wait: bool) -> LogPage:
        start = int(after or 0)
        while wait and start >= len(self.records):
            self._grown.clear()
            await self._grown.wait()
        found = self.records[start : start + PAGE]
        end = start + len(found)
        cursor = str(end) if self.records else None
        return LogPage(records=found, counts={}, next_cursor=cursor, more=end < len(self.records))


async def test_everything_that_was_logged_before_the_end_is_sent_in_order_and_once() -> None:
    log, sent = Log(), list[str]()

    async def send(one: StoredLogRecord) -> None:
        sent.append(one.message)

    async with asyncio.timeout(10):
        async with LogRelay(log.read, send):
            log.add(3)
            while len(sent) < 3:  # noqa: ASYNC110 - what is awaited is another task's progress
                await asyncio.sleep(0)
            log.add(25)
    assert sent == [str(number) for number in range(28)]


async def test_no_more_than_the_bound_is_sent() -> None:
    log, sent = Log(), list[str]()

    async def send(one: StoredLogRecord) -> None:
        sent.append(one.message)

    async with LogRelay(log.read, send, records_max=12):
        log.add(40)
    assert len(sent) == 12


async def never(_record: StoredLogRecord) -> None:
    await asyncio.Event().wait()


async def gone(_record: StoredLogRecord) -> None:
    raise anyio.ClosedResourceError


@pytest.mark.parametrize("send", [never, gone])
async def test_a_client_that_does_not_read_holds_up_no_answer(
    send: Callable[[StoredLogRecord], Awaitable[None]],
) -> None:
    log = Log()
    async with asyncio.timeout(10), LogRelay(log.read, send):
        log.add(3)


async def test_a_log_that_cannot_be_read_is_not_the_end_of_the_call() -> None:
    async def read(_after: str | None, _wait: bool) -> LogPage:
        raise LostError("the log-store is gone")

    async with asyncio.timeout(10), LogRelay(read, never):
        await asyncio.sleep(0)


async def test_a_call_that_is_given_up_ends_at_once() -> None:
    log = Log()
    log.add(3)
    with pytest.raises(RuntimeError):
        async with asyncio.timeout(10), LogRelay(log.read, never):
            raise RuntimeError


def test_sessions_that_said_nothing_for_long_are_forgotten_first() -> None:
    loudness = Loudness()
    for number in range(1_001):
        loudness.set(f"s{number}", "info")

    assert (loudness.get("s0"), loudness.get("s1"), loudness.get(None)) == (None, "info", None)
