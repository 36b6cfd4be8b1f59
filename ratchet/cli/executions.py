"""Commands about executions that exist: `executions`, `show`, `cancel`."""

import asyncio
import time
from typing import Annotated

import typer

from ratchet.bodies.executions import CancelExecution, ListExecutions
from ratchet.cli import arguments
from ratchet.cli.connection import connect
from ratchet.cli.execution_view import execution_details, execution_list, outcome
from ratchet.cli.identifiers import find_execution
from ratchet.cli.options import ConfigOption, DataDirOption, ExecutionArgument, JsonOption, Scope, scope
from ratchet.cli.render import line
from ratchet.messages import CANCEL_EXECUTION, LIST_EXECUTIONS
from ratchet.models import Execution, Status

_PAGE = 500
_RERUNS_MAX = 5
_CALLED_MAX = 50
_CANCEL_SECONDS = 10.0


def executions(
    ctx: typer.Context,
    status: Annotated[list[Status] | None, typer.Option("--status", help="Only these; may be repeated.")] = None,
    task: Annotated[str | None, typer.Option("--task", metavar="TASK", help="Only executions of this task.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="Only newer ones: 30m, 1h, 2d, or an ISO time.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many, newest first.")] = 20,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List executions, newest first."""
    here = scope(ctx, config, data_dir, as_json=as_json)
    wanted = ListExecutions(since_ns=arguments.since(since), status=status or None, task_id=task, limit=limit)
    found = asyncio.run(_list(here, wanted))
    if here.as_json:
        here.terminal.show_json({"executions": [one.model_dump(mode="json") for one in found]})
    else:
        here.terminal.show(execution_list(found, now_ns=time.time_ns()))


def show(
    ctx: typer.Context,
    execution: ExecutionArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one execution, the cause of a failure first."""
    here = scope(ctx, config, data_dir, as_json=as_json)
    found, reruns, called = asyncio.run(_find(here, execution))
    if here.as_json:
        here.terminal.show_json(found.model_dump(mode="json"))
    else:
        here.terminal.show(execution_details(found, now_ns=time.time_ns(), reruns=reruns, called=called))


def cancel(
    ctx: typer.Context,
    execution: ExecutionArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the execution.")] = "",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask an execution to stop.

    Waits a little for it to do so.
    """
    here = scope(ctx, config, data_dir, as_json=as_json)
    before, after = asyncio.run(_cancel(here, execution, reason))
    if here.as_json:
        here.terminal.show_json(after.model_dump(mode="json"))
    elif before.status.terminal:
        here.terminal.show([line(f"{after.execution_id} had ended before: ", *outcome(after).pieces)])
    elif after.status.terminal:
        here.terminal.show([line(f"{after.execution_id} ", *outcome(after).pieces)])
    else:
        here.terminal.show([line(f"{after.execution_id} is asked to stop; it is still {after.status}")])


async def _list(here: Scope, wanted: ListExecutions) -> list[Execution]:
    found: list[Execution] = []
    async with connect(here.project) as client:
        cursor: str | None = None
        while len(found) < wanted.limit:
            page = await client.call(
                LIST_EXECUTIONS,
                wanted.model_copy(update={"limit": min(_PAGE, wanted.limit - len(found)), "cursor": cursor}),
            )
            found += page.executions
            cursor = page.next_cursor
            if cursor is None:
                break
    return found


async def _find(here: Scope, given: str) -> tuple[Execution, list[Execution], list[Execution]]:
    async with connect(here.project) as client:
        found = await find_execution(client, given)
        reruns = await client.call(LIST_EXECUTIONS, ListExecutions(rerun_of=found.execution_id, limit=_RERUNS_MAX))
        wanted = ListExecutions(parent_id=found.execution_id, sort="oldest", limit=_CALLED_MAX)
        return found, reruns.executions, (await client.call(LIST_EXECUTIONS, wanted)).executions


async def _cancel(here: Scope, given: str, reason: str) -> tuple[Execution, Execution]:
    async with connect(here.project) as client:
        before = await find_execution(client, given)
        request = CancelExecution(execution_id=before.execution_id, reason=reason, wait_seconds=_CANCEL_SECONDS)
        return before, await client.call(CANCEL_EXECUTION, request, timeout_seconds=_CANCEL_SECONDS + 20)
