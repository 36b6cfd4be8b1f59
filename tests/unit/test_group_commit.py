"""Group commit: who shares a transaction with whom, and what becomes of it when something fails."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ratchet.errors import StoreError
from ratchet.stores.connection import Connection, writer
from ratchet.stores.group_commit import BATCH_ROWS_MAX, GroupCommit, Statement, Write

INSERT = "INSERT INTO notes VALUES (?, ?)"
SCHEMA = "PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS notes (number INTEGER PRIMARY KEY, text TEXT) STRICT"
SOON = 20.0  # bound on waits for what is to happen at once


@dataclass
class Opened:
    commits: GroupCommit
    connection: Connection

    async def put(self, number: int, text: object = "x", *, patient: bool = False) -> list[int]:
        statement = Statement(INSERT, [(number, text)])  # pyright: ignore[reportArgumentType]
        return await self.commits.write(Write([statement], patient=patient))

    async def numbers(self) -> list[int]:
        rows = await self.connection.run(lambda raw: raw.execute("SELECT number FROM notes ORDER BY 1").fetchall())
        return [row[0] for row in rows]


@asynccontextmanager
async def opened(path: Path, *, pending_max: int = 10_000) -> AsyncGenerator[Opened]:
    async with writer(path) as connection:
        await connection.run(lambda raw: raw.executescript(SCHEMA))
        async with GroupCommit(connection, path, pending_max=pending_max) as commits:
            yield Opened(commits, connection)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Opened]:
    async with opened(tmp_path / "notes.db") as store:
        yield store


async def test_writes_that_wait_together_share_a_commit(store: Opened):
    await asyncio.gather(*(store.put(number) for number in range(1_000)))

    assert await store.numbers() == [*range(1_000)]
    assert store.commits.commits <= 3


async def test_a_patient_write_shares_the_commit_of_the_next_that_is_not(
    store: Opened, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ratchet.stores.group_commit.PATIENCE_SECONDS", 1_000)
    patient = [asyncio.ensure_future(store.put(number, patient=True)) for number in range(3)]
    assert await store.numbers() == []

    await store.put(3)

    assert await asyncio.gather(*patient) == [[1]] * 3
    assert store.commits.commits == 1


async def test_a_patient_write_is_committed_though_nobody_else_comes(store: Opened):
    async with asyncio.timeout(SOON):
        assert await store.put(1, patient=True) == [1]
        assert await store.put(2, patient=True) == [1]


async def test_patient_writes_are_hurried_by_whoever_needs_them_and_by_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ratchet.stores.group_commit.PATIENCE_SECONDS", 1_000)
    async with opened(tmp_path / "notes.db") as store, asyncio.timeout(SOON):
        needed = asyncio.ensure_future(store.put(1, patient=True))
        await asyncio.sleep(0)
        store.commits.hurry()
        assert await needed == [1]
        last = asyncio.ensure_future(store.put(2, patient=True))
        await asyncio.sleep(0)

    assert await last == [1]


async def test_a_transaction_is_bounded_in_rows(store: Opened):
    rows = [(number, "x") for number in range(2 * BATCH_ROWS_MAX)]
    halves = (rows[:BATCH_ROWS_MAX], rows[BATCH_ROWS_MAX:])

    await asyncio.gather(*(store.commits.write(Write([Statement(INSERT, half)])) for half in halves))

    assert store.commits.commits == 2


async def test_a_write_learns_how_many_rows_each_statement_changed(store: Opened):
    await store.put(1)
    await store.put(2)

    changed = await store.commits.write(
        Write(
            [
                Statement("UPDATE notes SET text = 'y' WHERE number > ?", [(0,)]),
                Statement("DELETE FROM notes WHERE number = ?", [(2,), (7,)]),
                Statement("DELETE FROM notes WHERE number = ?", [(7,)]),
                Statement(INSERT, []),
            ]
        )
    )

    assert changed[:3] == [2, 1, 0]


async def test_a_guard_that_changes_nothing_stops_its_write(store: Opened):
    guard = "UPDATE notes SET text = 'y' WHERE number = ?"
    await store.put(1)

    refused = await store.commits.write(Write([Statement(guard, [(7,)]), Statement(INSERT, [(8, "x")])], guarded=True))
    passed = await store.commits.write(Write([Statement(guard, [(1,)]), Statement(INSERT, [(9, "x")])], guarded=True))

    assert (refused, passed) == ([0, 0], [1, 1])
    assert await store.numbers() == [1, 9]


async def test_a_write_that_fails_takes_nobody_along(store: Opened):
    poisons = {3: "twice", 5: b"not text", 7: "\ud800", 9: object()}
    await store.put(3)

    outcomes = await asyncio.gather(
        *(store.put(number, poisons.get(number, "x")) for number in range(10)),
        store.commits.write(Write([Statement("INSERT INTO nowhere VALUES (?)", [(1,)])])),
        store.commits.write(Write([Statement(INSERT, [(11, "half"), (2**70, "too large")])])),
        return_exceptions=True,
    )

    failed = {index for index, outcome in enumerate(outcomes) if isinstance(outcome, Exception)}
    assert failed == {3, 5, 7, 9, 10, 11}
    assert isinstance(outcomes[3], sqlite3.IntegrityError)
    assert isinstance(outcomes[10], StoreError)
    assert await store.numbers() == [0, 1, 2, 3, 4, 6, 8]


async def test_a_full_disk_is_said_so_and_survived(store: Opened):
    pages = await store.connection.run(lambda raw: raw.execute("PRAGMA page_count").fetchone()[0])
    await store.connection.run(lambda raw: raw.execute(f"PRAGMA max_page_count = {pages + 2}"))

    outcomes = await asyncio.gather(
        store.put(1, "small"), store.put(2, "x" * 1_000_000), store.put(3, "small"), return_exceptions=True
    )

    assert isinstance(outcomes[1], StoreError)
    assert "disk is full: free space and retry; nothing was recorded" in outcomes[1].message
    assert outcomes[1].details["sqlite"] == "SQLITE_FULL"
    assert await store.numbers() == [1, 3]
    await store.connection.run(lambda raw: raw.execute("PRAGMA max_page_count = 1000000"))
    await store.put(2, "x" * 1_000_000)
    assert await store.numbers() == [1, 2, 3]


FILE_TOO_LARGE = """
import asyncio, resource, signal, sys
from pathlib import Path
from ratchet.errors import StoreError
from ratchet.stores.database import Database
from ratchet.stores.group_commit import Statement
from ratchet.stores.migrations import Migration

