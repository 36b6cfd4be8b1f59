"""Log records. Its only user is the log-store.

A record is identified by (execution, attempt, sequence), so a batch that comes twice is stored once. Positions in a
log are "attempt.sequence".
"""

import asyncio
import re
import sqlite3
from collections.abc import AsyncGenerator
from typing import Any

from pydantic_core import from_json, to_json

from ratchet.bodies.telemetry import AppendLogs, FollowLogs, LogBatch, LogPage, ReadLogs, StoredLogRecord
from ratchet.errors import RequestError, UnavailableError
from ratchet.models import LEVELS, Level, LogRecord
from ratchet.stores.arrivals import Arrivals
from ratchet.stores.bounds import PAGE_BYTES_MAX, take
from ratchet.stores.database import Database
from ratchet.stores.group_commit import SqlValue, Statement
from ratchet.stores.rows import Rows, RowTable
from ratchet.stores.writing import Writing

LIMIT_MAX = 1_000
WAIT_SECONDS_MAX = 60.0
BATCH_RECORDS_MAX = 100
BATCH_BYTES_MAX = 32 * 1024  # of a stream: several of them are within its reader's window

_COLUMNS = "attempt, sequence, at_ns, severity, logger, message, context, error, stack_trace"
_INSERT = f"""INSERT INTO logs (execution_id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING"""  # noqa: S608 - every part is a constant
_COUNTS = "SELECT severity, rows FROM log_counts WHERE execution_id = ?"
_LAST = "SELECT attempt, sequence FROM logs WHERE execution_id = ? ORDER BY attempt DESC, sequence DESC LIMIT 1"
_SEVERE = LEVELS.index("warn")  # what the partial index `logs_severe` holds
_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})")

_TABLE = RowTable(
    next_id="SELECT execution_id FROM log_counts WHERE execution_id > ? ORDER BY execution_id LIMIT 1",
    last_ns="SELECT at_ns FROM logs WHERE execution_id = ? ORDER BY attempt DESC, sequence DESC LIMIT 1",
    count="SELECT coalesce(sum(rows), 0) FROM log_counts WHERE execution_id = ?",
    delete="""DELETE FROM logs WHERE execution_id = ? AND (attempt, sequence) IN
        (SELECT attempt, sequence FROM logs WHERE execution_id = ? ORDER BY attempt, sequence LIMIT ?)""",
    beside=("DELETE FROM log_counts WHERE execution_id = ?",),
    after="UPDATE log_total SET rows = rows - changes()",
)

Position = tuple[int, int]  # (attempt, sequence)


