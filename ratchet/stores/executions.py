"""Executions, their attempts and the catalogue of task files. Its only user is the task-runner.

Every change is one durable commit, and every change of an execution that runs is conditional on the fence of its
attempt: a report of an attempt that is no longer current changes nothing, and an end is recorded exactly once. A
fence only ever grows; it survives the end of its attempt, so that the next one must bring a larger.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from ratchet.bodies.attempts import FileDescription
from ratchet.bodies.executions import ExecutionPage, ListExecutions
from ratchet.errors import IdempotencyConflictError
from ratchet.models import Attempt, Execution, Failure, Progress, Status
from ratchet.stores import asks
from ratchet.stores.bounds import take
from ratchet.stores.database import Database
from ratchet.stores.group_commit import SqlValue, Statement
from ratchet.stores.paging import encode_cursor, page_query

_ATTEMPTS = TypeAdapter(list[Attempt])

# The columns that are fields of the model, stored as they are and stored as JSON.
_PLAIN = (
    *("execution_id", "task_id", "version", "status", "trace", "priority", "idempotent", "idempotency_key"),
    *("created_ns", "started_ns", "ended_ns", "cancel_requested", "logs_pruned_ns", "spans_pruned_ns"),
    *("due_ns", "deadline_ns"),
)
_JSON = ("input", "failure", "progress", "metadata", "source", "lineage", "retry", "output")
_ATTEMPTS_OF = """(SELECT group_concat(record) FROM
    (SELECT record FROM attempts AS a WHERE a.execution_id = executions.execution_id ORDER BY number)) AS attempts"""
_COLUMNS = ", ".join((*_PLAIN, _ATTEMPTS_OF, *_JSON))
_ONE = f"SELECT {_COLUMNS} FROM executions"  # noqa: S608 - every part is a constant
_LISTED = _COLUMNS.removesuffix("output") + "NULL"

_STORED = (*_PLAIN, *_JSON, "fence", "client")
_INSERT = f"""INSERT INTO executions ({", ".join(_STORED)}) VALUES ({", ".join("?" * len(_STORED))})
    ON CONFLICT (execution_id) DO NOTHING"""  # noqa: S608 - every part is a constant
_RECORD = """INSERT INTO attempts (execution_id, number, record) VALUES (?, ?, ?)
    ON CONFLICT (execution_id, number) DO UPDATE SET record = excluded.record"""
_AMEND = "UPDATE attempts SET record = ? WHERE execution_id = ? AND number = ?"
_START = """UPDATE executions
    SET status = 'running', fence = ?2, started_ns = coalesce(started_ns, ?3), version = ?4, due_ns = NULL
    WHERE execution_id = ?1 AND status = 'queued' AND fence < ?2"""
_REQUEUE = """UPDATE executions SET status = 'queued', due_ns = ?3
    WHERE execution_id = ?1 AND fence = ?2 AND status IN ('running', 'input_required')"""
_FINISH = """UPDATE executions
    SET status = ?3, output = ?4, failure = ?5, progress = coalesce(?6, progress), ended_ns = ?7, due_ns = NULL
    WHERE execution_id = ?1 AND fence = ?2 AND status IN """
_FINISH_RUNNING = _FINISH + "('running', 'input_required')"
_FINISH_QUEUED = _FINISH + "('queued')"
_CANCEL = """UPDATE executions SET cancel_requested = ?2 WHERE execution_id = ?1 AND cancel_requested IS NULL
    AND status IN ('queued', 'running', 'input_required')"""
_SAVE_FILE = "INSERT INTO task_files (path, description) VALUES (?, ?)"


class ExecutionStore:
    """Executions in SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, execution: Execution, attempt: Attempt | None = None) -> bool:
        """Record a new execution, with its first attempt where it starts at once.

        Returns whether it was inserted: False when this id is known already, which changes nothing.

        Raises:
            IdempotencyConflictError: Another execution of this client has the same idempotency key.
            StoreError: Nothing was recorded.
        """
        statements = [Statement(_INSERT, [_insert_row(execution, attempt)])]
        if attempt is not None:
            statements.append(_record(execution.execution_id, attempt))
        try:
            changed = await self._database.write(*statements, guarded=True)
        except sqlite3.IntegrityError as error:
            raise IdempotencyConflictError(
                f"client {execution.source.client!r} used idempotency key {execution.idempotency_key!r} before"
            ) from error
        return changed[0] == 1

    async def start_attempt(self, execution_id: str, attempt: Attempt, *, version: str) -> bool:
        """Queued to running, under the attempt's fence and in this version. Returns whether it took effect."""
        start = Statement(_START, [(execution_id, attempt.fence, attempt.started_ns, version)])
        return await self._change(start, _record(execution_id, attempt))

    async def record_attempts(self, attempts: Iterable[tuple[str, Attempt]]) -> None:
        """Replace what is recorded of these attempts, each with its execution; of one that was pruned nothing is."""
        rows = [(one.model_dump_json(), execution_id, one.number) for execution_id, one in attempts]
        await self._database.write(Statement(_AMEND, rows))

    async def requeue(
        self, execution_id: str, fence: int, attempt: Attempt, *, due_ns: int | None = None, asked: str | None = None
    ) -> bool:
        """Running back to queued; `attempt` says how the try ended. Returns whether it took effect.

        It does not start again before `due_ns`. `asked` is why what it asked the caller has no answer; None: it asked
        nothing.
        """
        requeue = Statement(_REQUEUE, [(execution_id, fence, due_ns)])
        return await self._change(requeue, _record(execution_id, attempt), *_ended_asks(execution_id, asked))

    async def finish(
        self,
        execution_id: str,
        fence: int,
        *,
        status: Status,
        ended_ns: int,
        output: Any = None,
        failure: Failure | None = None,
        progress: Progress | None = None,
        attempt: Attempt | None = None,
        asked: str | None = None,
    ) -> bool:
        """Record the end, exactly once. Returns whether this call was the one.

        Args:
            execution_id: Which execution.
            fence: The fence of the attempt that ended; for a queued execution that of its last attempt, else 0.
            status: A terminal one.
            ended_ns: When it ended.
            output: Stored where `status` is completed.
            failure: Why it did not complete.
            progress: Its last word; None leaves what is recorded.
            attempt: The attempt as it ended. None ends an execution that is queued (cancelled before it ran).
            asked: Why what it asked the caller has no answer; None: it asked nothing.
        """
        assert status.terminal, status
        row = (
            execution_id,
            fence,
            status.value,
            _json(output) if status is Status.COMPLETED else None,
            failure and failure.model_dump_json(),
            progress and progress.model_dump_json(),
            ended_ns,
        )
        if attempt is None:
            return await self._change(Statement(_FINISH_QUEUED, [row]))
        finish, record = Statement(_FINISH_RUNNING, [row]), _record(execution_id, attempt)
        return await self._change(finish, record, *_ended_asks(execution_id, asked))

    async def set_cancel_requested(self, execution_id: str, reason: str) -> bool:
        """Note that somebody asked it to stop. Returns False where it has ended or was asked before."""
        return await self._change(Statement(_CANCEL, [(execution_id, reason)]))

    async def get(self, execution_id: str) -> Execution | None:
        """The execution with this id, output included."""
        return _first(await self._database.rows(f"{_ONE} WHERE execution_id = ?", (execution_id,)))

    async def find_idempotency(self, client: str, key: str) -> Execution | None:
        """The execution that this client submitted under this idempotency key."""
        return _first(await self._database.rows(f"{_ONE} WHERE client = ? AND idempotency_key = ?", (client, key)))

    async def list(self, request: ListExecutions) -> ExecutionPage:
        """A page of executions without their outputs; `since_ns` is inclusive, `until_ns` exclusive.

        Raises:
            RequestError: The cursor or the limit is not usable.
        """
        query, parameters, limit = page_query(request, _LISTED)
        rows, more = await self._database.read(lambda connection: take(connection.execute(query, parameters), limit))
        executions = [_execution(row) for row in rows]
        return ExecutionPage(
            executions=executions,
            next_cursor=encode_cursor(executions[-1], request.sort) if more else None,
        )

    async def unfinished(self) -> Sequence[Execution]:
        """Every execution that has not ended, oldest first: what a new runner takes over."""
        where = "WHERE status IN ('queued', 'running', 'input_required') ORDER BY created_ns, execution_id"
        return [_execution(row) for row in await self._database.rows(f"{_ONE} {where}")]

    async def counts(self) -> dict[str, int]:
        """How many executions there are, by status (every status is a key)."""
        found = dict(await self._database.rows("SELECT status, rows FROM execution_counts"))
        return {status.value: found.get(status.value, 0) for status in Status}

    async def save_catalogue(self, files: Mapping[str, FileDescription]) -> None:
        """Remember what every known task file defines, by path; what was remembered before is replaced."""
        rows = [(path, description.model_dump_json()) for path, description in files.items()]
        await self._database.write(Statement("DELETE FROM task_files", [()]), Statement(_SAVE_FILE, rows))

    async def load_catalogue(self) -> dict[str, FileDescription]:
        """What `save_catalogue` was last given, less what this version of Ratchet cannot read."""
        return dict(_descriptions(await self._database.rows("SELECT path, description FROM task_files ORDER BY path")))

    async def _change(self, *statements: Statement) -> bool:
        return (await self._database.write(*statements, guarded=True))[0] == 1


