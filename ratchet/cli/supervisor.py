"""Commands about the supervisor itself: `up`, `stdio`, `status`, `down`."""

import asyncio
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import typer

from ipc.errors import IpcError
from ratchet.bodies.common import Empty
from ratchet.bodies.health import Health
from ratchet.cli.connection import connect
from ratchet.cli.options import ConfigOption, DataDirOption, JsonOption, Scope, scope
from ratchet.cli.render import Piece, line
from ratchet.errors import RatchetError
from ratchet.messages import GET_HEALTH
from ratchet.models import JsonObject

if TYPE_CHECKING:
    from ratchet.supervision.status import SupervisorStatus

_HEALTH_SECONDS = 2.0


def up(ctx: typer.Context, config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """Start the supervisor and its actors, and stay.

    Ctrl-C lets what runs finish within its grace and ends everything; a second one insists.
    """
    here = scope(ctx, config, data_dir)
    become(["supervisor", *options(here)])


def stdio(ctx: typer.Context, config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """Serve MCP on standard input and output, for agents.

    Uses the project's supervisor; where none runs, one is started and ends by itself when it is no longer needed.
    """
    here = scope(ctx, config, data_dir)
    become(["ratchet", "stdio", *options(here)])


def status(
    ctx: typer.Context,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the supervisor, its actors, and how busy they are."""
    here = scope(ctx, config, data_dir, as_json=as_json)
    from ratchet.cli.status_view import status_blocks
    from ratchet.supervision.client import SupervisorClient

    with SupervisorClient(here.project) as client:
        found = client.status()
    health = asyncio.run(_health(here))
    if here.as_json:
        body = None if health is None else health.model_dump(mode="json")
        here.terminal.show_json({"supervisor": found.model_dump(mode="json"), "health": body})
        return
    here.terminal.show(status_blocks(found, health))
    note_other_configuration(here, found)


def down(
    ctx: typer.Context,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop the supervisor, and wait until it is gone.

    What runs gets its grace to finish.
    """
    here = scope(ctx, config, data_dir, as_json=as_json)
    from ratchet.supervision.client import SupervisorClient

    with SupervisorClient(here.project) as client:
        pid = client.request_down()
        for kind, body in client.messages():
            if kind == "draining":
                _note_draining(here, body)
    if here.as_json:
        here.terminal.show_json({"stopped": True, "pid": pid})
    else:
        here.terminal.show([line(f"the supervisor (pid {pid}) has stopped")])


def note_other_configuration(here: Scope, found: "SupervisorStatus") -> None:
    """Say so where the supervisor was started with a configuration that has changed since."""
    if found.config_digest != here.project.config_digest and not here.as_json:
        text = (
            "the configuration has changed since the supervisor started: `ratchet down`, then `ratchet up`, applies it"
        )
        here.terminal.say([line(Piece(text, "yellow"))])


async def _health(here: Scope) -> Health | None:
    """The task-runner's; None where it does not answer, which is itself part of the status."""
    try:
        async with connect(here.project, welcome_seconds=_HEALTH_SECONDS) as client:
            return await client.call(GET_HEALTH, Empty(), target="task-runner", timeout_seconds=_HEALTH_SECONDS)
    except (RatchetError, IpcError):
        return None


def options(here: Scope) -> list[str]:
    """Which project: what every program of ours takes."""
    options = [] if here.config is None else ["--config", here.config]
    return options if here.data_dir is None else [*options, "--data-dir", here.data_dir]


def become(module: list[str]) -> NoReturn:
    """This process goes on as another program of ours. -P: a `supervisor.py` in the working directory is not ours."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", *module])  # noqa: S606 - no shell is wanted


def _note_draining(here: Scope, body: JsonObject) -> None:
    names = body.get("waiting_for")
    if names and not here.as_json:
        here.terminal.note(f"waiting for {', '.join(names)}", "dim")