async def main(path):
    step = Migration(1, "0001_notes.sql", "CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT) STRICT;")
    async with Database.open(path, store="notes", steps=[step]) as database:
        put = lambda number, text: database.write(Statement("INSERT INTO notes VALUES (?, ?)", [(number, text)]))
        await put(1, "before")
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        outcomes = await asyncio.gather(put(2, "x" * 1_000_000), put(3, "y"), return_exceptions=True)
        print(type(outcomes[0]).__name__, outcomes[0])
        print(await database.rows("SELECT number FROM notes WHERE number IN (1, 2)"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        await put(2, "x" * 1_000_000)
        await put(4, "after")
    async with Database.open(path, store="notes", steps=[step]) as database:
        print(await database.rows("SELECT number FROM notes WHERE number <> 3 ORDER BY 1"))
        print(await database.rows("PRAGMA integrity_check"))

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_write_that_the_kernel_refuses_is_an_error_of_the_store_and_survived(tmp_path: Path):
    script = [sys.executable, "-W", "error", "-c", FILE_TOO_LARGE, str(tmp_path / "notes.db")]

    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)

    refused, kept, after, integrity = (done.stdout or done.stderr).splitlines()
    assert refused.startswith("StoreError")
    assert "nothing was recorded" in refused
    assert kept == "[(1,)]"
    assert after == "[(1,), (2,), (4,)]"
    assert integrity == "[('ok',)]"


async def test_only_so_many_writes_may_wait(tmp_path: Path):
    async with opened(tmp_path / "notes.db", pending_max=10) as store:
        outcomes = await asyncio.gather(*(store.put(number) for number in range(30)), return_exceptions=True)

        refused = [outcome for outcome in outcomes if isinstance(outcome, StoreError)]
        assert len(refused) == 20
        assert "10 writes wait" in refused[0].message
        await store.put(99)
        assert len(await store.numbers()) == 11


async def test_closing_commits_what_is_pending_and_then_refuses(tmp_path: Path):
    async with opened(tmp_path / "notes.db") as store:
        pending = [asyncio.ensure_future(store.put(number)) for number in range(100)]
        await asyncio.sleep(0)

    assert len(await asyncio.gather(*pending)) == 100
    with pytest.raises(StoreError, match="closed"):
        await store.put(1_000)
    async with opened(tmp_path / "notes.db") as again:
        assert await again.numbers() == [*range(100)]


async def test_a_caller_that_is_cancelled_takes_nothing_back(store: Opened):
    cancelled = asyncio.ensure_future(store.put(1))
    others = [asyncio.ensure_future(store.put(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    cancelled.cancel()

    await asyncio.gather(*others)

    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert await store.numbers() == [1, 2, 3]


async def test_cancelling_whoever_closes_does_not_lose_what_was_accepted(tmp_path: Path):
    pending: list[asyncio.Future[list[int]]] = []
    closing = asyncio.Event()

    async def use() -> None:
        async with opened(tmp_path / "notes.db") as store:
            pending.extend(asyncio.ensure_future(store.put(number)) for number in range(100))
            await asyncio.sleep(0)
            closing.set()

    user = asyncio.create_task(use())
    async with asyncio.timeout(SOON):
        await closing.wait()
        user.cancel()
        with pytest.raises(asyncio.CancelledError):
            await user
        await asyncio.gather(*pending)
    async with opened(tmp_path / "notes.db") as again:
        assert await again.numbers() == [*range(100)]
