"""One SQLite connection in a thread of its own, reached in a single hop.

A trip to a thread that shares the interpreter lock with a busy event loop costs 50 to 100 µs, so whole pieces of work
go there, not single statements. Either side wakes the other through an eventfd: writing to one lets go of the lock. A
queue holds it while it wakes its reader, who takes the processor, finds the lock held, and has to be woken again.
"""

import asyncio
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

T = TypeVar("T")

BUSY_SECONDS = 5.0  # how long a statement waits for a lock, were another process to hold one


class Runs(Protocol):
    """What the stores need of a connection."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return `work(connection)`, called without anything else in between."""
        ...


class Connection:
    """A SQLite connection and its thread, for the time of an `async with`."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._asked: deque[tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]] | None] = deque()
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._open = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._wake_thread = os.eventfd(0, os.EFD_CLOEXEC)
        self._wake_loop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._loop.add_reader(self._wake_loop, self._on_done)
        opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._serve, args=(opened,), name="sqlite", daemon=True)
        self._thread.start()
        try:
            await opened
        except BaseException:
            await self._close()
            raise
        self._open = True
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._close()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return `work(connection)`, called in the connection's thread.

        Raises:
            sqlite3.ProgrammingError: It is closed.
        """
        if not self._open:
            raise sqlite3.ProgrammingError("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._asked.append((work, future))
        os.eventfd_write(self._wake_thread, 1)
        return await future

    async def _close(self) -> None:
        """Have done what was asked for, then end the thread."""
        self._open = False
        self._asked.append(None)
        os.eventfd_write(self._wake_thread, 1)
        try:
            await self._ended
        finally:
            self._thread.join()  # it has ended, unless whoever closes is being cancelled
            self._loop.remove_reader(self._wake_loop)
            self._settle()
            os.close(self._wake_loop)
            os.close(self._wake_thread)

    def _on_done(self) -> None:
        os.eventfd_read(self._wake_loop)
        self._settle()

    def _settle(self) -> None:
        """Hand every caller its result."""
        while self._done:
            future, result, error = self._done.popleft()
            if future.done():  # its caller was cancelled
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    # --- in the thread -------------------------------------------------------------------------------------------

    def _serve(self, opened: "asyncio.Future[None]") -> None:
        try:
            with closing(self._connect()) as connection:
                self._tell(opened)
                self._work(connection)
        except BaseException as error:  # noqa: BLE001 - it could not be opened: whoever opens it is told
            self._tell(opened, error=error)
        self._tell(self._ended)

    def _work(self, connection: sqlite3.Connection) -> None:
        while True:
            os.eventfd_read(self._wake_thread)
            while self._asked:
                asked = self._asked.popleft()
                if asked is None:
                    return
                work, future = asked
                try:
                    result = work(connection)
                except BaseException as error:  # noqa: BLE001 - it is the caller's, who waits in the loop
                    self._tell(future, error=error)
                else:
                    self._tell(future, result)

    def _tell(self, future: "asyncio.Future[Any]", result: Any = None, *, error: BaseException | None = None) -> None:
        self._done.append((future, result, error))
        os.eventfd_write(self._wake_loop, 1)


def writer(path: Path) -> Connection:
    """The connection that writes. Transactions are begun and ended explicitly."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -8192")  # KiB
        connection.execute("PRAGMA wal_autocheckpoint = 4000")  # pages: rarer, longer writes to the main file
        connection.execute("PRAGMA journal_size_limit = 67108864")  # a burst does not leave its WAL behind for ever
        return connection

    return Connection(connect)


def reader(path: Path) -> Connection:
    """A connection that cannot write, so that reads never wait for commits."""

    def connect() -> sqlite3.Connection:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
        # SQLite's own functions know the case of ASCII letters only.
        connection.create_function("casefold", 1, str.casefold, deterministic=True)
        return connection

    return Connection(connect)
