"""`ratchet connect`: the entry with which an agent's host finds this project."""

import difflib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ratchet.cli import host_files, hosts
from ratchet.cli.hosts import FORMS, KEY_VARIABLE, Document, Host
from ratchet.cli.options import ConfigOption, DataDirOption, JsonOption, Scope, scope
from ratchet.cli.render import Block, Piece, line
from ratchet.errors import ConfigError, NotRunningError, ProjectError, RequestError

if TYPE_CHECKING:
    from ratchet.config.model import Config

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_STYLES = {"+": "green", "-": "red", "@": "dim"}
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where such a server is reached from here


def connect(
    ctx: typer.Context,
    host: Annotated[Host, typer.Argument(metavar="HOST", help="The program that the agent runs in.")],
    http: Annotated[
        bool, typer.Option("--http", help="Connect to the server of `ratchet up`, instead of starting `ratchet stdio`.")
    ] = False,
    name: Annotated[str, typer.Option("--name", help="What the host calls the server.")] = "ratchet",
    print_only: Annotated[bool, typer.Option("--print", help="Print the entry as JSON and write nothing.")] = False,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Write into this file instead of the host's usual one."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an entry of the same name that belongs to something else.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enter this project in the file of an agent's host.

    Everything else in the file stays. No API key is ever written.
    """
    here = scope(ctx, config, data_dir, as_json=as_json)
    if not _NAME.fullmatch(name):
        raise RequestError(f"--name is {name[:80]!r}: use letters, digits, _ and -, at most 64 of them")
    entry = _http_entry(here, host) if http else hosts.stdio_entry(host, _command(here))
    wanted = hosts.fragment(host, name, entry)
    if print_only:
        here.terminal.show_json(wanted)
        return
    path = file or hosts.file_of(host, Path(here.project.folder), os.environ, sys.platform)
    path = path.expanduser().absolute()
    before, document = host_files.read(path)
    result = host_files.merged(path, document, wanted, ours=_config_path(here), replace=replace)
    changed = result != document or not before
    after = host_files.rendered(result, before) if changed else before
    if changed:
        host_files.write(path, after)
    if here.as_json:
        section: Document = result[FORMS[host].section]
        here.terminal.show_json(
            {"host": host.value, "file": str(path), "name": name, "changed": changed, "entry": section[name]}
        )
    else:
        here.terminal.show(_report(path, before, after))
        here.terminal.say(_left_to_do(host, entry, changed=changed))


def _config_path(here: Scope) -> str:
    """The configuration file, absolute: hosts start servers in folders of their own choice.

    Raises:
        ProjectError: There is none, so that nothing would tell which project is meant.
    """
    path = here.project.config_path
    if path is None:
        raise ProjectError(
            f"there is no ratchet.yaml in {here.project.folder}, and a host has only its path to tell which project is "
            "meant: `ratchet init` makes one, --config names one"
        )
    return str(path)


def _command(here: Scope) -> list[str]:
    """What starts Ratchet for this project from anywhere."""
    script = Path(sys.executable).with_name("ratchet")
    program = [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-P", "-m", "ratchet"]
    command = [*program, "stdio", "--config", _config_path(here)]
    override = here.project.data_dir_override
    return command if override is None else [*command, "--data-dir", str(override)]


def _http_entry(here: Scope, host: Host) -> Document:
    if not FORMS[host].http:
        raise RequestError(
            f"{FORMS[host].title} reads only servers that it starts itself from its file: leave --http out, or add the "
            "address as a connector in its settings"
        )
    # It loads the configuration's model, which the usual entry does not need.
    from ratchet.config import load_config

    config = load_config(here.project, environ=os.environ)
    with_key = config.mcp.server.auth.type != "none"
    return hosts.http_entry(host, _running_url(here) or _configured_url(config), with_key=with_key)


def _running_url(here: Scope) -> str | None:
    """Where the supervisor's server is; None where none runs, or none with a port."""
    from ratchet.supervision.client import SupervisorClient

    try:
        with SupervisorClient(here.project) as client:
            return next(iter(client.status().addresses), None)
    except NotRunningError:
        return None


def _configured_url(config: "Config") -> str:
    server = config.mcp.server
    if not server.serves_http:
        raise ConfigError("the configuration has no HTTP server (mcp.server.enabled, mcp.server.transport)")
    address = server.address
    if address.port == 0:
        raise ConfigError(
            "mcp.server.bind_address leaves the port open, and no server runs: give it a port, so that an entry stays "
            "right, or start `ratchet up` first"
        )
    host = _WILDCARDS.get(address.host, address.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{address.port}/mcp"


def _report(path: Path, before: str, after: str) -> list[Block]:
    if before == after:
        return [line(f"{path} has this entry already")]
    changes = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    shown = [one for one in changes if not one.startswith(("---", "+++"))]
    return [
        line(Piece("changed " if before else "created ", "green"), str(path)),
        *(line(Piece(one, _STYLES.get(one[:1], ""))) for one in shown),
    ]


def _left_to_do(host: Host, entry: Document, *, changed: bool) -> list[Block]:
    left: list[Block] = []
    if "headers" in entry and FORMS[host].inputs:
        left.append(line("VS Code asks for the API key when it starts the server, and keeps it"))
    elif "headers" in entry:
        left.append(line(f"set {KEY_VARIABLE} to the API key where {FORMS[host].title} is started"))
    if changed:
        left.append(line(Piece("next: ", "bold"), FORMS[host].after))
    return left
