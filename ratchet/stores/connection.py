"""One SQLite connection in a thread of its own, reached in a single hop.

Every aiosqlite call is a trip to its thread and back (50 to 100 µs), and a thread that shares the interpreter lock
with a busy event loop pays for each. So whole pieces of work go there, not single statements.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, Self, TypeVar, cast

import aiosqlite

T = TypeVar("T")

BUSY_SECONDS = 5.0  # how long a statement waits for a lock, were another process to hold one
ITER_CHUNK = 64  # aiosqlite's cursor chunk; unused here, but its constructor asks


class Runs(Protocol):
    """What the stores need of a connection."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return `work(connection)`, called without anything else in between."""
        ...


class Connection(aiosqlite.Connection):
    """An aiosqlite connection that runs a function over the raw connection in its thread."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], prepare: Callable[[sqlite3.Connection], None]
    ) -> None:
        super().__init__(connect, ITER_CHUNK)
        self._prepare = prepare

    async def __aenter__(self) -> Self:
        try:
            await self
        except BaseException:
            # The thread has been told to stop; if it got to report that after the loop is closed, it would fail.
            self._thread.join()
            raise
        try:
            await self.run(self._prepare)
        except BaseException:
            await self.close()
            raise
        return self

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return `work(connection)`, called in the connection's thread.

        Raises:
            sqlite3.ProgrammingError: It is closed.
        """
        execute = cast("Callable[..., Awaitable[T]]", self._execute)  # pyright: ignore[reportUnknownMemberType]
        try:
            raw = self._conn
        except ValueError as error:
            raise sqlite3.ProgrammingError("the store is closed") from error
        return await execute(work, raw)


def writer(path: Path) -> Connection:
    """The connection that writes. Transactions are begun and ended explicitly."""

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)

    def prepare(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -8192")  # KiB
        connection.execute("PRAGMA wal_autocheckpoint = 4000")  # pages: rarer, longer writes to the main file
        connection.execute("PRAGMA journal_size_limit = 67108864")  # a burst does not leave its WAL behind for ever

    return Connection(connect, prepare)


def reader(path: Path) -> Connection:
    """A connection that cannot write, so that reads never wait for commits."""

    def connect() -> sqlite3.Connection:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)

    def prepare(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA query_only = ON")
        # SQLite's own functions know the case of ASCII letters only.
        connection.create_function("casefold", 1, str.casefold, deterministic=True)

    return Connection(connect, prepare)
