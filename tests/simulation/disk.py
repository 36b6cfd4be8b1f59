"""Store files that outlive the processes that open them: real SQLite in memory, without a thread.

Statements run in the middle of a delay, so that a process may die before they do, or after them and before it hears.
"""

import asyncio
import functools
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import TypeVar

from ratchet.stores.database import Database
from ratchet.stores.group_commit import GroupCommit
from ratchet.stores.migrations import migrate, migrations

T = TypeVar("T")

COMMIT_SECONDS = 0.001
SLOW_SECONDS = 1.5


@functools.cache
def _empty(store: str) -> tuple[bytes, int]:
    """A store without a row, and its schema version."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    version = migrate(connection, Path(f"{store}.db"), store, migrations(store))
    return connection.serialize(), version


class Disk:
    """Every store file.

    Attributes:
        full: Stores that cannot be written.
        slow: Stores that take long.
    """

    def __init__(self, chance: Random) -> None:
        self.full: set[str] = set()
        self.slow: set[str] = set()
        self._chance = chance
        self._files: dict[str, sqlite3.Connection] = {}

    def file(self, store: str) -> sqlite3.Connection:
        """The content of a store, as it is on disk."""
        if store not in self._files:
            connection = sqlite3.connect(":memory:", isolation_level=None)
            connection.deserialize(_empty(store)[0])
            connection.execute("PRAGMA foreign_keys = ON")
            connection.create_function("casefold", 1, str.casefold, deterministic=True)
            self._files[store] = connection
        return self._files[store]

    @asynccontextmanager
    async def open(self, store: str) -> AsyncGenerator[Database]:
        """What `Database.open` does."""
        path = Path(f"{store}.db")
        access = _Access(self, store)
        async with GroupCommit(access, path) as commits:
            yield Database(path, _empty(store)[1], commits, access)

    def delay(self, store: str) -> float:
        return self._chance.random() * (SLOW_SECONDS if store in self.slow else COMMIT_SECONDS)

    def close(self) -> None:
        for connection in self._files.values():
            connection.close()


class _Access:
    """What one process has of a store file."""

    def __init__(self, disk: Disk, store: str) -> None:
        self._disk = disk
        self._store = store

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        await asyncio.sleep(self._disk.delay(self._store))
        file = self._disk.file(self._store)
        file.execute(f"PRAGMA query_only = {int(self._store in self._disk.full)}")
        result = work(file)
        await asyncio.sleep(self._disk.delay(self._store))
        return result
