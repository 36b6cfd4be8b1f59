"""What the audit log promises: nothing twice, nothing changed, newest first, page by page."""

import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from ratchet.errors import RequestError
from ratchet.models import AuditRecord
from ratchet.policy.requests import AppendAudit, ReadAudit
from ratchet.stores.audit import AuditStore
from ratchet.stores.database import Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "executions.db"


@pytest.fixture
async def store(path: Path) -> AsyncGenerator[AuditStore]:
    async with Database.open(path, store="executions") as database:
        yield AuditStore(database)


def record(number: int, **changes: Any) -> AuditRecord:
    fields: dict[str, Any] = {
        "record_id": f"{number:04x}",
        "at_ns": number // 2,  # two in every moment
        "client": "alice" if number % 3 else "bob",
        "transport": "http",
        "tool": "execute_task",
        "decision": "refused" if number % 5 == 0 else "allowed",
        "duration_ms": 1.5,
    }
    return AuditRecord(**{**fields, **changes})


async def pages(store: AuditStore, **wanted: Any) -> list[list[AuditRecord]]:
    found: list[list[AuditRecord]] = []
    cursor: str | None = None
    while True:
        page = await store.read(ReadAudit(cursor=cursor, **wanted))
        found.append(page.records)
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_a_record_comes_back_as_it_was_appended(store: AuditStore) -> None:
    full = record(
        1,
        session_id="s",
        task_id="add",
        execution_id="exec_1",
        code="rate_limited",
        transport="stdio",
        client=None,
        duration_ms=0.125,
    )
    await store.append(AppendAudit(records=[full]))

    assert (await store.read(ReadAudit())).records == [full]


async def test_a_batch_that_is_sent_twice_is_there_once(store: AuditStore) -> None:
    batch = [record(number) for number in range(10)]
    await store.append(AppendAudit(records=batch[:6]))
    await store.append(AppendAudit(records=batch))
    await store.append(AppendAudit(records=[]))

    assert len((await store.read(ReadAudit())).records) == 10


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("named", [None, "alice", "bob", "nobody"])
@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("since_ns", [None, 7])
async def test_pages_hold_what_matches_newest_first(
    store: AuditStore, limit: int, named: str | None, refused: bool, since_ns: int | None
) -> None:
    records = [record(number) for number in range(30)]
    await store.append(AppendAudit(records=records))
    found = await pages(store, limit=limit, named=named, refused=refused, since_ns=since_ns)
    expected = [
        one
        for one in reversed(records)
        if named in (None, one.client)
        and (not refused or one.decision == "refused")
        and (since_ns is None or one.at_ns >= since_ns)
    ]

    assert [one for page in found for one in page] == expected
    assert all(len(page) <= limit for page in found)


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.", ".a", "1.g", "-1.a", "99999999999999999999.a", "1.a.b"])
async def test_a_foreign_cursor_is_refused(store: AuditStore, cursor: str) -> None:
    with pytest.raises(RequestError, match="does not continue the audit log"):
        await store.read(ReadAudit(cursor=cursor))


async def test_nothing_is_changed_or_deleted(store: AuditStore, path: Path) -> None:
    await store.append(AppendAudit(records=[record(1)]))
    connection = sqlite3.connect(path)
    try:
        for statement in ("DELETE FROM audit", "UPDATE audit SET client = 'eve'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
    finally:
        connection.close()
