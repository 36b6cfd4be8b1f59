"""`ratchet version`."""

import platform

import typer

from ratchet.cli.options import ConfigOption, DataDirOption, JsonOption, scope
from ratchet.cli.render import line
from ratchet.version import VERSION


def version(
    ctx: typer.Context,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the version."""
    here = scope(ctx, config, data_dir, as_json=as_json)
    facts = {"ratchet": VERSION, "python": platform.python_version(), "platform": platform.platform()}
    if here.as_json:
        here.terminal.show_json(facts)
    else:
        here.terminal.show([line(f"ratchet {facts['ratchet']} (Python {facts['python']}, {facts['platform']})")])
