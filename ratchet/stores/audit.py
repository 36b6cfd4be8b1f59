"""The audit log: every call and refusal of every client, append-only. Its only user is the task-runner."""

import re
from typing import Any

from ratchet.errors import RequestError
from ratchet.models import AuditRecord
from ratchet.policy.requests import AppendAudit, AuditPage, ReadAudit
from ratchet.stores.bounds import take
from ratchet.stores.database import Database
from ratchet.stores.group_commit import SqlValue, Statement

LIMIT_MAX = 1_000
_FIELDS = tuple(AuditRecord.model_fields)
_COLUMNS = ", ".join(_FIELDS)
_INSERT = f"""INSERT INTO audit ({_COLUMNS}) VALUES ({", ".join("?" * len(_FIELDS))})
    ON CONFLICT (at_ns, record_id) DO NOTHING"""  # noqa: S608 - every part is a constant
_CURSOR = re.compile(r"(\d{1,18}|[1-8]\d{18})\.([0-9a-f]{1,64})", re.ASCII)  # as far as SQLite's integers go


class AuditStore:
    """Audit records in SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, request: AppendAudit) -> None:
        """Record a batch; records that are known already are ignored. Durable when it returns.

        Raises:
            StoreError: Nothing was recorded.
        """
        if request.records:
            rows = [[getattr(record, name) for name in _FIELDS] for record in request.records]
            await self._database.write(Statement(_INSERT, rows))

    async def read(self, request: ReadAudit) -> AuditPage:
        """A page of records, newest first.

        Raises:
            RequestError: The cursor or the limit is not usable.
        """
        if request.limit < 1:
            raise RequestError(f"limit is {request.limit}: give 1 to {LIMIT_MAX}")
        limit = min(request.limit, LIMIT_MAX)
        query, parameters = _query(request, limit)
        rows, more = await self._database.read(lambda connection: take(connection.execute(query, parameters), limit))
        records = [_record(row) for row in rows]
        return AuditPage(records=records, next_cursor=f"{records[-1].at_ns}.{records[-1].record_id}" if more else None)


def _query(request: ReadAudit, limit: int) -> tuple[str, list[SqlValue]]:
    where: list[str] = []
    parameters: list[SqlValue] = []
    if request.named is not None:
        where.append("client = ?")
        parameters.append(request.named)
    if request.refused:
        where.append("decision = 'refused'")  # literally the indexes' own condition, or they are not used
    if request.since_ns is not None:
        where.append("at_ns >= ?")
        parameters.append(request.since_ns)
    if request.cursor is not None:
        where.append("(at_ns, record_id) < (?, ?)")
        parameters += _position(request.cursor)
    condition = " AND ".join(where) or "1"
    return (
        f"SELECT {_COLUMNS} FROM audit WHERE {condition} "  # noqa: S608 - values are bound
        f"ORDER BY at_ns DESC, record_id DESC LIMIT {limit + 1}"
    ), parameters


def _position(cursor: str) -> tuple[int, str]:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise RequestError(f"cursor {cursor[:80]!r} does not continue the audit log: leave it out to start over")
    return int(found[1]), found[2]


def _record(row: tuple[Any, ...]) -> AuditRecord:
    return AuditRecord(**dict(zip(_FIELDS, row, strict=True)))
