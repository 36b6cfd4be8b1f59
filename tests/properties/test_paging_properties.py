"""Whatever is stored and asked for: the pages put together are the list, in order, each execution once."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.bodies.executions import ListExecutions
from ratchet.bodies.telemetry import AppendLogs, ReadLogs
from ratchet.models import LEVELS, Execution, LogRecord, Source, Status
from ratchet.policy.client import Client
from ratchet.stores.database import Database
from ratchet.stores.executions import ExecutionStore
from ratchet.stores.logs import LogStore

Use = Callable[[Database], Coroutine[Any, Any, None]]


def with_database(store: str, use: Use) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with Database.open(Path(folder) / "store.db", store=store) as database:
                await use(database)

    asyncio.run(run())


def execution(created_ns: int, status: Status, task_id: str, client: str, original: str | None) -> Execution:
    return Execution(
        execution_id="?",
        task_id=task_id,
        version="v",
        status=status,
        input={},
        metadata={} if original is None else {"original_execution": original},
        source=Source(kind="mcp", client=client),
        created_ns=created_ns,
    )


# Few moments, so that many coincide.
EXECUTIONS = st.lists(
    st.builds(
        execution,
        st.integers(0, 5),
        st.sampled_from(Status),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["alice", "bob"]),
        st.sampled_from([None, "e0", "e1"]),
    ),
    max_size=25,
)
REQUESTS = st.builds(
    ListExecutions,
    client=st.none() | st.sampled_from([Client(name="alice"), Client(name="bob"), Client(name="eve")]),
    rerun_of=st.none() | st.sampled_from(["e0", "e1"]),
    id_part=st.none() | st.sampled_from(["e", "exec_", "EXEC_1", "1", "_", "%"]),
    since_ns=st.none() | st.integers(0, 6),
    until_ns=st.none() | st.integers(0, 6),
    status=st.none() | st.lists(st.sampled_from(Status), max_size=3),
    task_id=st.none() | st.sampled_from(["a", "b", "c"]),
    limit=st.integers(1, 7),
    sort=st.sampled_from(["newest", "oldest"]),
)


def expected_list(executions: list[Execution], request: ListExecutions) -> list[str]:
    fitting = [
        one
        for one in executions
        if (request.since_ns is None or one.created_ns >= request.since_ns)
        and (request.until_ns is None or one.created_ns < request.until_ns)
        and (not request.status or one.status in request.status)
        and (request.task_id is None or one.task_id == request.task_id)
        and (request.client is None or one.source.client == request.client.name)
        and (request.rerun_of is None or one.metadata.get("original_execution") == request.rerun_of)
        and (request.id_part is None or _has(one.execution_id, request.id_part.lower()))
    ]
    fitting.sort(key=lambda one: (one.created_ns, one.execution_id), reverse=request.sort == "newest")
    return [one.execution_id for one in fitting]


def _has(execution_id: str, part: str) -> bool:
    return execution_id.startswith((part, f"exec_{part}")) or execution_id.endswith(part)


@settings(max_examples=60, deadline=None)
@given(EXECUTIONS, st.lists(REQUESTS, min_size=1, max_size=5))
def test_pages_of_executions_put_together_are_the_whole_list(drawn: list[Execution], requests: list[ListExecutions]):
    ids = [f"{'exec_' if index % 2 else 'e'}{index}" for index in range(len(drawn))]
    executions = [one.model_copy(update={"execution_id": name}) for name, one in zip(ids, drawn, strict=True)]

    async def use(database: Database) -> None:
        store = ExecutionStore(database)
        await asyncio.gather(*(store.insert(one) for one in executions))
        for request in requests:
            seen: list[str] = []
            page = await store.list(request)
            seen += [one.execution_id for one in page.executions]
            while page.next_cursor is not None:
                assert len(page.executions) == request.limit
                page = await store.list(request.model_copy(update={"cursor": page.next_cursor}))
                assert page.executions, "a cursor promises more"
                seen += [one.execution_id for one in page.executions]
            assert seen == expected_list(executions, request)

    with_database("executions", use)


RECORDS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 12), st.sampled_from(LEVELS), st.sampled_from(["x", "ABx", "é"])),
    unique_by=lambda entry: entry[:2],
    max_size=25,
)
READS = st.builds(
    ReadLogs,
    execution_id=st.just("e1"),
    level=st.none() | st.sampled_from(LEVELS),
    search=st.none() | st.sampled_from(["b", "É", "%"]),
    before=st.none() | st.sampled_from(["1.6", "2.0", "4.0"]),
    limit=st.integers(1, 5),
)


@settings(max_examples=60, deadline=None)
@given(RECORDS, st.lists(READS, min_size=1, max_size=4))
def test_pages_of_a_log_put_together_are_the_whole_log(
    records: list[tuple[int, int, str, str]], requests: list[ReadLogs]
):
    async def use(database: Database) -> None:
        store = LogStore(database)
        for attempt, sequence, level, message in records:
            fields = {"sequence": sequence, "at_ns": 0, "level": level, "logger": "ctx", "message": message}
            record = LogRecord.model_validate(fields)
            await store.append(AppendLogs(execution_id="e1", attempt=attempt, records=[record]))
        for request in requests:
            seen: list[tuple[int, int]] = []
            page = await store.read(request)
            seen += [(one.attempt, one.sequence) for one in page.records]
            while page.more:
                page = await store.read(request.model_copy(update={"after": page.next_cursor}))
                assert page.records, "more promises more"
                seen += [(one.attempt, one.sequence) for one in page.records]
            end = tuple(int(one) for one in (request.before or "9.0").split("."))
            assert seen == sorted(
                (attempt, sequence)
                for attempt, sequence, level, message in records
                if (attempt, sequence) < end
                and (request.level is None or LEVELS.index(level) >= LEVELS.index(request.level))  # pyright: ignore[reportArgumentType]
                and (request.search or "").casefold() in message.casefold()
            )
            assert (await store.read(request.model_copy(update={"after": page.next_cursor}))).records == []
            last = await store.read(request.model_copy(update={"tail": True}))
            assert [(one.attempt, one.sequence) for one in last.records] == seen[-request.limit :]

    with_database("logs", use)
