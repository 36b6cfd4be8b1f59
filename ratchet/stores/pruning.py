"""Removes finished executions, whole families at a time, and remembers what other stores have to remove for it.

A family is an execution that a client asked for and everything that was called below it; it goes when all of it has
ended. An execution goes before its log and spans: in the same transaction they are put on a list, and they leave the
list when they are gone. So no crash leaves an execution without what belongs to it. Its only user is the task-runner.
"""

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ratchet.bodies.retention import Usage
from ratchet.stores.database import Database
from ratchet.stores.group_commit import Row, Statement

StoreName = Literal["logs", "spans"]
Position = tuple[int, str]  # (created_ns, execution_id)
START: Position = (-1, "")

_ENDED = "('completed', 'failed', 'cancelled')"
_ROOT = "json_extract(lineage, '$.root_id')"  # as the index has it
_OLDEST = f"""SELECT created_ns, execution_id, coalesce({_ROOT}, execution_id) FROM executions
    WHERE (created_ns, execution_id) > (?, ?) AND created_ns < ?
    ORDER BY created_ns, execution_id LIMIT ?"""  # noqa: S608 - every part is a constant
_FAMILY = f"""SELECT execution_id, status IN {_ENDED}, ended_ns FROM executions WHERE execution_id = ?1
    UNION ALL SELECT execution_id, status IN {_ENDED}, ended_ns FROM executions
    WHERE {_ROOT} = ?1 AND {_ROOT} IS NOT NULL"""  # noqa: S608 - as above
_FINISHED = f"SELECT coalesce(sum(rows), 0) FROM execution_counts WHERE status IN {_ENDED}"  # noqa: S608 - as above
_DELETE = f"DELETE FROM executions WHERE execution_id = ? AND status IN {_ENDED}"  # noqa: S608 - as above
_LIST = "INSERT INTO prunings (store, execution_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
_LISTED = "SELECT execution_id FROM prunings WHERE store = ? ORDER BY execution_id LIMIT ?"
_DONE = "DELETE FROM prunings WHERE store = ? AND execution_id = ?"
_STATE = f"SELECT status IN {_ENDED}, ended_ns FROM executions WHERE execution_id = ?"  # noqa: S608 - as above
_MARK: dict[StoreName, str] = {
    "logs": "UPDATE executions SET logs_pruned_ns = ? WHERE execution_id = ? AND logs_pruned_ns IS NULL",
    "spans": "UPDATE executions SET spans_pruned_ns = ? WHERE execution_id = ? AND spans_pruned_ns IS NULL",
}
_AUDIT_STEP = 1_000
_AUDIT_NEXT = "SELECT at_ns, record_id FROM audit WHERE (at_ns, record_id) < (?, ?) ORDER BY at_ns DESC, record_id DESC"
_AUDIT_ANY = "SELECT 1 FROM audit WHERE at_ns < ? LIMIT 1"
_AUDIT_OLDEST = "SELECT at_ns FROM audit WHERE at_ns < ? ORDER BY at_ns, record_id LIMIT 1 OFFSET ?"
_AUDIT_MARK = "UPDATE audit_pruned SET before_ns = max(before_ns, ?)"
_AUDIT_DELETE = "DELETE FROM audit WHERE at_ns < ?"
_LATEST = (2**63 - 1, "~")


@dataclass(frozen=True, slots=True)
class Family:
    """Executions that go together, if they go.

    Attributes:
        execution_ids: All of them.
        finished: How many have ended.
        may_go: Whether all have, long enough ago, and none is held.
    """

    execution_ids: Sequence[str]
    finished: int
    may_go: bool


@dataclass(frozen=True, slots=True)
class Found:
    """Families, oldest first; `position` is where the next search goes on, None at the end."""

    families: Sequence[Family]
    position: Position | None


