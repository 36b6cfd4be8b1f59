"""Options that many commands share, and what they amount to: the project, the form of the output, the terminal."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer

from ratchet.cli.completion import complete_execution, complete_task
from ratchet.cli.terminal import Terminal
from ratchet.project import Project, find_project

ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Configuration file [default: $RATCHET_CONFIG, ./ratchet.yaml]."
    ),
]
DataDirOption = Annotated[
    str | None, typer.Option("--data-dir", metavar="DIR", help="Directory for databases and logs; overrides data_dir.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts; errors too.")]
ExecutionArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="Execution id, the beginning or end of one, or `last` for the newest execution.",
        autocompletion=complete_execution,
    ),
]
TaskArgument = Annotated[
    str, typer.Argument(metavar="TASK", help="Task id, as `ratchet tasks` lists it.", autocompletion=complete_task)
]


@dataclass(frozen=True)
class BeforeCommand:
    """What stood before the command's name."""

    config: str | None = None
    data_dir: str | None = None
    as_json: bool = False


@dataclass(frozen=True)
class Scope:
    """What a command works on.

    Attributes:
        config: `--config`, wherever it stood; what stands after the command's name wins.
        data_dir: `--data-dir`, likewise.
        as_json: Whether one JSON document is wanted instead of text for people.
        terminal: Where everything is printed.
    """

    config: str | None = None
    data_dir: str | None = None
    as_json: bool = False
    terminal: Terminal = field(default_factory=Terminal)

    @cached_property
    def project(self) -> Project:
        """The project that the options name.

        Raises:
            ratchet.errors.ProjectError: They name none that can be used.
        """
        return find_project(self.config, self.data_dir, os.environ, Path.cwd())


def scope(ctx: typer.Context, config: str | None, data_dir: str | None, *, as_json: bool = False) -> Scope:
    """The scope of the command that `ctx` belongs to."""
    before = ctx.obj if isinstance(ctx.obj, BeforeCommand) else BeforeCommand()
    return Scope(
        config=before.config if config is None else config,
        data_dir=before.data_dir if data_dir is None else data_dir,
        as_json=as_json or before.as_json,
    )
