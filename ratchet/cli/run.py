"""`ratchet run`: submit a task, follow it live, print its output."""

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import typer

from ratchet.bodies.executions import Submit
from ratchet.cli import arguments, exits
from ratchet.cli.connection import connect
from ratchet.cli.execution_view import next_steps, outcome
from ratchet.cli.exits import ExitCode
from ratchet.cli.failure_view import failure_blocks
from ratchet.cli.follow import LeftRunning, follow
from ratchet.cli.options import ConfigOption, DataDirOption, JsonOption, Scope, TaskArgument, scope
from ratchet.cli.render import Piece, line
from ratchet.cli.run_display import display_for
from ratchet.execution_ids import new_execution_id
from ratchet.messages import SUBMIT
from ratchet.models import Execution, Source, Status

_YEAR_SECONDS = 365 * 86_400.0


def run(
    ctx: typer.Context,
    task: TaskArgument,
    input_: Annotated[
        str, typer.Option("--input", "-i", metavar="JSON|@FILE|-", help="Input object; `-` reads standard input.")
    ] = "{}",
    wait: Annotated[
        str | None,
        typer.Option("--wait", "--timeout", metavar="TIME", help="Wait at most this long (30s, 5m); it runs on."),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the execution's id and leave.")] = False,
    trace: Annotated[bool, typer.Option("--trace/--no-trace", help="Store spans and debug records.")] = True,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", metavar="KEY=VALUE", help="Kept with it; may be repeated.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="The same key runs the task once.")
    ] = None,
    execution_timeout: Annotated[
        str | None,
        typer.Option("--execution-timeout", metavar="TIME", help="It must have ended by then, with all its attempts."),
    ] = None,
    priority: Annotated[int, typer.Option("--priority", help="Higher runs first.")] = 0,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a task, follow it live, and print its output.

    The output goes to stdout, progress and log to stderr. Ctrl-C cancels the execution, a second one leaves it.

    Exit code 0: completed; 1: failed; 2: wrong arguments or input; 3: no supervisor; 4: not now; 124: still running
    after --wait; 130: cancelled.
    """
    here = scope(ctx, config, data_dir, as_json=as_json)
    submit = Submit(
        execution_id=new_execution_id(),
        task_id=task,
        input=arguments.task_input(input_),
        source=Source(kind="cli"),
        trace=trace,
        priority=priority,
        idempotency_key=idempotency_key,
        timeout_seconds=_time(execution_timeout),
        metadata=arguments.metadata(metadata or []),
    )
    seconds = None if wait is None else arguments.seconds(wait, option="--wait")
    if no_wait:
        _print_submitted(here, asyncio.run(_submit(here, submit)))
        return
    try:
        execution = asyncio.run(_follow(here, submit, seconds))
    except LeftRunning:
        here.terminal.note(f"left {submit.execution_id}: `ratchet show {submit.execution_id}` tells what became of it")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    _print_end(here, execution)
    raise typer.Exit(exits.of_execution(execution))


def _time(given: str | None) -> float | None:
    if given is None:
        return None
    found = arguments.seconds(given, option="--execution-timeout")
    if not 0 < found <= _YEAR_SECONDS:
        raise typer.BadParameter(f"{given!r} must be more than 0 and at most a year", param_hint="--execution-timeout")
    return found


async def _submit(here: Scope, submit: Submit) -> Execution:
    async with connect(here.project) as client:
        return await client.call(SUBMIT, submit)


async def _follow(here: Scope, submit: Submit, wait_seconds: float | None) -> Execution:
    async with connect(here.project) as client:
        execution = await client.call(SUBMIT, submit)
        display = display_for(here.terminal, execution.task_id, as_json=here.as_json)
        with display, _interrupts() as interrupts:
            display.note(f"execution {execution.execution_id}")
            return await follow(client, execution, display, interrupts=interrupts, wait_seconds=wait_seconds)


@contextmanager
def _interrupts() -> "Generator[asyncio.Queue[None], None, None]":
    """One item for every Ctrl-C from now on."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[None] = asyncio.Queue()
    before = signal.getsignal(signal.SIGINT)
    loop.add_signal_handler(signal.SIGINT, queue.put_nowait, None)
    try:
        yield queue
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)


def _print_submitted(here: Scope, execution: Execution) -> None:
    if here.as_json:
        here.terminal.show_json(execution.model_dump(mode="json"))
    else:
        here.terminal.show([line(execution.execution_id)])


def _print_end(here: Scope, execution: Execution) -> None:
    terminal = here.terminal
    if here.as_json:
        terminal.show_json(execution.model_dump(mode="json"))
        return
    if execution.status is Status.COMPLETED:
        terminal.show_json(execution.output)
    elif execution.failure is not None:
        terminal.say(failure_blocks(execution.failure))
    if not execution.status.terminal:
        terminal.say([line(Piece(f"still {execution.status}: the wait is over, the execution goes on", "yellow"))])
    else:
        terminal.say([outcome(execution)])
    terminal.say([next_steps(execution)])
