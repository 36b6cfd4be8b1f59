"""Questions to the caller, beside the executions that ask them: in the same file, and in the same transactions."""

import time
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from ratchet.bodies.asks import AskRecord, AskState, Said
from ratchet.stores.database import Database
from ratchet.stores.group_commit import Statement

_COLUMNS = "key, execution_id, fence, kind, request, state, asked_ns, expires_ns, closed_ns, answer, reason"
_ALL = f"SELECT {_COLUMNS} FROM asks"  # noqa: S608 - every part is a constant
_JSON = ("request", "answer")
_SUSPEND = """UPDATE executions SET status = 'input_required'
    WHERE execution_id = ?1 AND fence = ?2 AND status IN ('running', 'input_required')"""
_INSERT = f"INSERT INTO asks ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - as above
_SETTLE = """UPDATE asks SET state = ?2, closed_ns = ?3, answer = ?4, reason = ?5 WHERE key = ?1 AND state = 'open'"""
_RESUME = """UPDATE executions SET status = 'running' WHERE execution_id = ?1 AND status = 'input_required'
    AND NOT EXISTS (SELECT 1 FROM asks WHERE asks.execution_id = ?1 AND asks.state = 'open')"""
_END = """UPDATE asks SET state = 'ended', closed_ns = ?2, reason = ?3 WHERE execution_id = ?1 AND state = 'open'"""


class AskStore:
    """The table `asks`; its only user is the task-runner."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, ask: AskRecord) -> bool:
        """Record a question, and that its execution requires input. False: its attempt is not the current one."""
        row = (
            *(ask.key, ask.execution_id, ask.fence, ask.kind, ask.request.model_dump_json(), ask.state),
            *(ask.asked_ns, ask.expires_ns, None, None, None),
        )
        suspend = Statement(_SUSPEND, [(ask.execution_id, ask.fence)])
        return (await self._database.write(suspend, Statement(_INSERT, [row]), guarded=True))[0] == 1

    async def settle(
        self, ask: AskRecord, state: AskState, *, said: Said | None = None, reason: str | None = None
    ) -> bool:
        """Close a question, exactly once; its execution runs again where it was the last. False: it was closed."""
        row = (ask.key, state, time.time_ns(), said and said.model_dump_json(), reason)
        resume = Statement(_RESUME, [(ask.execution_id,)])
        return (await self._database.write(Statement(_SETTLE, [row]), resume, guarded=True))[0] == 1

    async def get(self, key: str) -> AskRecord | None:
        """The question of this key."""
        rows = await self._database.rows(f"{_ALL} WHERE key = ?", (key,))
        return _record(rows[0]) if rows else None

    async def open(self) -> Sequence[AskRecord]:
        """Every question without an answer, oldest first: what a new runner takes over."""
        return [
            _record(row) for row in await self._database.rows(f"{_ALL} WHERE state = 'open' ORDER BY asked_ns, key")
        ]


def ended(execution_id: str, reason: str) -> Statement:
    """Closes what an attempt still asked when it ended; part of the transaction that records the end."""
    return Statement(_END, [(execution_id, time.time_ns(), reason)])


def _record(row: tuple[Any, ...]) -> AskRecord:
    fields = dict(zip(_COLUMNS.split(", "), row, strict=True))
    for name in _JSON:
        fields[name] = fields[name] and from_json(fields[name])
    return AskRecord.model_validate(fields)
