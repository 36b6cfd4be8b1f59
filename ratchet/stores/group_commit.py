"""Group commit: everything that waits to be written goes into one transaction, and one fsync makes it durable.

Knows nothing of what is stored. `commit` is the part that runs in the connection's thread; `GroupCommit` the part
that collects writes in the event loop and hands each caller its own outcome.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import structlog

from ratchet.errors import StoreError
from ratchet.stores.connection import Runs
from ratchet.stores.failures import store_error, too_large

log = structlog.stdlib.get_logger("stores")

T = TypeVar("T")
SqlValue = str | int | float | bytes | None
Row = Sequence[SqlValue]

PENDING_MAX = 10_000  # writes waiting for a commit
PATIENCE_SECONDS = 0.025  # what a patient write waits for company: so little that no call is given an accept for it
BATCH_ROWS_MAX = 5_000  # rows in one transaction: bounds how long the last caller of a burst waits for the first

_OWN_FAULT = (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, TypeError)  # raised by a single statement


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement, run once a row."""

    sql: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Write:
    """Statements that take effect together or not at all.

    Attributes:
        statements: Run in this order.
        guarded: Where the first changes no row, the others are skipped.
        patient: Nobody waits for it: it may wait a little for company, so that an fsync serves many.
    """

    statements: Sequence[Statement]
    guarded: bool = False
    patient: bool = False

    @property
    def size(self) -> int:
        """How many rows it writes."""
        return sum(len(statement.rows) for statement in self.statements)


Outcome = list[int] | Exception  # rows changed, by statement; or why the write failed


def commit(connection: sqlite3.Connection, batch: Sequence[Write]) -> list[Outcome]:
    """Commit `batch` in one transaction; where that fails, each write in one of its own.

    Returns one outcome a write. A failed write has changed nothing and does not keep the others from their commit.
    """
    try:
        return [*_transaction(connection, batch)]
    except _OWN_FAULT as error:
        if len(batch) == 1:
            return [error]
    return [commit(connection, [write])[0] for write in batch]


def _transaction(connection: sqlite3.Connection, batch: Sequence[Write]) -> list[list[int]]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        outcomes = [_apply(connection, write) for write in batch]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have rolled it back already
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _apply(connection: sqlite3.Connection, write: Write) -> list[int]:
    changed: list[int] = []
    for statement in write.statements:
        if write.guarded and changed and changed[0] == 0:
            changed.append(0)
        elif len(statement.rows) == 1:
            changed.append(connection.execute(statement.sql, statement.rows[0]).rowcount)
        else:
            changed.append(connection.executemany(statement.sql, statement.rows).rowcount)
    return changed


class GroupCommit:
    """Collects writes while a commit is under way and commits them together when it is done.

    A write that finds the disk idle is committed at once, with every patient one that waits by then. Use as `async
    with`; leaving it commits what is still pending.
    """

    def __init__(self, connection: Runs, path: Path, *, pending_max: int = PENDING_MAX) -> None:
        self._connection = connection
        self._path = path
        self._pending_max = pending_max
        self._pending: deque[tuple[Write, asyncio.Future[list[int]]]] = deque()
        self._wake = asyncio.Event()
        self._patience: asyncio.TimerHandle | None = None
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.commits = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=f"group commit of {self._path.name}")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._closing = True
        self.hurry()
        assert self._task is not None
        try:
            await asyncio.shield(self._task)
        except asyncio.CancelledError:
            await self._task  # what was accepted is committed even where whoever closes the store is being cancelled
            raise

    async def write(self, write: Write) -> list[int]:
        """Return how many rows each statement changed, once that is durable.

        A caller that is cancelled meanwhile takes nothing back: the write is committed all the same.

        Raises:
            StoreError: Nothing was recorded: the disk is full or failing, the store is closed, or too many writes
                wait already.
            sqlite3.IntegrityError: The write violates a constraint; nothing was recorded.
        """
        if self._closing or self._task is None:
            raise StoreError(f"{self._path} is closed; nothing was recorded")
        if len(self._pending) >= self._pending_max:
            raise StoreError(
                f"{self._path}: {self._pending_max} writes wait for the disk already; nothing was recorded, retry later"
            )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[int]] = loop.create_future()
        self._pending.append((write, future))
        if not write.patient:
            self.hurry()
        elif self._patience is None:
            self._patience = loop.call_later(PATIENCE_SECONDS, self.hurry)
        return await future

    def hurry(self) -> None:
        """Commit what waits, patient or not, as soon as the disk is idle."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._wake.set()

    async def between(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return `work(connection)`, called in the connection's thread between two commits."""
        return await self._connection.run(work)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                try:
                    await self._commit(self._take())
                except Exception:  # every caller of the batch has its error; those who come next must be served
                    log.exception("a commit broke", store=self._path.name)
            if self._closing:
                return

    def _take(self) -> list[tuple[Write, asyncio.Future[list[int]]]]:
        batch = [self._pending.popleft()]
        rows = batch[0][0].size
        while self._pending and (rows := rows + self._pending[0][0].size) <= BATCH_ROWS_MAX:
            batch.append(self._pending.popleft())
        return batch

    async def _commit(self, batch: list[tuple[Write, asyncio.Future[list[int]]]]) -> None:
        writes = [write for write, _ in batch]
        outcomes: list[Outcome] = [StoreError(f"{self._path}: the commit was interrupted")] * len(batch)
        try:
            outcomes = await self._connection.run(lambda connection: commit(connection, writes))
            self.commits += 1
        finally:
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                with suppress(asyncio.InvalidStateError):  # its caller was cancelled and does not wait any more
                    self._settle(future, outcome)

    def _settle(self, future: asyncio.Future[list[int]], outcome: Outcome) -> None:
        if isinstance(outcome, list):
            future.set_result(outcome)
        elif isinstance(outcome, sqlite3.Error) and not isinstance(outcome, sqlite3.IntegrityError):
            future.set_exception(store_error(self._path, outcome))
        elif isinstance(outcome, OverflowError):
            future.set_exception(too_large())
        else:
            future.set_exception(outcome)
