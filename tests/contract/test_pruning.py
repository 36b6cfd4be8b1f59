"""What retention promises: whole families, nothing unfinished, logs and spans with their execution."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import time_ns
from typing import Any

import pytest

from ratchet.bodies.retention import Prune, PrunedRows, PruneRows
from ratchet.bodies.telemetry import AppendLogs, AppendSpans, ReadLogs, ReadSpans
from ratchet.config.retention import RetentionConfig
from ratchet.errors import StoreError
from ratchet.models import Attempt, AuditRecord, Execution, Lineage, LogRecord, Source, Span, Status
from ratchet.policy.requests import AppendAudit, ReadAudit
from ratchet.retention.housekeeper import Housekeeper, RowStore
from ratchet.stores.audit import AuditStore
from ratchet.stores.database import Database
from ratchet.stores.executions import ExecutionStore
from ratchet.stores.logs import LogStore
from ratchet.stores.pruning import PruningStore, StoreName
from ratchet.stores.spans import TraceStore

NOW = time_ns()
DAY = 86_400 * 10**9
MESSAGE = "a line of some length " * 10


class House:
    """The three stores in a folder, and a housekeeper over them."""

    def __init__(self, databases: dict[str, Database]) -> None:
        self.databases = databases
        self.executions = ExecutionStore(databases["executions"])
        self.audit = AuditStore(databases["executions"])
        self.logs = LogStore(databases["logs"])
        self.spans = TraceStore(databases["spans"])
        self.store = PruningStore(databases["executions"])

    async def add(
        self, name: str, age_days: float, *, root: str | None = None, ended: bool = True, records: int = 3
    ) -> None:
        """An execution that began, and ended, so long ago, with its log and two spans."""
        at_ns = NOW - int(age_days * DAY)
        lineage = root and Lineage(parent_id=root, parent_attempt=1, root_id=root, depth=1)
        source = Source(kind="cli")
        execution = Execution(
            execution_id=name,
            task_id="t",
            version="v",
            status=Status.QUEUED,
            input={},
            source=source,
            lineage=lineage or None,
            created_ns=at_ns,
            idempotency_key=name,
        )
        attempt = Attempt(number=1, fence=1, started_ns=at_ns)
        await self.executions.insert(execution)
        await self.executions.start_attempt(name, attempt, version="v")
        if ended:
            await self.executions.finish(name, 1, status=Status.COMPLETED, ended_ns=at_ns + 1, attempt=attempt)
        await self.observe(name, at_ns, records)

    async def observe(self, name: str, at_ns: int, records: int = 3) -> None:
        """Log records and spans of an execution, known or not."""
        logged = [
            LogRecord(sequence=number, at_ns=at_ns, level="info", logger="l", message=MESSAGE)
            for number in range(records)
        ]
        spans = [Span(sequence=n, span_id=f"{n:016x}", name="s", start_ns=at_ns, end_ns=at_ns) for n in range(2)]
        await self.logs.append(AppendLogs(execution_id=name, attempt=1, records=logged))
        await self.spans.append(AppendSpans(execution_id=name, attempt=1, spans=spans))

    def rows(self) -> dict[StoreName, RowStore]:
        """Logs and spans, reached here."""
        logs, spans = self.logs.rows, self.spans.rows
        return {"logs": RowStore(logs.stored, logs.prune), "spans": RowStore(spans.stored, spans.prune)}

    def keeper(
        self, config: dict[str, Any] | None = None, held: Callable[[str], bool] = lambda _: False
    ) -> Housekeeper:
        """A housekeeper with this configuration."""
        return Housekeeper(self.store, self.rows(), RetentionConfig.model_validate(config or {}), held=held, patience=0)

    async def left(self) -> dict[str, tuple[int, int]]:
        """Log records and spans of every execution that anything is left of."""
        names = {row[0] for row in await self.databases["executions"].rows("SELECT execution_id FROM executions")}
        names |= {row[0] for row in await self.databases["logs"].rows("SELECT execution_id FROM logs")}
        names |= {row[0] for row in await self.databases["spans"].rows("SELECT execution_id FROM spans")}
        return {name: await self._observed(name) for name in sorted(names)}

    async def _observed(self, name: str) -> tuple[int, int]:
        page = await self.logs.read(ReadLogs(execution_id=name, limit=1_000))
        assert sum(page.counts.values()) == len(page.records)
        return len(page.records), (await self.spans.read(ReadSpans(execution_id=name))).total


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[House]:
    async with AsyncExitStack() as stack:
        names = ("executions", "logs", "spans")
        yield House(
            {name: await stack.enter_async_context(Database.open(folder / f"{name}.db", store=name)) for name in names}
        )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    async with opened(tmp_path) as found:
        yield found


async def test_what_is_too_old_goes_with_its_log_and_spans_and_counts_stay_right(house: House) -> None:
    for name, days in (("a", 40), ("b", 31), ("c", 29), ("d", 0.1)):
        await house.add(name, days)

    went = await house.keeper().run(Prune())

    assert (went.executions, went.logs, went.spans, went.more) == (2, 6, 4, False)
    assert await house.left() == {"c": (3, 2), "d": (3, 2)}
    assert (await house.logs.total(), await house.spans.total()) == (6, 4)
    assert (await house.executions.counts())["completed"] == 2
    assert await house.executions.find_idempotency("local", "a") is None
    attempts = await house.databases["executions"].rows("SELECT execution_id FROM attempts")
    assert sorted(attempts) == [("c",), ("d",)]
    assert [one.pruned for one in house.databases.values()] == [2, 6, 4]


async def test_a_family_goes_when_all_of_it_may_and_as_a_whole(house: House) -> None:
    await house.add("young", 50)
    await house.add("young.1", 1, root="young")
    await house.add("alive", 50)
    await house.add("alive.1", 50, root="alive", ended=False)
    await house.add("old", 50)
    await house.add("old.1", 49, root="old")
    await house.add("old.2", 48, root="old")
    await house.add("orphan.1", 48, root="gone")

    await house.keeper().run(Prune())

    assert sorted(await house.left()) == ["alive", "alive.1", "young", "young.1"]


async def test_the_newest_stay_and_a_family_is_not_cut_to_make_the_number(house: House) -> None:
    await house.add("a", 5)
    await house.add("b", 4)
    await house.add("b.1", 4, root="b")
    await house.add("c", 3)

    assert (await house.keeper().run(Prune(keep=2))).executions == 1
    assert sorted(await house.left()) == ["b", "b.1", "c"]
    assert (await house.keeper().run(Prune(keep=1))).executions == 2
    assert sorted(await house.left()) == ["c"]


async def test_both_wishes_together_must_agree_and_nothing_that_is_held_or_runs_goes(house: House) -> None:
    for number in range(6):
        await house.add(f"e{number}", 10 - number)
    await house.add("runs", 20, ended=False)

    keeper = house.keeper(held=lambda one: one == "e0")
    await keeper.run(Prune(older_than_seconds=6.5 * 86_400, keep=4))

    assert sorted(await house.left()) == ["e0", "e2", "e3", "e4", "e5", "runs"]
    await keeper.run(Prune(older_than_seconds=0))
    assert sorted(await house.left()) == ["e0", "runs"]


async def test_logs_may_go_before_their_execution_which_then_says_so(house: House) -> None:
    await house.add("a", 10)
    await house.add("b", 10, ended=False)
    await house.add("c", 1)

    went = await house.keeper({"logs": {"age_seconds": "5d"}}).run(Prune())

    assert (went.executions, went.logs, went.spans) == (0, 3, 0)
    assert await house.left() == {"a": (0, 2), "b": (3, 2), "c": (3, 2)}
    kept = {name: await house.executions.get(name) for name in "abc"}
    assert {name: one.logs_pruned_ns is not None for name, one in kept.items() if one} == {
        "a": True,
        "b": False,
        "c": False,
    }
    assert all(one and one.spans_pruned_ns is None for one in kept.values())


async def test_a_crash_between_the_stores_is_made_good_by_the_next_run(house: House, tmp_path: Path) -> None:
    await house.add("a", 40)
    rows = house.rows()

    async def refuse(_request: PruneRows) -> PrunedRows:
        raise StoreError("the disk is full")

    rows["spans"] = RowStore(rows["spans"].stored, refuse)
    broken = Housekeeper(house.store, rows, RetentionConfig(), patience=0)
    with pytest.raises(StoreError):
        await broken.run(Prune())
    assert await house.executions.get("a") is None
    assert await house.left() == {"a": (0, 2)}

    assert (await house.keeper().run(Prune())).spans == 2
    assert await house.left() == {}
    assert await house.store.listed("spans", 10) == []


async def test_rows_of_executions_that_nobody_knows_stay_as_long_as_those_would(house: House) -> None:
    await house.observe("exec_lost", NOW - 40 * DAY)
    await house.observe("exec_recent", NOW - DAY)

    await house.keeper({"executions": {"age_seconds": 0}}).run(Prune())
    assert sorted(await house.left()) == ["exec_lost", "exec_recent"]
    await house.keeper().run(Prune())
    assert sorted(await house.left()) == ["exec_recent"]


async def test_a_store_that_is_too_large_shrinks_on_the_disk_oldest_first(house: House) -> None:
    for number in range(60):
        await house.add(f"e{number:02}", 10 - number / 10, records=150)
    before = house.databases["logs"].health(0).bytes

    went = await house.keeper({"logs": {"bytes_max": "1 MiB"}}).run(Prune(seconds=30))

    assert (went.executions, went.more) == (0, False)
    usage = await house.databases["logs"].usage()
    assert usage.used_bytes <= 2**20
    assert house.databases["logs"].health(0).bytes < before / 2
    left = [records for records, _ in (await house.left()).values()]
    assert left == sorted(left)  # those of which nothing is left come first
    assert 0 < left.count(0) < 60


async def test_a_look_beforehand_counts_and_removes_nothing(house: House) -> None:
    for number in range(5):
        await house.add(f"e{number}", 10 - number)
    wish = Prune(keep=2)

    would = await house.keeper().run(wish.model_copy(update={"dry_run": True}))
    assert len(await house.left()) == 5
    went = await house.keeper().run(wish)

    counts = ("executions", "logs", "spans", "audit")
    assert [getattr(would, one) for one in counts] == [getattr(went, one) for one in counts] == [3, 9, 6, 0]


async def test_the_audit_log_goes_by_age_and_number_from_its_old_end_only(house: House) -> None:
    records = [
        AuditRecord(
            record_id=f"{number:04x}",
            at_ns=NOW - (100 - number) * DAY,
            client="c",
            transport="http",
            tool="t",
            decision="allowed",
            duration_ms=1.0,
        )
        for number in range(100)
    ]
    await house.audit.append(AppendAudit(records=records))

    assert (await house.keeper({"audit": {"age_seconds": "50d"}}).run(Prune())).audit in (50, 51)
    assert (await house.keeper({"audit": {"count_max": 20}}).run(Prune())).audit in (29, 30)
    left = (await house.audit.read(ReadAudit(limit=100))).records
    assert [one.record_id for one in left] == [f"{number:04x}" for number in range(99, 79, -1)]
    assert (await house.keeper().run(Prune(keep=0))).audit == 0


async def test_a_long_log_goes_in_pieces_between_which_others_write(house: House) -> None:
    await house.add("long", 40, records=3_000)
    pruning = asyncio.create_task(house.keeper().run(Prune(seconds=30)))
    written = 0
    while not pruning.done():
        await house.observe(f"other{written}", NOW)
        written += 1

    assert (await pruning).logs == 3_000
    assert written > 1
    assert await house.logs.total() == 3 * written
