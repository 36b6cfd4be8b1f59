"""What is left of a run: its executions, the marks of their effects, and what the stores have of them."""

import asyncio
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ratchet import messages
from ratchet.bodies.executions import GetExecution, ListExecutions
from ratchet.cli.connection import Client, connect
from ratchet.models import Execution
from tests.harness import RunningProject

_PAGE: Final = 100
_AT_A_TIME: Final = 16
_LOGS = (
    "SELECT execution_id, attempt, context FROM logs WHERE message = 'line' ORDER BY execution_id, attempt, sequence"
)
_SPANS = """SELECT execution_id, attempt, attributes FROM spans WHERE name = 'numbered'
    ORDER BY execution_id, attempt, sequence"""

Try = tuple[str, int]  # execution and attempt


@dataclass(frozen=True, slots=True)
class Marks:
    """What tasks wrote into their file.

    Attributes:
        effects: How often each attempt had its effect.
        said: How many numbered lines an attempt had logged, once it had logged all of them.
        traced: The same of spans.
    """

    effects: Counter[Try]
    said: dict[Try, int]
    traced: dict[Try, int]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it.

    Attributes:
        lines: The numbers of the lines that are stored of each attempt, in order.
        spans: The same of spans.
    """

    executions: Sequence[Execution]
    marks: Marks
    lines: dict[Try, list[int]]
    spans: dict[Try, list[int]]


async def executions(project: RunningProject) -> list[Execution]:
    """Every execution, as the API tells of it, outputs included."""
    async with connect(project.project) as client:
        ids: list[str] = []
        cursor: str | None = None
        while True:
            request = ListExecutions(limit=_PAGE, sort="oldest", cursor=cursor)
            page = await client.call(messages.LIST_EXECUTIONS, request)
            ids += [one.execution_id for one in page.executions]
            if (cursor := page.next_cursor) is None:
                break
        slots = asyncio.Semaphore(_AT_A_TIME)
        return await asyncio.gather(*(_execution(client, slots, one) for one in ids))


async def _execution(client: Client, slots: asyncio.Semaphore, execution_id: str) -> Execution:
    async with slots:
        return await client.call(messages.GET_EXECUTION, GetExecution(execution_id=execution_id))


def marks(path: Path) -> Marks:
    """The marks; a file that is not there has none."""
    found = Marks(Counter(), {}, {})
    for line in path.read_text().splitlines() if path.exists() else ():
        execution_id, attempt, what, *more = line.split()
        one = (execution_id, int(attempt))
        match what:
            case "said":
                found.said[one] = int(more[0])
            case "traced":
                found.traced[one] = int(more[0])
            case _:
                found.effects[one] += 1
    return found


def collect(project: RunningProject, found: Sequence[Execution], path: Path) -> Evidence:
    """The evidence, once nothing runs any more: the files of the stores are read as they are."""
    lines = _numbers(project.data_dir / "logs.db", _LOGS)
    return Evidence(found, marks(path), lines, _numbers(project.data_dir / "spans.db", _SPANS))


def _numbers(path: Path, query: str) -> dict[Try, list[int]]:
    found: dict[Try, list[int]] = defaultdict(list)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for execution_id, attempt, text in connection.execute(query):
            found[execution_id, attempt].append(int(json.loads(text)["number"]))
    return dict(found)
