"""`ratchet logs`: the log of an execution."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Annotated

import typer

from ipc.errors import BusyError, LostError, UnreachableError
from ratchet.bodies.telemetry import FollowLogs, LogPage, ReadLogs, StoredLogRecord
from ratchet.cli.connection import Client, connect
from ratchet.cli.identifiers import find_execution
from ratchet.cli.log_view import counts_line, record_blocks
from ratchet.cli.options import ConfigOption, DataDirOption, ExecutionArgument, JsonOption, Scope, scope
from ratchet.cli.render import Piece, line
from ratchet.errors import UnavailableError
from ratchet.messages import FOLLOW_LOGS, READ_LOGS
from ratchet.models import Level

_PAGE = 500
_PAUSE_SECONDS = 0.5  # before a stream that was lost is asked for again
_TO_BE_ASKED_AGAIN = (LostError, UnreachableError, BusyError, UnavailableError)


def logs(
    ctx: typer.Context,
    execution: ExecutionArgument,
    level: Annotated[Level | None, typer.Option("--level", help="This level and above.")] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Only records whose message contains this.")
    ] = None,
    attempt: Annotated[int | None, typer.Option("--attempt", metavar="N", min=1, help="Only this attempt.")] = None,
    tail: Annotated[int | None, typer.Option("--tail", metavar="N", min=1, help="Only the newest N records.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is logged from now on, until the execution is over.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the log of an execution, oldest record first."""
    here = scope(ctx, config, data_dir, as_json=as_json)
    wanted = ReadLogs(execution_id=execution, attempt=attempt, level=level, search=search, limit=_PAGE)
    asyncio.run(_follow(here, wanted, tail) if follow else _print(here, wanted, tail))


async def _follow(here: Scope, wanted: ReadLogs, tail: int | None) -> None:
    """Print records as they come: views as ever, or one JSON object a line."""
    async with connect(here.project) as client:
        execution_id = (await find_execution(client, wanted.execution_id)).execution_id
        wanted = wanted.model_copy(update={"execution_id": execution_id})
        after: str | None = None
        if tail is not None:
            kept: deque[StoredLogRecord] = deque(maxlen=tail)
            async for page in _pages(client, wanted, tail):
                kept.extend(page.records)
                after = page.next_cursor
            _print_now(here, kept)
        over = False
        while not over:
            request = FollowLogs(
                execution_id=execution_id,
                attempt=wanted.attempt,
                level=wanted.level,
                search=wanted.search,
                after=after,
            )
            try:
                async with aclosing(client.stream(FOLLOW_LOGS, request)) as batches:
                    async for batch in batches:
                        _print_now(here, batch.records)
                        after = batch.cursor
                over = True
            except _TO_BE_ASKED_AGAIN:  # this process stood still, or one of the others restarts
                await asyncio.sleep(_PAUSE_SECONDS)


def _print_now(here: Scope, records: Iterable[StoredLogRecord]) -> None:
    if here.as_json:
        for record in records:
            here.terminal.show_json_line(record.model_dump(mode="json"))
    else:
        here.terminal.show(record_blocks(records))
    here.terminal.flush()


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
    if found.logs_pruned_ns is not None:
        here.terminal.say([line(Piece("its log was removed, as `retention.logs` says", "dim"))])
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
