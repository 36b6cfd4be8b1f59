"""Finished spans. Its only user is the trace-store.

A span is identified by (execution, attempt, sequence), so a batch that comes twice is stored once. What the spans of
an execution mean together is `ratchet.trace`'s business.
"""

import sqlite3
from typing import Any

from pydantic_core import from_json, to_json

from ratchet.bodies.telemetry import AppendSpans, ReadSpans, SpanPage, StoredSpan
from ratchet.errors import RequestError
from ratchet.models import Span
from ratchet.stores.bounds import take
from ratchet.stores.database import Database
from ratchet.stores.group_commit import SqlValue, Statement
from ratchet.stores.rows import Rows, RowTable
from ratchet.stores.writing import Writing

LIMIT_MAX = 10_000
_BYTES_MAX = 4 * 1024 * 1024  # a trace is only of use whole, so a page of it may be as large as a message allows

_FIELDS = (
    *("attempt", "sequence", "span_id", "parent_id", "name", "kind", "start_ns", "end_ns", "status"),
    *("status_message", "attributes"),
)
_COLUMNS = ", ".join(_FIELDS)
_INSERT = f"""INSERT INTO spans (execution_id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING"""  # noqa: S608 - every part is a constant
_READ = f"""SELECT {_COLUMNS} FROM spans WHERE execution_id = ?
    ORDER BY start_ns, attempt, sequence LIMIT ?"""  # noqa: S608 - every part is a constant
_READ_ATTEMPT = _READ.replace("= ?\n", "= ? AND attempt = ?\n")
_COUNT = "SELECT count(*) FROM spans INDEXED BY spans_start WHERE execution_id = ?"
_COUNT_ATTEMPT = "SELECT count(*) FROM spans WHERE execution_id = ? AND attempt = ?"

_TABLE = RowTable(
    next_id="SELECT execution_id FROM spans WHERE execution_id > ? ORDER BY execution_id LIMIT 1",
    last_ns="""SELECT start_ns FROM spans INDEXED BY spans_start WHERE execution_id = ?
        ORDER BY start_ns DESC LIMIT 1""",
    count=_COUNT,
    delete="""DELETE FROM spans WHERE execution_id = ? AND (attempt, sequence) IN
        (SELECT attempt, sequence FROM spans WHERE execution_id = ? ORDER BY attempt, sequence LIMIT ?)""",
    beside=(),
    after="UPDATE span_total SET rows = rows - changes()",
)


class TraceStore:
    """Spans in SQLite.

    Attributes:
        rows: Them by execution, for pruning.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writing = Writing(database.hurry)
        self.rows = Rows(database, _TABLE)

    async def append(self, request: AppendSpans) -> None:
        """Record a batch; spans that are known already are ignored. Durable when it returns.

        Raises:
            StoreError: Nothing was recorded.
        """
        if not request.spans:
            return
        rows = [_row(request.execution_id, request.attempt, span) for span in request.spans]
        with self._writing.of(request.execution_id):
            await self._database.write(Statement(_INSERT, rows), patient=request.patient)

    async def read(self, request: ReadSpans) -> SpanPage:
        """The spans of an execution that start first, ordered by start; with those whose append came before this.

        Raises:
            RequestError: The limit is not usable.
        """
        if request.limit < 1:
            raise RequestError(f"limit is {request.limit}: give 1 to {LIMIT_MAX}")
        limit = min(request.limit, LIMIT_MAX)

        one = request.attempt is not None
        of = (request.execution_id, request.attempt) if one else (request.execution_id,)

        def work(connection: sqlite3.Connection) -> SpanPage:
            total = connection.execute(_COUNT_ATTEMPT if one else _COUNT, of).fetchone()[0]
            rows, _ = take(connection.execute(_READ_ATTEMPT if one else _READ, (*of, limit)), limit, _BYTES_MAX)
            return SpanPage(spans=[_span(row) for row in rows], total=total)

        await self._writing.settled(request.execution_id)
        return await self._database.read(work)

    async def total(self) -> int:
        """How many spans there are."""
        return (await self._database.rows("SELECT rows FROM span_total"))[0][0]


def _row(execution_id: str, attempt: int, span: Span) -> tuple[SqlValue, ...]:
    return (
        execution_id,
        attempt,
        span.sequence,
        span.span_id,
        span.parent_id,
        span.name,
        span.kind,
        span.start_ns,
        span.end_ns,
        span.status,
        span.status_message,
        to_json(span.attributes).decode(),
    )


def _span(row: tuple[Any, ...]) -> StoredSpan:
    fields = dict(zip(_FIELDS, row, strict=True))
    return StoredSpan.model_validate({**fields, "attributes": from_json(fields["attributes"])})
