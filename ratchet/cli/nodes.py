"""`ratchet node`: machines that run workers for this one: letting them join, and having them drained or cut off."""

import asyncio
import time
from typing import Annotated, TypeVar

import typer

from ratchet.bodies.common import Empty
from ratchet.bodies.nodes import TOKEN_SECONDS_MAX, MakeToken, NameNode, NodeInfo, NodeList, Token
from ratchet.cli import arguments
from ratchet.cli.completion import complete_node
from ratchet.cli.connection import CALL_SECONDS, connect
from ratchet.cli.node_view import changed_line, node_table, token_blocks
from ratchet.cli.options import ConfigOption, DataDirOption, JsonOption, Scope, scope
from ratchet.messages import DRAIN_NODE, LIST_NODES, MAKE_TOKEN, RESUME_NODE, REVOKE_NODE, Procedure
from ratchet.models import Model

RequestT = TypeVar("RequestT", bound=Model)
ReplyT = TypeVar("ReplyT", bound=Model)
NodeArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="As `ratchet node list` has it.", autocompletion=complete_node)
]

app = typer.Typer(help="Machines that run workers for this one.", no_args_is_help=True)


@app.command("token")
def token(
    ctx: typer.Context,
    uses: Annotated[int, typer.Option("--uses", min=1, max=1000, help="How many nodes it lets in.")] = 1,
    expires: Annotated[str, typer.Option("--expires", metavar="TIME", help="How long: 30m, 1h, 2d.")] = "1h",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a join token: a secret that lets a machine in once, or as often as --uses says.

    Standard output has the token alone; what to do with it is said on standard error.
    """
    here = scope(ctx, config, data_dir, as_json=as_json)
    wanted = MakeToken(uses=uses, expires_seconds=_lifetime(expires))
    made: Token = asyncio.run(_call(here, MAKE_TOKEN, wanted))
    if here.as_json:
        here.terminal.show_json(made.model_dump(mode="json"))
        return
    typer.echo(made.token)
    here.terminal.say(token_blocks(made, now_ns=time.time_ns()))


@app.command("list")
def list_nodes(
    ctx: typer.Context,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the machines that joined."""
    here = scope(ctx, config, data_dir, as_json=as_json)
    found: NodeList = asyncio.run(_call(here, LIST_NODES, Empty()))
    if here.as_json:
        here.terminal.show_json(found.model_dump(mode="json"))
    else:
        here.terminal.show(node_table(found, now_ns=time.time_ns()))


@app.command("drain")
def drain(
    ctx: typer.Context,
    name: NodeArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a node nothing new to run; what runs on it finishes. `ratchet node resume` undoes it."""
    _change(scope(ctx, config, data_dir, as_json=as_json), DRAIN_NODE, name)


@app.command("resume")
def resume(
    ctx: typer.Context,
    name: NodeArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a node that was drained work again."""
    _change(scope(ctx, config, data_dir, as_json=as_json), RESUME_NODE, name)


@app.command("revoke")
def revoke(
    ctx: typer.Context,
    name: NodeArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cut a node off at once and for good; what runs on it is given up.

    Its machine comes back only with a new key and a new join token.
    """
    _change(scope(ctx, config, data_dir, as_json=as_json), REVOKE_NODE, name)


def _lifetime(text: str) -> float:
    seconds = arguments.seconds(text, option="--expires")
    if not 0 < seconds <= TOKEN_SECONDS_MAX:
        raise typer.BadParameter(
            f"a join token lives for up to {TOKEN_SECONDS_MAX / 86400:g} days, not {text}", param_hint="--expires"
        )
    return seconds


def _change(here: Scope, procedure: Procedure[NameNode, NodeInfo], name: str) -> None:
    node: NodeInfo = asyncio.run(_call(here, procedure, NameNode(name=name)))
    if here.as_json:
        here.terminal.show_json(node.model_dump(mode="json"))
    else:
        here.terminal.show([changed_line(node)])


async def _call(here: Scope, procedure: Procedure[RequestT, ReplyT], body: RequestT) -> ReplyT:
    async with connect(here.project) as client:
        return await client.call(procedure, body, timeout_seconds=CALL_SECONDS)
