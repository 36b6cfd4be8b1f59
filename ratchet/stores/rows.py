"""Removes rows of logs and spans by execution, and tells of which executions there are any.

Small transactions through the group commit, with pauses: writers never wait for more than one of them.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from ratchet.bodies.retention import ListStored, PrunedRows, PruneRows, StoredExecution, StoredExecutions
from ratchet.errors import RequestError
from ratchet.stores.database import Database
from ratchet.stores.group_commit import Statement

EXECUTIONS_MAX = 500  # of one request
CHUNK_ROWS = 500  # of one transaction
COMPACT_SECONDS_MAX = 3.0
_TOGETHER = 20  # executions whose rows may go in one transaction
_PAUSE = 1.0  # times as long as what was just done


@dataclass(frozen=True, slots=True)
class RowTable:
    """The SQL of one kind of rows.

    Attributes:
        next_id: The execution after this id.
        last_ns: When its newest row was made.
        count: How many rows it has.
        delete: Removes up to so many of its rows: (id, id, limit).
        beside: Run in the same transaction, before: (id) each.
        after: Run right after it; `changes()` is how many rows went.
    """

    next_id: str
    last_ns: str
    count: str
    delete: str
    beside: Sequence[str]
    after: str


class Rows:
    """Rows of many executions in one file."""

    def __init__(self, database: Database, table: RowTable) -> None:
        self._database = database
        self._table = table

    async def stored(self, request: ListStored) -> StoredExecutions:
        """The executions that have rows.

        Raises:
            RequestError: The limit is not usable.
        """
        if not 1 <= request.limit <= EXECUTIONS_MAX:
            raise RequestError(f"limit is {request.limit}: give 1 to {EXECUTIONS_MAX}")

        def work(connection: sqlite3.Connection) -> list[StoredExecution]:
            found: list[StoredExecution] = []
            after = request.after
            while len(found) < request.limit:
                row = connection.execute(self._table.next_id, (after,)).fetchone()
                if row is None:
                    break
                after = str(row[0])
                newest = connection.execute(self._table.last_ns, (after,)).fetchone()
                found.append(StoredExecution(execution_id=after, last_ns=newest[0] if newest else 0))
            return found

        return StoredExecutions(executions=await self._database.read(work), usage=await self._database.usage())

    async def prune(self, request: PruneRows) -> PrunedRows:
        """Remove the rows of these executions; durable when it returns.

        Raises:
            RequestError: They are too many.
            StoreError: Not all are removed; those that are stay so.
        """
        if len(request.execution_ids) > EXECUTIONS_MAX:
            raise RequestError(f"{len(request.execution_ids)} executions are too many: give up to {EXECUTIONS_MAX}")
        work = self._count if request.dry_run else self._remove
        rows = 0
        for start in range(0, len(request.execution_ids), _TOGETHER):
            few = request.execution_ids[start : start + _TOGETHER]
            began = _now()
            rows += sum(await asyncio.gather(*map(work, few)))
            await asyncio.sleep((_now() - began) * _PAUSE)
        if not request.dry_run:
            self._database.pruned += rows
        if request.compact:
            await self._database.give_back(COMPACT_SECONDS_MAX)
        return PrunedRows(rows=rows, usage=await self._database.usage())

    async def _count(self, execution_id: str) -> int:
        return int((await self._database.rows(self._table.count, (execution_id,)))[0][0])

    async def _remove(self, execution_id: str) -> int:
        table, rows = self._table, 0
        statements = [
            *(Statement(sql, [(execution_id,)]) for sql in table.beside),
            Statement(table.delete, [(execution_id, execution_id, CHUNK_ROWS)]),
            Statement(table.after, [()]),
        ]
        while True:
            started = _now()
            changed = (await self._database.write(*statements))[len(table.beside)]
            rows += changed
            if changed < CHUNK_ROWS:
                return rows
            await asyncio.sleep((_now() - started) * _PAUSE)


def _now() -> float:
    return asyncio.get_running_loop().time()
