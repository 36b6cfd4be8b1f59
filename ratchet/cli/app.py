"""The typer application: its table of commands, and the one place where errors become messages and exit codes."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.main import get_command

from ipc.errors import IpcError
from ratchet.cli import (
    audit,
    connect,
    dev,
    doctor,
    executions,
    exits,
    init,
    inspect,
    logs,
    nodes,
    reload,
    run,
    supervisor,
    tasks,
    trace,
    version,
    worker,
)
from ratchet.cli.exits import ExitCode
from ratchet.cli.options import BeforeCommand, ConfigOption, DataDirOption, JsonOption
from ratchet.cli.prune import prune
from ratchet.cli.render import Piece, line
from ratchet.cli.terminal import Terminal
from ratchet.errors import BrokenTaskError, InvalidInputError, RatchetError, UnknownExecutionError, UnknownTaskError
from ratchet.version import VERSION

COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (
    ("up", supervisor.up),
    ("dev", dev.dev),
    ("stdio", supervisor.stdio),
    ("worker", worker.worker),
    ("status", supervisor.status),
    ("reload", reload.reload),
    ("down", supervisor.down),
    ("run", run.run),
    ("tasks", tasks.tasks),
    ("executions", executions.executions),
    ("show", executions.show),
    ("logs", logs.logs),
    ("trace", trace.trace),
    ("inspect", inspect.inspect),
    ("cancel", executions.cancel),
    ("audit", audit.audit),
    ("prune", prune),
    ("init", init.init),
    ("connect", connect.connect),
    ("doctor", doctor.doctor),
    ("version", version.version),
)
GROUPS: tuple[tuple[str, typer.Typer], ...] = (("node", nodes.app),)


# What a person at a shell does next; the messages themselves are for agents too.
_HINTS: dict[type[RatchetError], str] = {
    UnknownTaskError: "`ratchet tasks` lists what there is",
    BrokenTaskError: "`ratchet tasks` lists broken files; mend this one and try again",
    UnknownExecutionError: "`ratchet executions` lists the recent ones",
    InvalidInputError: "`ratchet tasks TASK --schemas` shows what an input must look like",
}


def build() -> typer.Typer:
    """The application with every command of the tables."""
    app = typer.Typer(
        name="ratchet",
        help="Run typed Python tasks in supervised processes, and put every run within reach of LLM agents over MCP.",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_before_command)
    for name, function in COMMANDS:
        app.command(name)(function)
    for name, group in GROUPS:
        app.add_typer(group, name=name)
    return app


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line; errors are printed. Returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = get_command(build()).main(args=list(arguments), prog_name="ratchet", standalone_mode=False)
        sys.stdout.flush()
    except (RatchetError, IpcError, typer.TyperException, typer.Abort) as error:
        return _report(error, as_json="--json" in arguments)
    except BrokenPipeError:
        # Whoever read our output has enough (`| head`). What is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    return code if isinstance(code, int) else ExitCode.OK


def _before_command(
    ctx: typer.Context,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    ctx.obj = BeforeCommand(config=config, data_dir=data_dir, as_json=as_json)
    if show_version:
        typer.echo(VERSION)
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit


def _report(error: Exception, *, as_json: bool) -> int:
    code, message, details, exit_code, hint = _explain(error)
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more; the exit code still tells
        if as_json:
            body = {"error": {"code": code, "message": message, "details": details}}
            sys.stderr.write(json.dumps(body, default=str) + "\n")
        else:
            Terminal().say([line(Piece("error: ", "bold red"), message), *([line(hint)] if hint else [])])
        sys.stderr.flush()
    return exit_code


def _explain(error: Exception) -> tuple[str, str, dict[str, Any], int, str]:
    match error:
        case RatchetError():
            return error.code, error.message, error.details, exits.of_error(error), _HINTS.get(type(error), "")
        case IpcError():
            return error.code, error.message, {}, exits.of_error(error), ""
        case typer.TyperException():
            path = getattr(getattr(error, "ctx", None), "command_path", None)
            hint = f"see `{path} --help`" if path else ""
            return "usage", error.format_message(), {}, error.exit_code, hint
        case _:
            return "aborted", "aborted", {}, ExitCode.INTERRUPTED, ""
