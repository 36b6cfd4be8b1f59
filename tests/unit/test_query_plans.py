"""No query gets slower as a store fills up: each one finds its rows through an index."""

import sqlite3
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from ratchet.bodies.executions import ListExecutions
from ratchet.bodies.retention import ListStored, PruneRows
from ratchet.bodies.telemetry import AppendLogs, ReadLogs, ReadSpans
from ratchet.messages import ReadAudit
from ratchet.models import LEVELS, Attempt, Execution, LogRecord, Source, Status
from ratchet.policy.client import Client
from ratchet.stores.audit import AuditStore
from ratchet.stores.database import Database
from ratchet.stores.executions import ExecutionStore
from ratchet.stores.logs import LogStore
from ratchet.stores.pruning import PruningStore, StoreName
from ratchet.stores.spans import TraceStore

# What may be read from end to end: tables of one row a status, a file or at all; subqueries, which are limited; and the
# order of all executions or audit records, up to a limit.
ALLOWED = (
    *("execution_counts", "log_total", "span_total", "task_files", "(subquery"),
    *("executions USING COVERING INDEX executions_created", "audit", "audit USING INDEX audit_refused"),
)


async def scans(path: Path, store: str, statements: Sequence[str]) -> list[str]:
    """The steps of the statements' plans that go through a whole table or index."""
    async with Database.open(path, store=store) as database:
        plans = [await database.rows(f"EXPLAIN QUERY PLAN {one}", [None] * one.count("?")) for one in statements]
    steps = [row[3] for plan in plans for row in plan]
    assert any("SEARCH" in step for step in steps)
    return [step for step in steps if step.startswith("SCAN") and not _allowed(step)]


def _allowed(step: str) -> bool:
    return any(step.startswith(f"SCAN {what}") for what in ALLOWED)


def recorded(statements: list[str]) -> Any:
    """Has every new connection note the statements that it runs."""
    connect = sqlite3.connect

    def noting(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(statements.append)
        return connection

    return noting


def queries(statements: Sequence[str], *tables: str) -> list[str]:
    """The distinct statements that concern these tables, without schema and transactions."""
    verbs = ("SELECT", "UPDATE", "DELETE")
    return sorted({one for one in statements if one.startswith(verbs) and any(table in one for table in tables)})


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    noted: list[str] = []
    monkeypatch.setattr("ratchet.stores.connection.sqlite3.connect", recorded(noted))
    return noted


async def test_every_query_for_executions_uses_an_index(tmp_path: Path, statements: list[str]):
    async with Database.open(tmp_path / "x.db", store="executions") as database:
        store = ExecutionStore(database)
        source = Source(kind="cli")
        await store.insert(
            Execution(
                execution_id="e", task_id="t", version="v", status=Status.QUEUED, input={}, source=source, created_ns=1
            )
        )
        attempt = Attempt(number=1, fence=1, started_ns=1)
        await store.start_attempt("e", attempt, version="v")
        await store.requeue("e", 1, attempt)
        await store.finish("e", 1, status=Status.FAILED, ended_ns=1)
        await store.finish("e", 1, status=Status.FAILED, ended_ns=1, attempt=attempt)
        await store.set_cancel_requested("e", "r")
        await store.get("e")
        await store.find_idempotency("c", "k")
        await store.unfinished()
        await store.counts()
        for status, task, since in product((None, [Status.FAILED], list(Status)), (None, "t"), (None, 1)):
            for cursor, client in product((None, "WyJuZXdlc3QiLDEsImUiXQ"), (None, Client(name="c"))):
                wanted = {"status": status, "task_id": task, "since_ns": since, "cursor": cursor, "client": client}
                await store.list(ListExecutions.model_validate(wanted))
                await store.list(ListExecutions.model_validate({**wanted, "rerun_of": "e"}))
                await store.list(ListExecutions.model_validate({**wanted, "id_part": "e"}))
                await store.list(ListExecutions.model_validate({**wanted, "parent_id": "e"}))
                await store.list(ListExecutions.model_validate({**wanted, "root_id": "e"}))

    found = queries(statements, "executions", "attempts")
    assert len(found) > 20
    assert await scans(tmp_path / "x.db", "executions", found) == []


async def test_every_query_for_the_audit_log_uses_an_index(tmp_path: Path, statements: list[str]):
    async with Database.open(tmp_path / "x.db", store="executions") as database:
        store = AuditStore(database)
        for named, refused, since, cursor in product((None, "c"), (False, True), (None, 1), (None, "1.a")):
            await store.read(ReadAudit(named=named, refused=refused, since_ns=since, cursor=cursor))

    found = queries(statements, "FROM audit")
    assert len(found) == 16
    assert await scans(tmp_path / "x.db", "executions", found) == []


async def test_every_query_that_prunes_uses_an_index(tmp_path: Path, statements: list[str]):
    names: tuple[StoreName, ...] = ("logs", "spans")
    async with Database.open(tmp_path / "x.db", store="executions") as database:
        await ExecutionStore(database).insert(
            Execution(
                execution_id="e",
                task_id="t",
                version="v",
                status=Status.COMPLETED,
                input={},
                source=Source(kind="cli"),
                created_ns=1,
                ended_ns=1,
            )
        )
        store = PruningStore(database)
        await store.finished()
        await store.ended(["e"])
        for name in names:
            await store.mark(name, ["e"])
            await store.listed(name, 5)
            await store.done(name, ["e"])
        await store.families((0, ""), ended_before_ns=5, limit=5, held=lambda _: False)
        await store.remove(["e"])
        await store.audit_limit(5)
        await store.audit_before(5)
        await store.remove_audit(5)

    found = queries(statements, "executions", "prunings", "audit")
    assert len(found) > 10
    assert await scans(tmp_path / "x.db", "executions", found) == []


@pytest.mark.parametrize(("name", "kind"), [("logs", LogStore), ("spans", TraceStore)])
async def test_every_query_that_prunes_rows_uses_an_index(
    tmp_path: Path, statements: list[str], name: str, kind: type[LogStore | TraceStore]
):
    async with Database.open(tmp_path / "x.db", store=name) as database:
        rows = kind(database).rows
        await rows.stored(ListStored())
        for dry_run in (True, False):
            await rows.prune(PruneRows(execution_ids=["e"], dry_run=dry_run))

    assert await scans(tmp_path / "x.db", name, queries(statements, name, "log_", "span")) == []


async def test_every_query_for_logs_uses_an_index(tmp_path: Path, statements: list[str]):
    async with Database.open(tmp_path / "x.db", store="logs") as database:
        store = LogStore(database)
        record = LogRecord(sequence=1, at_ns=1, level="info", logger="l", message="m")
        await store.append(AppendLogs(execution_id="e", attempt=1, records=[record]))
        for level, search, after, tail in product((None, *LEVELS), (None, "m", "é"), (None, "1.1"), (False, True)):
            await store.read(ReadLogs(execution_id="e", level=level, search=search, after=after, tail=tail))
            await store.read(ReadLogs(execution_id="e", level=level, search=search, before="1.1", tail=tail))
        await store.total()

    found = queries(statements, "logs", "log_")
    assert len(found) > 20
    assert await scans(tmp_path / "x.db", "logs", found) == []


async def test_every_query_for_spans_uses_an_index(tmp_path: Path, statements: list[str]):
    async with Database.open(tmp_path / "x.db", store="spans") as database:
        store = TraceStore(database)
        await store.read(ReadSpans(execution_id="e"))
        await store.total()

    assert await scans(tmp_path / "x.db", "spans", queries(statements, "span")) == []