class LogStore:
    """Log records in SQLite.

    Attributes:
        rows: Them by execution, for pruning.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._arrivals = Arrivals()
        self._writing = Writing(database.hurry)
        self.rows = Rows(database, _TABLE)

    async def append(self, request: AppendLogs) -> None:
        """Record a batch; records that are known already are ignored. Durable when it returns.

        Raises:
            StoreError: Nothing was recorded.
        """
        if not request.records:
            return
        rows = [_row(request.execution_id, request.attempt, record) for record in request.records]
        with self._writing.of(request.execution_id):
            await self._database.write(Statement(_INSERT, rows), patient=request.patient)
        self._arrivals.notify(request.execution_id)

    async def read(self, request: ReadLogs) -> LogPage:
        """A page of an execution's log, with the records whose append came before this.

        Where it is empty, wait up to `wait_seconds` for a record that fits.

        Raises:
            RequestError: The cursor or the limit is not usable.
        """
        if request.limit < 1:
            raise RequestError(f"limit is {request.limit}: give 1 to {LIMIT_MAX}")
        deadline = asyncio.get_running_loop().time() + min(request.wait_seconds, WAIT_SECONDS_MAX)
        after = None if request.after is None else _position(request.after)
        before = None if request.before is None else _position(request.before)
        await self._writing.settled(request.execution_id)
        with self._arrivals.subscribe(request.execution_id) as arrived:
            while True:
                arrived.clear()
                page = await self._page(request, after, before)
                if page.records or not await self._arrivals.wait(arrived, deadline):
                    return page
                after = None if page.next_cursor is None else _position(page.next_cursor)

    async def follow(self, request: FollowLogs, over: asyncio.Event) -> AsyncGenerator[LogBatch]:
        """The log from `request.after` on, as it is stored, until `over` is set and everything was given.

        Raises:
            RequestError: The cursor is not usable.
            UnavailableError: The store ends before.
        """
        wanted = ReadLogs(**request.model_dump(exclude={"after"}), limit=BATCH_RECORDS_MAX)
        after = None if request.after is None else _position(request.after)
        with self._arrivals.subscribe(request.execution_id) as arrived:
            while True:
                arrived.clear()
                ended = over.is_set()  # what was stored by then is found now
                await self._writing.settled(request.execution_id)
                page = await self._page(wanted, after, None, BATCH_BYTES_MAX)
                after = None if page.next_cursor is None else _position(page.next_cursor)
                if page.records:
                    assert page.next_cursor is not None
                    yield LogBatch(records=page.records, cursor=page.next_cursor)
                elif ended:
                    return
                elif not await self._arrivals.next(arrived, over):
                    raise UnavailableError("the log-store is ending: ask again after the cursor of the last batch")

    async def total(self) -> int:
        """How many records there are."""
        return (await self._database.rows("SELECT rows FROM log_total"))[0][0]

    def end_waits(self) -> None:
        """Answer every reader that waits, with what there is; from now on nobody waits."""
        self._arrivals.close()

    async def _page(
        self, request: ReadLogs, after: Position | None, before: Position | None, bytes_max: int = PAGE_BYTES_MAX
    ) -> LogPage:
        def work(connection: sqlite3.Connection) -> LogPage:
            return _read(connection, request, after, before, bytes_max)

        return await self._database.read(work)


def _read(
    connection: sqlite3.Connection,
    request: ReadLogs,
    after: Position | None,
    before: Position | None,
    bytes_max: int,
) -> LogPage:
    found = dict(connection.execute(_COUNTS, (request.execution_id,)).fetchall())
    counts = {level: found.get(severity, 0) for severity, level in enumerate(LEVELS)}
    last: Position | None = connection.execute(_LAST, (request.execution_id,)).fetchone()
    sql, parameters = _query(request, after, before)
    rows, more = take(connection.execute(sql, parameters), min(request.limit, LIMIT_MAX), bytes_max)
    records = [_record(row) for row in rows]
    if request.tail:
        records.reverse()
        more = False  # what was left out is older
    # Where nothing more matches, the next page starts behind everything that was looked at, matching or not.
    end = (records[-1].attempt, records[-1].sequence) if more else max(filter(None, (last, after)), default=None)
    return LogPage(records=records, counts=counts, next_cursor=end and f"{end[0]}.{end[1]}", more=more)


def _query(request: ReadLogs, after: Position | None, before: Position | None) -> tuple[str, list[SqlValue]]:
    severity = LEVELS.index(request.level) if request.level else 0
    where, parameters = ["execution_id = ?"], list[SqlValue]([request.execution_id])
    if severity >= _SEVERE:
        where.append(f"severity >= {_SEVERE}")  # literally the index's own condition, or it is not used
    if severity > 0 and severity != _SEVERE:
        where.append(f"severity >= {severity}")
    if request.attempt is not None:
        where.append("attempt = ?")
        parameters.append(request.attempt)
    if after is not None:
        where.append("(attempt, sequence) > (?, ?)")
        parameters += after
    if before is not None:
        where.append("(attempt, sequence) < (?, ?)")
        parameters += before
    if request.search:
        sql, needle = _containing(request.search)
        where.append(sql)
        parameters.append(needle)
    index = "INDEXED BY logs_severe" if severity >= _SEVERE else ""
    direction = "DESC" if request.tail else "ASC"
    return (
        f"SELECT {_COLUMNS} FROM logs {index} WHERE {' AND '.join(where)} "  # noqa: S608 - values are bound
        f"ORDER BY attempt {direction}, sequence {direction} LIMIT {min(request.limit, LIMIT_MAX) + 1}"
    ), parameters


def _containing(needle: str) -> tuple[str, str]:
    """A condition on the message and its parameter. LIKE is fast and folds the case of ASCII letters only."""
    if needle.isascii():
        escaped = re.sub(r"([\\%_])", r"\\\1", needle)
        return r"message LIKE ? ESCAPE '\'", f"%{escaped}%"
    return "instr(casefold(message), ?)", needle.casefold()


def _position(cursor: str) -> Position:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise RequestError(f"cursor {cursor[:80]!r} is not one that a page of a log gave: leave it out to start over")
    return int(found[1]), int(found[2])


def _row(execution_id: str, attempt: int, record: LogRecord) -> tuple[SqlValue, ...]:
    return (
        execution_id,
        attempt,
        record.sequence,
        record.at_ns,
        LEVELS.index(record.level),
        record.logger,
        record.message,
        to_json(record.context).decode(),
        record.error and record.error.model_dump_json(),
        record.stack_trace,
    )


def _record(row: tuple[Any, ...]) -> StoredLogRecord:
    attempt, sequence, at_ns, severity, logger, message, context, error, stack_trace = row
    level: Level = LEVELS[int(severity)]
    return StoredLogRecord(
        attempt=attempt,
        sequence=sequence,
        at_ns=at_ns,
        level=level,
        logger=logger,
        message=message,
        context=from_json(context),
        error=error and from_json(error),
        stack_trace=stack_trace,
    )
