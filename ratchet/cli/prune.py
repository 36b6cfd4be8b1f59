"""`ratchet prune`: have what need not be kept removed now, by the running supervisor, or here where none runs."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

import typer

from ratchet.bodies.retention import Prune, Pruned
from ratchet.cli import arguments
from ratchet.cli.connection import connect
from ratchet.cli.options import ConfigOption, DataDirOption, JsonOption, Scope, scope
from ratchet.cli.quantities import size
from ratchet.cli.render import Block, line
from ratchet.errors import NotRunningError
from ratchet.messages import PRUNE
from ratchet.project import Project

_SECONDS = 5.0  # of one call; it is repeated until nothing more is to go
_LOOK_SECONDS = 60.0  # a look beforehand is not continued
_CALL_SECONDS = 120.0

Step = Callable[[Prune], Awaitable[Pruned]]


def prune(
    ctx: typer.Context,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="TIME", help="Only executions that ended longer ago: 12h, 30d."),
    ] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", min=0, help="Never the newest N finished executions.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would go; remove nothing.")] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove old executions with their logs and spans.

    Without --older-than and --keep: what `retention` in the configuration does not keep. Unfinished ones always stay.
    """
    here = scope(ctx, config, data_dir, as_json=as_json)
    wish = Prune(
        older_than_seconds=None if older_than is None else arguments.seconds(older_than, option="--older-than"),
        keep=keep,
        dry_run=dry_run,
        seconds=_LOOK_SECONDS if dry_run else _SECONDS,
    )
    before, went = asyncio.run(_prune(here, wish))
    if here.as_json:
        here.terminal.show_json({"dry_run": dry_run, "bytes_before": before, **went.model_dump(exclude={"more"})})
    else:
        here.terminal.show(_blocks(went, before, dry_run=dry_run))


async def _prune(here: Scope, wish: Prune) -> tuple[int, Pruned]:
    """What the stores took before, and all that went."""
    async with _reached(here.project) as step:
        before = (await step(wish.model_copy(update={"seconds": 0.0, "dry_run": True}))).bytes
        went = await step(wish)
        while went.more and not wish.dry_run:
            went = _sum(went, await step(wish))
        return before, went


@asynccontextmanager
async def _reached(project: Project) -> AsyncGenerator[Step]:
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(connect(project))
        except NotRunningError:
            # It loads the stores and the configuration, which is slow, and no other way to prune needs.
            from ratchet.retention.offline import opened

            yield (await stack.enter_async_context(opened(project, os.environ))).run
            return

        async def ask(wish: Prune) -> Pruned:
            return await client.call(PRUNE, wish, timeout_seconds=_CALL_SECONDS)

        yield ask


def _sum(one: Pruned, other: Pruned) -> Pruned:
    counts = {name: getattr(one, name) + getattr(other, name) for name in ("executions", "logs", "spans", "audit")}
    return other.model_copy(update=counts)


def _blocks(went: Pruned, before: int, *, dry_run: bool) -> list[Block]:
    what = f"{went.executions} executions, {went.logs} log records, {went.spans} spans, {went.audit} audit records"
    if dry_run:
        least = "at least " if went.more else ""
        return [line(f"would remove {least}{what}; the stores take {size(went.bytes)}")]
    return [line(f"removed {what}; the stores take {size(went.bytes)}, before {size(before)}")]
