"""One store's SQLite file: opening and migrating it, writing by group commit, reading beside the writer.

Exactly one process opens a file. What the tables mean is the business of the stores built on this.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import structlog

from ratchet.bodies.health import StoreHealth
from ratchet.bodies.retention import Usage
from ratchet.errors import StoreError
from ratchet.stores import recovery, space
from ratchet.stores.connection import Runs, reader, writer
from ratchet.stores.failures import damaged, is_damaged, store_error, too_large
from ratchet.stores.group_commit import PENDING_MAX, GroupCommit, Row, Statement, Write
from ratchet.stores.migrations import Migration, migrate, migrations

T = TypeVar("T")

log = structlog.stdlib.get_logger("stores")


class Database:
    """An open store file. `Database.open` is the way to get one.

    Attributes:
        damaged: Set when SQLite finds the file damaged; who opens it next looks at all of it.
        pruned: Rows that retention has removed since.
    """

    def __init__(self, path: Path, schema_version: int, commits: GroupCommit, read_connection: Runs) -> None:
        self.path = path
        self.schema_version = schema_version
        self.damaged = asyncio.Event()
        self.pruned = 0
        self._commits = commits
        self._reader = read_connection

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, *, store: str, steps: Sequence[Migration] | None = None, pending_max: int = PENDING_MAX
    ) -> AsyncGenerator[Self]:
        """Open `path`, creating or migrating it; leaving the context commits what is pending and closes.

        A damaged file is set aside for a fresh one, or refused, as `recovery.REPLACED` says for its store.

        Args:
            path: The file; its folder is created when missing.
            store: Which store it is: names the folder of migrations.
            steps: Migrations to use instead of the ones that come with Ratchet.
            pending_max: How many writes may wait for a commit.

        Raises:
            StoreError: The file is not usable: no permission, damaged, another application's, or newer.
        """
        await asyncio.to_thread(_prepare, path, store)
        steps = migrations(store) if steps is None else steps

        def set_up(connection: sqlite3.Connection) -> int:
            space.prepare(connection, path)
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

    async def write(self, *statements: Statement, guarded: bool = False, patient: bool = False) -> list[int]:
        """Run the statements as one; see `Write` and `GroupCommit.write`."""
        try:
            return await self._commits.write(Write(statements, guarded=guarded, patient=patient))
        except StoreError as error:
            self._notice(error)
            raise

    def hurry(self) -> None:
        """Have patient writes committed now: somebody waits for one after all."""
        self._commits.hurry()

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
            told = store_error(self.path, error)
            self._notice(told)
            raise told from error
        except OverflowError as error:
            raise too_large() from error

    async def usage(self) -> Usage:
        """How full the file is."""
        return await self._read(lambda connection: space.usage(connection, self.path))

    async def give_back(self, seconds: float) -> None:
        """Give free pages back to the file system, a few at a time between commits, for at most so long.

        Raises:
            StoreError: The disk failed, or the file is damaged.
        """
        deadline = _now() + seconds
        while _now() < deadline:
            started = _now()
            if not await self._between(space.release):
                break
            await asyncio.sleep(_now() - started)  # whoever writes goes first
        await self._between(space.checkpoint)

    async def rebuild(self) -> None:
        """Have a file of an older Ratchet able to shrink, whatever its size; nobody can write meanwhile.

        Raises:
            StoreError: There is no room for a second copy, or the disk failed.
        """
        await self._between(space.rebuild)

    async def _between(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._commits.between(work)
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error

    async def until_damaged(self) -> None:
        """Wait for damage; for an actor whose next process gets a fresh file.

        Raises:
            StoreError: SQLite found the file damaged.
        """
        await self.damaged.wait()
        raise damaged(self.path, "SQLite met damage in it")

    def remarks(self) -> dict[str, list[str]]:
        """What the start-up report should say of the file: `set_aside`, where there is any such file."""
        found = self._set_aside()
        return {"set_aside": found} if found else {}

    def _set_aside(self) -> list[str]:
        return [str(path) for path in recovery.were_set_aside(self.path)]

    def _notice(self, error: StoreError) -> None:
        if is_damaged(error) and not self.damaged.is_set():
            log.error("a store is damaged", store=self.path.name, error=error.message)
            recovery.suspect(self.path)
            self.damaged.set()

    def health(self, rows: int) -> StoreHealth:
        """What to report of this file, given how many rows it holds."""
        return StoreHealth(
            path=str(self.path),
            bytes=space.file_bytes(self.path),
            rows=rows,
            schema_version=self.schema_version,
            pruned=self.pruned,
            damaged=self.damaged.is_set(),
            set_aside=self._set_aside(),
        )


def _prepare(path: Path, store: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)  # inputs and outputs are nobody else's to read
        what = recovery.damage(path)
        if what is None:
            return
        if store not in recovery.REPLACED:
            raise damaged(path, what, backups=recovery.backups(path))
        aside = recovery.set_aside(path)
        path.touch(mode=0o600)
        log.error("a damaged store was set aside; an empty one begins", store=path.name, damage=what, aside=str(aside))
    except sqlite3.Error as error:
        raise store_error(path, error) from error
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(f"{path} cannot be opened ({reason}): check data_dir and its permissions") from error


def _now() -> float:
    return asyncio.get_running_loop().time()
