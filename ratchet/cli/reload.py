"""`ratchet reload`: the workers of a running supervisor are replaced one by one."""

import typer

from ratchet.cli.options import ConfigOption, DataDirOption, JsonOption, Scope, scope
from ratchet.cli.render import Piece, line
from ratchet.cli.supervisor import note_other_configuration
from ratchet.errors import UnavailableError
from ratchet.models import JsonObject

_WORDS = {
    "replacing": "finishes what it runs",
    "draining": "finishes what it runs",
    "starting": "starts",
    "running": "works",
    "stopped": "has left",
}


def reload(
    ctx: typer.Context,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replace the workers one by one, and refuse no call meanwhile.

    They load everything anew: packages of the tasks' interpreter, too. What runs finishes where it runs. Waits for
    the end; Ctrl-C leaves the reload to itself.
    Changed task files need no reload.
    """
    here = scope(ctx, config, data_dir, as_json=as_json)
    from ratchet.supervision.client import SupervisorClient

    with SupervisorClient(here.project) as client:
        found = client.status()
    note_other_configuration(here, found)
    with SupervisorClient(here.project) as client:
        names = client.request_reload()
        for kind, body in client.messages():
            if kind == "reloading":
                _note(here, body)
            elif kind == "reloaded":
                _conclude(here, body)
                return
    raise UnavailableError(f"the supervisor went away before {', '.join(names)} were replaced: see `ratchet status`")


def _note(here: Scope, body: JsonObject) -> None:
    if not here.as_json:
        state = str(body["state"])
        name = str(body["worker"]) + (" (for the time being)" if body["spare"] else "")
        process = f" (pid {body['pid']})" if body["pid"] is not None else ""
        here.terminal.note(f"{name} {_WORDS.get(state, state)}{process}", "dim")


def _conclude(here: Scope, body: JsonObject) -> None:
    workers: list[JsonObject] = body["workers"]
    if here.as_json:
        here.terminal.show_json({"workers": workers})
        return
    names = ", ".join(f"{one['name']} (pid {one['pid']})" for one in workers)
    here.terminal.show([line(Piece("✓ ", "green"), f"replaced: {names}")])
