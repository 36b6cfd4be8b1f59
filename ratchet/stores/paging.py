"""Pages of executions by keyset: a page costs the same wherever it lies and however many executions there are.

An index gives the order for one status (of one task or client), not for several; so there is one ordered, limited
branch a status, and only their heads are merged.
"""

import base64
import json
import re
from contextlib import suppress

from ratchet.bodies.executions import ListExecutions
from ratchet.errors import RequestError
from ratchet.models import Execution, Status
from ratchet.stores.group_commit import SqlValue

LIMIT_MAX = 500
SEARCHED_MAX = 10_000  # executions of a branch whose ids are looked at: no index knows the ends of ids
# As the index has it, letter by letter.
_ORIGINAL = "json_extract(metadata, '$.original_execution')"
_PARENT = "json_extract(lineage, '$.parent_id')"
_ROOT = "json_extract(lineage, '$.root_id')"
_INTEGER_MAX = 2**63 - 1  # SQLite's; no time lies beyond


def encode_cursor(last: Execution, sort: str) -> str:
    """The opaque cursor that continues after `last`."""
    text = json.dumps([sort, last.created_ns, last.execution_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, sort: str) -> tuple[int, str]:
    """`(created_ns, execution_id)` of the last row of the page that gave this cursor.

    Raises:
        RequestError: It is not one of ours, or of a list sorted another way.
    """
    found: object = None
    with suppress(ValueError):  # neither base64 nor JSON: refused below, like JSON of another shape
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    match found:
        case [str(given), int(created_ns), str(execution_id)] if given == sort and abs(created_ns) <= _INTEGER_MAX:
            return created_ns, execution_id
        case _:
            raise RequestError(f"cursor {cursor[:80]!r} does not continue this list: leave it out to start over")


def page_query(request: ListExecutions, columns: str) -> tuple[str, list[SqlValue], int]:
    """The query for a page of `executions`, its parameters, and the page's size (the query asks for one row more).

    Raises:
        RequestError: The cursor or the limit is not usable.
    """
    if request.limit < 1:
        raise RequestError(f"limit is {request.limit}: give 1 to {LIMIT_MAX}")
    limit = min(request.limit, LIMIT_MAX)
    direction, beyond = ("DESC", "<") if request.sort == "newest" else ("ASC", ">")
    order = f"ORDER BY created_ns {direction}, execution_id {direction}"
    range_sql, range_parameters = _range(request, beyond)
    part_sql, part_parameters = _id_part(request)
    searched = limit + 1 if request.id_part is None else SEARCHED_MAX
    branches: list[str] = []
    parameters: list[SqlValue] = []
    for fixed in _fixed(request):
        where = " AND ".join([*(f"{column} = ?" for column, _ in fixed), *range_sql]) or "1"
        branch = f"SELECT created_ns, execution_id FROM executions WHERE {where} {order} LIMIT {searched}"  # noqa: S608
        branches.append(f"SELECT * FROM ({branch})")  # noqa: S608 - values are bound; the rest is from this file
        parameters += [*(value for _, value in fixed), *range_parameters]
    found = f"({' UNION ALL '.join(branches)}){part_sql}"
    page = f"SELECT execution_id FROM {found} {order} LIMIT {limit + 1}"  # noqa: S608
    query = f"SELECT {columns} FROM executions WHERE execution_id IN ({page}) {order}"  # noqa: S608
    return query, [*parameters, *part_parameters], limit


def _id_part(request: ListExecutions) -> tuple[str, list[SqlValue]]:
    """A condition on the ids of a page, where only a part of them is known."""
    if request.id_part is None:
        return "", []
    part = re.sub(r"([\\%_])", r"\\\1", request.id_part)
    like = r"execution_id LIKE ? ESCAPE '\'"
    return f" WHERE {like} OR {like} OR {like}", [f"{part}%", rf"exec\_{part}%", f"%{part}"]


def _range(request: ListExecutions, beyond: str) -> tuple[list[str], list[SqlValue]]:
    sql: list[str] = []
    parameters: list[SqlValue] = []
    if request.since_ns is not None:
        sql.append("created_ns >= ?")
        parameters.append(_bounded(request.since_ns))
    if request.until_ns is not None:
        sql.append("created_ns < ?")
        parameters.append(_bounded(request.until_ns))
    if request.cursor is not None:
        sql.append(f"(created_ns, execution_id) {beyond} (?, ?)")
        parameters += decode_cursor(request.cursor, request.sort)
    return sql, parameters


def _bounded(number: int) -> int:
    return max(-_INTEGER_MAX, min(number, _INTEGER_MAX))


def _fixed(request: ListExecutions) -> list[list[tuple[str, str]]]:
    """For every branch, the columns that have one value in it."""
    few = (request.rerun_of, request.parent_id, request.root_id)
    beside = "+" if any(few) else ""  # keeps SQLite from another index than the one of those few
    given = (
        (_ORIGINAL, request.rerun_of),
        (_PARENT, request.parent_id),
        (_ROOT, request.root_id),
        (f"{beside}client", request.client and request.client.name),
        (f"{beside}task_id", request.task_id),
    )
    fixed = [(column, value) for column, value in given if value is not None]
    if not request.status and (not fixed or beside):
        return [fixed]
    statuses = sorted(set(request.status or Status))
    return [[*fixed, (f"{beside}status", status.value)] for status in statuses]