def _insert_row(execution: Execution, attempt: Attempt | None) -> list[SqlValue]:
    fields = execution.model_dump()
    plain: list[SqlValue] = [fields[name] for name in _PLAIN]
    jsons = [None if fields[name] is None else _json(fields[name]) for name in _JSON]
    return [*plain, *jsons, attempt.fence if attempt else 0, execution.source.client]


def _record(execution_id: str, attempt: Attempt) -> Statement:
    return Statement(_RECORD, [(execution_id, attempt.number, attempt.model_dump_json())])


def _ended_asks(execution_id: str, asked: str | None) -> list[Statement]:
    return [] if asked is None else [asks.ended(execution_id, asked)]


def _first(rows: Sequence[tuple[Any, ...]]) -> Execution | None:
    return _execution(rows[0]) if rows else None


def _execution(row: tuple[Any, ...]) -> Execution:
    """The model of a row selected as `_COLUMNS`."""
    fields = dict(zip((*_PLAIN, "attempts", *_JSON), row, strict=True))
    for name in _JSON:
        fields[name] = fields[name] and from_json(fields[name])
    fields["attempts"] = _ATTEMPTS.validate_json(f"[{fields['attempts'] or ''}]")
    return Execution.model_validate(fields)


def _descriptions(rows: Iterable[tuple[str, str]]) -> Iterable[tuple[str, FileDescription]]:
    for path, text in rows:
        try:
            yield path, FileDescription.model_validate_json(text)
        except ValidationError:
            continue  # written by another version: the file is simply described anew


def _json(value: Any) -> str:
    return to_json(value).decode()
