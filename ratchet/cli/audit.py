"""`ratchet audit`: what clients called, and what was refused to them."""

import asyncio
import time
from typing import Annotated

import typer

from ratchet.cli import arguments
from ratchet.cli.audit_view import audit_table
from ratchet.cli.connection import connect
from ratchet.cli.options import ConfigOption, DataDirOption, JsonOption, Scope, scope
from ratchet.messages import READ_AUDIT
from ratchet.models import AuditRecord
from ratchet.policy.requests import ReadAudit

_PAGE = 500


def audit(
    ctx: typer.Context,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="Only newer ones: 30m, 1h, 2d, or an ISO time.")
    ] = None,
    client: Annotated[str | None, typer.Option("--client", metavar="NAME", help="Only calls of this client.")] = None,
    refused: Annotated[bool, typer.Option("--refused", help="Only what was refused.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many, newest first.")] = 50,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who called what, and what was refused, newest first."""
    here = scope(ctx, config, data_dir, as_json=as_json)
    wanted = ReadAudit(since_ns=arguments.since(since), named=client, refused=refused, limit=limit)
    found = asyncio.run(_read(here, wanted))
    if here.as_json:
        here.terminal.show_json({"records": [one.model_dump(mode="json") for one in found]})
    else:
        here.terminal.show(audit_table(found, now_ns=time.time_ns()))


async def _read(here: Scope, wanted: ReadAudit) -> list[AuditRecord]:
    found: list[AuditRecord] = []
    async with connect(here.project) as client:
        cursor: str | None = None
        while len(found) < wanted.limit:
            size = min(_PAGE, wanted.limit - len(found))
            page = await client.call(READ_AUDIT, wanted.model_copy(update={"limit": size, "cursor": cursor}))
            found += page.records
            cursor = page.next_cursor
            if cursor is None:
                break
    return found
