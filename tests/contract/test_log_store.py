"""What workers and readers rely on in a store of log records, on every driver."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from ratchet.bodies.telemetry import AppendLogs, FollowLogs, LogPage, ReadLogs
from ratchet.errors import RequestError, UnavailableError
from ratchet.models import ExceptionInfo, LogRecord
from ratchet.stores.database import Database
from ratchet.stores.logs import LogStore

WAIT = 20.0  # an upper bound for what is to happen at once


@pytest.fixture(params=["sqlite"])
async def store(tmp_path: Path) -> AsyncGenerator[LogStore]:
    async with Database.open(tmp_path / "logs.db", store="logs") as database:
        yield LogStore(database)


def record(sequence: int, message: str = "hello", level: str = "info", **fields: Any) -> LogRecord:
    at_ns = sequence * 1_000
    return LogRecord.model_validate(
        {"sequence": sequence, "at_ns": at_ns, "level": level, "logger": "ctx", "message": message, **fields}
    )


async def append(store: LogStore, *records: LogRecord, attempt: int = 1, execution_id: str = "e1") -> None:
    await store.append(AppendLogs(execution_id=execution_id, attempt=attempt, records=list(records)))


async def read(store: LogStore, **fields: Any) -> LogPage:
    return await store.read(ReadLogs(execution_id="e1", **fields))


def messages(page: LogPage) -> list[str]:
    return [one.message for one in page.records]


async def test_a_read_finds_what_was_appended_patiently_before_it(store: LogStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ratchet.stores.group_commit.PATIENCE_SECONDS", 1_000)
    patient = AppendLogs(execution_id="e1", attempt=1, records=[record(1)], patient=True)
    appending = asyncio.ensure_future(store.append(patient))
    await asyncio.sleep(0)

    assert messages(await read(store)) == ["hello"]
    await appending


async def test_a_record_comes_back_as_it_was_appended(store: LogStore):
    full = record(
        3,
        "snow ☃ \x00",
        "error",
        context={"row": 3, "nested": [None, 1.5]},
        error=ExceptionInfo(type="ValueError", message="bad", notes=["n"]),
        stack_trace="Traceback…",
    )

    await append(store, full, attempt=2)

    page = await read(store)
    assert [one.model_dump() for one in page.records] == [{**full.model_dump(), "attempt": 2}]
    assert page.counts == {"trace": 0, "debug": 0, "info": 0, "warn": 0, "error": 1}


async def test_a_batch_that_comes_twice_is_stored_once(store: LogStore):
    await append(store, record(1, "a"), record(2, "b"))
    await append(store, record(2, "sent again"), record(3, "c"))

    page = await read(store)

    assert messages(page) == ["a", "b", "c"]
    assert page.counts["info"] == 3
    assert await store.total() == 3


async def test_an_empty_batch_is_harmless(store: LogStore):
    await append(store)

    assert await read(store) == LogPage(
        records=[], counts=dict.fromkeys(("trace", "debug", "info", "warn", "error"), 0)
    )


async def test_a_log_is_ordered_by_attempt_and_sequence_whatever_came_first(store: LogStore):
    await append(store, record(1, "second attempt"), attempt=2)
    await append(store, record(11, "eleventh"), record(2, "second"), attempt=1)

    assert messages(await read(store)) == ["second", "eleventh", "second attempt"]


async def test_executions_do_not_see_each_other(store: LogStore):
    await append(store, record(1, "mine"))
    await append(store, record(1, "theirs"), execution_id="e2")

    assert messages(await read(store)) == ["mine"]


async def test_pages_follow_one_another_without_a_gap(store: LogStore):
    await append(store, *(record(number, str(number)) for number in range(10)))
    await append(store, *(record(number, f"again {number}") for number in range(5)), attempt=2)

    pages = [await read(store, limit=4)]
    while pages[-1].more:
        pages.append(await read(store, limit=4, after=pages[-1].next_cursor))

    together = [message for page in pages for message in messages(page)]
    assert together == [*map(str, range(10)), *(f"again {number}" for number in range(5))]
    assert [len(page.records) for page in pages] == [4, 4, 4, 3]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (None, ["t", "d", "i", "w", "e"]),
        ("trace", ["t", "d", "i", "w", "e"]),
        ("debug", ["d", "i", "w", "e"]),
        ("info", ["i", "w", "e"]),
        ("warn", ["w", "e"]),
        ("error", ["e"]),
    ],
)
@pytest.mark.parametrize("tail", [False, True])
async def test_a_level_means_this_and_above(store: LogStore, level: str | None, expected: list[str], tail: bool):
    for sequence, name in enumerate(["trace", "debug", "info", "warn", "error"]):
        await append(store, record(sequence, name[0], name))

    page = await read(store, level=level, tail=tail)

    assert messages(page) == expected
    assert sum(page.counts.values()) == 5, "counts are of the whole log"


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("GET", [0, 1]),
        ("get ", [0, 1]),
        ("100%", [2]),
        ("a_b", [3]),
        ("\\", [4]),
        ("ärger", [5]),
        ("ÄRGER", [5]),
        ("no", []),
    ],
)
async def test_a_search_is_for_a_substring_in_any_case(store: LogStore, search: str, expected: list[int]):
    lines = ["GET /a", "get /b", "done 100%, 100 rows", "a_b axb", "C:\\dir", "Ärger", "else"]
    await append(store, *(record(index, line) for index, line in enumerate(lines)))

    page = await read(store, search=search)

    assert [one.sequence for one in page.records] == expected


async def test_a_tail_is_the_newest_in_order_and_its_cursor_goes_on_behind(store: LogStore):
    await append(store, *(record(number, str(number)) for number in range(10)))

    page = await read(store, tail=True, limit=3)
    assert messages(page) == ["7", "8", "9"]
    assert not page.more

    await append(store, record(10, "10"))
    assert messages(await read(store, after=page.next_cursor)) == ["10"]


async def test_a_page_of_huge_lines_is_cut_short_and_goes_on(store: LogStore):
    await append(store, *(record(number, "x" * 300_000) for number in range(5)))

    first = await read(store)
    second = await read(store, after=first.next_cursor)

    assert [one.sequence for one in first.records] == [0, 1]
    assert first.more
    assert [one.sequence for one in second.records] == [2, 3]


async def test_a_reader_that_waits_gets_the_record_that_comes(store: LogStore):
    waiting = asyncio.create_task(read(store, wait_seconds=WAIT))
    await asyncio.sleep(0)

    await append(store, record(1, "here"))

    async with asyncio.timeout(WAIT / 2):
        assert messages(await waiting) == ["here"]


async def test_a_reader_that_waits_for_an_error_is_not_content_with_less(store: LogStore):
    await append(store, record(0, "before", "error"))
    cursor = (await read(store)).next_cursor
    waiting = asyncio.create_task(read(store, after=cursor, level="error", wait_seconds=WAIT))

    for number in range(1, 50):
        await append(store, record(number, "noise"))
    assert not waiting.done()
    await append(store, record(50, "that one", "error"))

    async with asyncio.timeout(WAIT / 2):
        page = await waiting
    assert messages(page) == ["that one"]
    assert page.counts["info"] == 49


async def test_an_empty_page_moves_its_cursor_past_what_does_not_match(store: LogStore):
    await append(store, record(1), record(2))

    page = await read(store, level="error")

    assert page.records == []
    assert messages(await read(store, after=page.next_cursor)) == []
    await append(store, record(3, "new", "error"))
    assert messages(await read(store, after=page.next_cursor, level="error")) == ["new"]


async def test_waiting_ends_with_what_there_is_when_the_store_says_so(store: LogStore):
    waiting = [asyncio.create_task(read(store, wait_seconds=WAIT)) for _ in range(3)]
    await asyncio.sleep(0)

    store.end_waits()

    async with asyncio.timeout(WAIT / 2):
        assert [page.records for page in await asyncio.gather(*waiting, read(store, wait_seconds=WAIT))] == [[]] * 4


async def test_waiting_is_bounded(store: LogStore):
    async with asyncio.timeout(WAIT / 2):
        assert (await read(store, wait_seconds=0.05)).records == []


@pytest.mark.parametrize("after", ["", "1", "1.", "a.b", "-1.2", "1.2.3", "9" * 30 + ".1"])
async def test_a_cursor_of_something_else_is_refused(store: LogStore, after: str):
    with pytest.raises(RequestError, match="start over"):
        await read(store, after=after)


async def test_a_limit_below_one_is_refused(store: LogStore):
    with pytest.raises(RequestError, match="limit is -1"):
        await read(store, limit=-1)


async def test_a_log_is_followed_from_a_cursor_until_the_execution_is_over(store: LogStore):
    await append(store, *(record(number, "x" * 1024) for number in range(1, 100)))
    over = asyncio.Event()
    sequences: list[int] = []
    sizes: list[int] = []
    async with asyncio.timeout(WAIT):
        async for batch in store.follow(FollowLogs(execution_id="e1", after="1.10"), over):
            sequences += [one.sequence for one in batch.records]
            sizes.append(len(batch.records))
            assert batch.cursor == f"1.{sequences[-1]}"
            if sequences[-1] == 99:
                await append(store, record(100, "live"), record(101, "live"))
            elif sequences[-1] == 101:
                await append(store, record(102, "the last"))
                over.set()
    assert sequences == list(range(11, 103))
    assert max(sizes) < 35  # batches are small, so that credit is worth something


async def test_whoever_follows_a_log_to_the_end_of_the_store_is_told_to_ask_again(store: LogStore):
    following = store.follow(FollowLogs(execution_id="e1", level="warn"), asyncio.Event())
    waiting = asyncio.create_task(anext(following))
    await append(store, record(1), record(2, "seen", "warn"))
    async with asyncio.timeout(WAIT):
        assert [one.message for one in (await waiting).records] == ["seen"]
        waiting = asyncio.create_task(anext(following))
        await asyncio.sleep(0)
        store.end_waits()
        with pytest.raises(UnavailableError):
            await waiting