class PruningStore:
    """What retention does to executions and the audit log, in SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def usage(self) -> Usage:
        """How full the file is."""
        return await self._database.usage()

    async def give_back(self, seconds: float) -> None:
        """Give free pages back to the file system, for at most so long."""
        await self._database.give_back(seconds)

    async def finished(self) -> int:
        """How many executions have ended."""
        return int((await self._database.rows(_FINISHED))[0][0])

    async def families(
        self, after: Position, *, ended_before_ns: int, limit: int, held: Callable[[str], bool]
    ) -> Found:
        """Families that began before a moment, oldest first.

        Args:
            after: Where an earlier search ended, or `START`.
            ended_before_ns: The moment; those may go that had ended by then, too.
            limit: How many executions are looked at; a family may have more members.
            held: Executions that must stay for now, with their families.
        """

        def work(connection: sqlite3.Connection) -> Found:
            rows = connection.execute(_OLDEST, (*after, ended_before_ns, limit)).fetchall()
            families: list[Family] = []
            for root in dict.fromkeys(str(row[2]) for row in rows):
                members = connection.execute(_FAMILY, (root,)).fetchall()
                may_go = all(ended and ended_ns < ended_before_ns for _, ended, ended_ns in members)
                finished = sum(bool(ended) for _, ended, _ in members)
                families.append(Family([str(member[0]) for member in members], finished, may_go))
            position = (int(rows[-1][0]), str(rows[-1][1])) if len(rows) == limit else None
            return Found(families, position)

        found = await self._database.read(work)
        kept = (one if not any(map(held, one.execution_ids)) else replace(one, may_go=False) for one in found.families)
        return Found(list(kept), found.position)

    async def remove(self, execution_ids: Collection[str]) -> int:
        """Remove finished executions, and list their logs and spans for removal. Returns how many there were."""
        listed: list[Row] = [(store, one) for one in execution_ids for store in _MARK]
        delete = Statement(_DELETE, [(one,) for one in execution_ids])
        removed = (await self._database.write(Statement(_LIST, listed), delete))[1]
        self._database.pruned += removed
        return removed

    async def mark(self, store: StoreName, execution_ids: Iterable[str]) -> None:
        """Note with executions that stay that their log, or their spans, are pruned, and list these for removal."""
        ids, now = list(execution_ids), time.time_ns()
        marked = Statement(_MARK[store], [(now, one) for one in ids])
        await self._database.write(marked, Statement(_LIST, [(store, one) for one in ids]))

    async def listed(self, store: StoreName, limit: int) -> list[str]:
        """Executions of which this store still has to remove everything."""
        return [str(row[0]) for row in await self._database.rows(_LISTED, (store, limit))]

    async def done(self, store: StoreName, execution_ids: Iterable[str]) -> None:
        """This store has removed everything of these."""
        await self._database.write(Statement(_DONE, [(store, one) for one in execution_ids]))

    async def ended(self, execution_ids: Iterable[str]) -> dict[str, int | None]:
        """Of those that exist: when they ended; None where they have not."""
        ids = list(execution_ids)

        def work(connection: sqlite3.Connection) -> dict[str, int | None]:
            rows = ((one, connection.execute(_STATE, (one,)).fetchone()) for one in ids)
            return {one: int(row[1]) if row[0] else None for one, row in rows if row is not None}

        return await self._database.read(work)

    async def audit_limit(self, count_max: int) -> int:
        """The moment before which the audit log has more records than `count_max` after it; 0: it has no more."""
        position, left = _LATEST, count_max
        while left > 0:
            step = min(_AUDIT_STEP, left)
            rows = await self._database.rows(f"{_AUDIT_NEXT} LIMIT 1 OFFSET {step - 1}", position)
            if not rows:
                return 0
            position, left = (int(rows[0][0]), str(rows[0][1])), left - step
        return position[0]

    async def remove_audit(self, before_ns: int) -> tuple[int, bool]:
        """Remove some of the audit records that are older. Returns how many went, and whether more are left."""
        if not await self._database.rows(_AUDIT_ANY, (before_ns,)):
            return 0, False  # an idle look writes nothing
        rows = await self._database.rows(_AUDIT_OLDEST, (before_ns, _AUDIT_STEP))
        until_ns = int(rows[0][0]) + 1 if rows else before_ns
        mark, delete = Statement(_AUDIT_MARK, [(until_ns,)]), Statement(_AUDIT_DELETE, [(until_ns,)])
        removed = (await self._database.write(mark, delete))[1]
        self._database.pruned += removed
        return removed, bool(rows)

    async def audit_before(self, before_ns: int) -> int:
        """How many audit records are older, for a look beforehand."""
        return int((await self._database.rows("SELECT count(*) FROM audit WHERE at_ns < ?", (before_ns,)))[0][0])
