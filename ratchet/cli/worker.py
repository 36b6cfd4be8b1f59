"""`ratchet worker`: a machine that only works. It joins a head once, with a token, and from then on by its own key."""

import asyncio
import itertools
import os
import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ratchet.cli.options import ConfigOption, DataDirOption, Scope, scope
from ratchet.cli.render import Piece, line
from ratchet.cli.supervisor import become, options
from ratchet.cluster import names
from ratchet.errors import RequestError, UnavailableError

if TYPE_CHECKING:
    from ipc.curve import KeyPair
    from ratchet.cluster.membership import Membership
    from ratchet.cluster.token import JoinToken

TOKEN_VARIABLE = "RATCHET_JOIN_TOKEN"  # noqa: S105 - its name
_TOKEN_PREFIX = "rjt_"  # noqa: S105 - how one begins
_TOKEN_BYTES_MAX = 4096
_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
_ADDRESS = re.compile(r"tcp://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}")


def worker(
    ctx: typer.Context,
    join: Annotated[
        str | None, typer.Option("--join", metavar="tcp://HOST:PORT", help="The head; kept from the first time on.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What this node is called [default: this host's name].")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=64, help="Worker processes [default: workers.count].")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help=f"File with a join token [default: ${TOKEN_VARIABLE}]."),
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    rest: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
) -> None:
    """Run tasks for a head on another machine, and stay.

    The first time, a join token (`ratchet node token` on the head) admits this machine; then its own key does. Ctrl-C
    lets what runs finish within its grace; a second one insists.
    """
    _refuse_tokens(join, name, str(token_file or ""), *(rest or []))
    here = scope(ctx, config, data_dir)
    token = os.environ.pop(TOKEN_VARIABLE, None)  # no process of this node needs it
    found = _membership(here, join)
    if found is None:
        _join(here, _required(join), name or _own_name(), _token(token_file, token))
    elif name is not None and name != found.node:
        raise RequestError(
            f"this machine joined {found.head} as {found.node}; to be {name}, revoke it there, remove {found.path} and "
            "join again"
        )
    become(["supervisor", "--node", *([] if workers is None else [f"--workers={workers}"]), *options(here)])


def _refuse_tokens(*arguments: str | None) -> None:
    if any(one is not None and _TOKEN_PREFIX in one for one in arguments):
        raise RequestError(
            "a join token on the command line can be read by everybody on this machine, and has been: let it expire, "
            f"and give a new one in a file (--token-file) or in {TOKEN_VARIABLE}"
        )
    if arguments[3:]:
        raise RequestError("`ratchet worker` takes options only; see `ratchet worker --help`")


def _membership(here: Scope, join: str | None) -> "Membership | None":
    """What this machine joined before; a head that moved is found at its new address by the same key."""
    from ratchet.cluster.membership import read_membership, write_membership

    found = read_membership(_data_dir(here))
    if found is not None and join is not None and join != found.head:
        found = replace(found, head=_required(join))
        write_membership(found)
    return found


def _join(here: Scope, head: str, name: str, token: str) -> None:
    from ratchet.cluster.keyfile import own_keys
    from ratchet.cluster.membership import Membership, key_path, write_membership
    from ratchet.cluster.token import parse_token

    if not names.valid(name):
        raise RequestError(
            f"a node cannot be called {name!r}: a small letter, then up to 31 of small letters, digits and dashes; "
            "--name says what it shall be called"
        )
    parsed, data_dir = parse_token(token), _data_dir(here)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    asyncio.run(_enrol(here, head, parsed, name, own_keys(key_path(data_dir))))
    write_membership(Membership(head, name, parsed.server_public, data_dir))
    here.terminal.note(f"joined {head} as {name}", "dim")


async def _enrol(here: Scope, head: str, token: "JoinToken", name: str, own: "KeyPair") -> None:
    """Until the head answers, whatever it says."""
    from ratchet.cluster.enrolment import enrol

    for tries in itertools.count():
        try:
            await enrol(head, token, name=name, own=own, seconds=_PATIENCE_SECONDS)
        except UnavailableError as error:
            pause_seconds = _PAUSE_SECONDS[min(tries, len(_PAUSE_SECONDS) - 1)]
            text = f"{error.message} Trying again in {pause_seconds:g} s."
            here.terminal.say([line(Piece(text, "yellow"))])
            await asyncio.sleep(pause_seconds)
        else:
            return


def _data_dir(here: Scope) -> Path:
    from ratchet.config import load_config

    return load_config(here.project, environ=os.environ).data_dir


def _required(join: str | None) -> str:
    if join is None:
        raise RequestError("which head? --join tcp://HOST:PORT says so, the first time")
    if _ADDRESS.fullmatch(join) is None:
        raise RequestError(f"--join {join!r} is no address of a head; one is tcp://HOST:PORT")
    return join


def _token(file: Path | None, variable: str | None) -> str:
    if file is not None:
        try:
            with file.open("r", encoding="utf-8") as opened:
                return opened.read(_TOKEN_BYTES_MAX)
        except (OSError, UnicodeDecodeError) as error:
            raise RequestError(f"--token-file {file} cannot be read: {error}") from None
    if not variable:
        raise RequestError(
            "this machine has joined no head yet: get a join token with `ratchet node token` there, and give it in "
            f"--token-file FILE or in {TOKEN_VARIABLE}"
        )
    return variable


def _own_name() -> str:
    return socket.gethostname().partition(".")[0].lower().replace("_", "-")[:32]
