"""`ratchet inspect`: what a running execution is doing at this moment."""

import asyncio

import typer

from ratchet.bodies.inspection import InspectExecution, Inspection, Stack
from ratchet.cli.connection import connect
from ratchet.cli.identifiers import find_execution
from ratchet.cli.options import ConfigOption, DataDirOption, ExecutionArgument, JsonOption, Scope, scope
from ratchet.cli.quantities import duration, size
from ratchet.cli.render import Block, Piece, heading, line, one_line
from ratchet.inspection import sentences
from ratchet.messages import INSPECT_EXECUTION


def inspect(
    ctx: typer.Context,
    execution: ExecutionArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a running execution is doing.

    The stack of every thread and coroutine, open spans, CPU and memory. The execution goes on meanwhile.
    """
    here = scope(ctx, config, data_dir, as_json=as_json)
    found = asyncio.run(_inspect(here, execution))
    if here.as_json:
        here.terminal.show_json(found.model_dump(mode="json"))
    else:
        here.terminal.show(_blocks(found))


async def _inspect(here: Scope, given: str) -> Inspection:
    async with connect(here.project) as client:
        found = await find_execution(client, given)
        return await client.call(INSPECT_EXECUTION, InspectExecution(execution_id=found.execution_id))


def _blocks(found: Inspection) -> list[Block]:
    blocks: list[Block] = [
        line(Piece(found.execution_id, "bold"), f"  attempt {found.attempt} in {found.worker}"),
        *(line(one) for one in sentences(found)),
    ]
    for kind, stacks in (("thread", found.threads), ("coroutine", found.coroutines)):
        for stack in stacks:
            blocks += [line(), heading(f"{kind} {stack.name}"), *_calls(stack)]
    if found.spans:
        blocks += [line(), heading("open spans")]
        blocks += [line(f"  {duration(1000 * one.seconds):>10}  {one_line(one.name)}") for one in found.spans]
    process = found.process
    if process is not None:
        blocks += [
            line(),
            heading(f"process {process.pid}"),
            line(
                f"  {process.state}, {process.cpu_share:.0%} of a core now, {process.cpu_seconds:.2f} s of CPU so far"
            ),
            line(f"  {size(process.memory_bytes)} in {process.processes} processes, {process.threads} threads"),
        ]
    return blocks


def _calls(stack: Stack) -> list[Block]:
    return [
        line(
            f"  {one.file}:{one.line} in {one.function}",
            Piece(f"  {one_line(one.source)}" if one.source else "", "dim"),
        )
        for one in stack.frames
    ]
