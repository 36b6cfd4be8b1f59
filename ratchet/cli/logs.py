"""`ratchet logs`: the log of an execution."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Annotated

import typer

from ratchet.cli.connection import Client, connect
from ratchet.cli.identifiers import find_execution
from ratchet.cli.log_view import counts_line, record_blocks
from ratchet.cli.options import ConfigOption, DataDirOption, ExecutionArgument, JsonOption, Scope, scope
from ratchet.cli.render import Piece, line
from ratchet.messages import READ_LOGS, LogPage, ReadLogs, StoredLogRecord
from ratchet.models import Level

_PAGE = 500


def logs(
    ctx: typer.Context,
    execution: ExecutionArgument,
    level: Annotated[Level | None, typer.Option("--level", help="This level and above.")] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Only records whose message contains this.")
    ] = None,
    tail: Annotated[int | None, typer.Option("--tail", metavar="N", min=1, help="Only the newest N records.")] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the log of an execution, oldest record first."""
    here = scope(ctx, config, data_dir, as_json=as_json)
    asyncio.run(_print(here, ReadLogs(execution_id=execution, level=level, search=search, limit=_PAGE), tail))


async def _print(here: Scope, wanted: ReadLogs, tail: int | None) -> None:
    shown = 0
    kept: deque[StoredLogRecord] = deque(maxlen=tail)
    keeps = here.as_json or tail is not None
    counts: dict[str, int] = {}
    async with connect(here.project) as client:
        found = await find_execution(client, wanted.execution_id)
        wanted = wanted.model_copy(update={"execution_id": found.execution_id})
        async for page in _pages(client, wanted, tail):
            counts = page.counts
            if keeps:
                kept.extend(page.records)
            else:
                here.terminal.show(record_blocks(page.records))
            shown += len(page.records)
    if here.as_json:
        records = [record.model_dump(mode="json") for record in kept]
        here.terminal.show_json({"execution_id": found.execution_id, "records": records, "counts": counts})
        return
    here.terminal.show(record_blocks(kept))
    _note_what_is_left(here, len(kept) if keeps else shown, counts)


async def _pages(client: Client, wanted: ReadLogs, tail: int | None) -> AsyncIterator[LogPage]:
    """Pages up to the present end of the log. A tail that fits is one page; a longer one is cut out of all of it."""
    if tail is not None and tail <= _PAGE:
        yield await client.call(READ_LOGS, wanted.model_copy(update={"limit": tail, "tail": True}))
        return
    after: str | None = None
    while True:
        page = await client.call(READ_LOGS, wanted.model_copy(update={"after": after}))
        yield page
        if not page.more or page.next_cursor is None:
            return
        after = page.next_cursor


def _note_what_is_left(here: Scope, shown: int, counts: dict[str, int]) -> None:
    if not sum(counts.values()):
        here.terminal.say([line(Piece("no log records", "dim"))])
    elif shown < sum(counts.values()):
        here.terminal.say([counts_line(counts, shown)])
