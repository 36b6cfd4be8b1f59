"""What stored executions cost those that come: the same load on an empty store and on full ones.

A store is filled by copying one real execution, with its ten log lines and its spans, as often as it takes, while
nobody has it open. All of them then run at once, and the rounds are interleaved.
"""

import asyncio
import sqlite3
from contextlib import AsyncExitStack, ExitStack, closing

from benchmarks.callers import Took
from benchmarks.executions import TASKS, figures_of, linked_to, load, run_some
from benchmarks.figure import Figure
from benchmarks.processes import Folder, project, started

STORED = (10_000, 1_000_000)
_ROUNDS = 5
_SECONDS = 1.5
_WARM_UP_SECONDS = 1.0

# What names the copies, and how each differs from the one that is copied.
_DIFFERENT = {
    "execution_id": "printf('%020x', copies.number)",
    "created_ns": "created_ns - copies.number * 1000000",
}
_COPIES = "WITH RECURSIVE copies(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM copies WHERE number < ?)"
_STORES = {"executions.db": ("executions", "attempts"), "logs.db": ("logs",), "spans.db": ("spans",)}


def measure(stored: tuple[int, ...] = STORED) -> list[Figure]:
    """The figures of this part."""
    with ExitStack() as stack:
        folders = [stack.enter_context(project(TASKS, "retention:\n  interval_seconds: 3600\n")) for _ in (0, *stored)]
        for folder, count in zip(folders, (0, *stored), strict=True):
            with started(folder):
                run_some(folder, 1, "talkative")
            if count:
                fill(folder, count)
        for folder in folders:
            stack.enter_context(started(folder))
        return asyncio.run(_measure(folders, stored))


def fill(folder: Folder, count: int) -> None:
    """Have a project that is not running store so many copies of its one execution."""
    for name, tables in _STORES.items():
        with closing(sqlite3.connect(folder.path / "data" / name, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            for table in tables:
                _copy_rows(connection, table, count)
            connection.execute("COMMIT")


def _copy_rows(connection: sqlite3.Connection, table: str, count: int) -> None:
    names = [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")]
    values = [_DIFFERENT.get(name, f"{table}.{name}") for name in names]
    connection.execute(
        f"{_COPIES} INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM copies, "
        f"(SELECT * FROM {table}) AS {table}",
        (count,),
    )


async def _measure(folders: list[Folder], stored: tuple[int, ...]) -> list[Figure]:
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(linked_to(folder.config)) for folder in folders]
        took = [Took() for _ in links]
        for link in links:
            await load(link, 1, _WARM_UP_SECONDS, Took())
        for _ in range(_ROUNDS):
            for link, one in zip(links, took, strict=True):
                await load(link, 1, _SECONDS, one)
    empty, *full = took
    figures: list[Figure] = []
    for count, one in zip(stored, full, strict=True):
        figures += figures_of(f"executions with {count:,} stored, beside an empty store, 1 outstanding", one, empty)
    return figures
