"""One store's SQLite file: opening and migrating it, writing by group commit, reading beside the writer.

Exactly one process opens a file. What the tables mean is the business of the stores built on this.
"""

import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from ratchet.bodies.health import StoreHealth
from ratchet.errors import StoreError
from ratchet.stores.connection import Runs, reader, writer
from ratchet.stores.failures import store_error
from ratchet.stores.group_commit import PENDING_MAX, GroupCommit, Row, Statement, Write
from ratchet.stores.migrations import Migration, check_file, migrate, migrations

T = TypeVar("T")


class Database:
    """An open store file. `Database.open` is the way to get one."""

    def __init__(self, path: Path, schema_version: int, commits: GroupCommit, read_connection: Runs) -> None:
        self.path = path
        self.schema_version = schema_version
        self._commits = commits
        self._reader = read_connection

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, *, store: str, steps: Sequence[Migration] | None = None, pending_max: int = PENDING_MAX
    ) -> AsyncGenerator[Self]:
        """Open `path`, creating or migrating it; leaving the context commits what is pending and closes.

        Args:
            path: The file; its folder is created when missing.
            store: Which store it is: names the folder of migrations.
            steps: Migrations to use instead of the ones that come with Ratchet.
            pending_max: How many writes may wait for a commit.

        Raises:
            StoreError: The file is not usable: no permission, not a database, another application's, or newer.
        """
        _prepare(path)
        steps = migrations(store) if steps is None else steps

        def set_up(connection: sqlite3.Connection) -> int:
            version = migrate(connection, path, store, steps)
            connection.execute("PRAGMA journal_mode = WAL")
            return version

        async with AsyncExitStack() as stack:
            try:
                write_connection = await stack.enter_async_context(writer(path))
                version = await write_connection.run(set_up)
                read_connection = await stack.enter_async_context(reader(path))
            except sqlite3.Error as error:
                raise store_error(path, error) from error
            commits = GroupCommit(write_connection, path, pending_max=pending_max)
            yield cls(path, version, await stack.enter_async_context(commits), read_connection)

    async def write(self, *statements: Statement, guarded: bool = False) -> list[int]:
        """Run the statements as one; see `Write` and `GroupCommit.write`."""
        return await self._commits.write(Write(statements, guarded=guarded))

    async def rows(self, sql: str, parameters: Row = ()) -> list[tuple[Any, ...]]:
        """Every row that a query gives, as of the last commit.

        Raises:
            StoreError: The disk failed, or the file is damaged.
        """
        return await self._read(lambda connection: connection.execute(sql, parameters).fetchall())

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` makes of several queries, all as of the same commit. It runs in the reader's thread.

        Raises:
            StoreError: The disk failed, or the file is damaged.
        """

        def snapshot(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("ROLLBACK")  # nothing was written: this only lets the snapshot go

        return await self._read(snapshot)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._reader.run(work)
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error

    def health(self, rows: int) -> StoreHealth:
        """What to report of this file, given how many rows it holds."""
        names = (self.path, self.path.with_name(self.path.name + "-wal"))
        size = sum(name.stat().st_size for name in names if name.exists())
        return StoreHealth(path=str(self.path), bytes=size, rows=rows, schema_version=self.schema_version)


def _prepare(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)  # inputs and outputs are nobody else's to read
        check_file(path)
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(f"{path} cannot be opened ({reason}): check data_dir and its permissions") from error
