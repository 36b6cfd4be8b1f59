"""`ratchet tasks`: what can be run."""

import asyncio
from typing import Annotated

import typer

from ratchet.bodies.executions import Catalogue, ListTasks
from ratchet.cli.connection import connect
from ratchet.cli.options import ConfigOption, DataDirOption, JsonOption, Scope, scope
from ratchet.cli.task_view import catalogue_blocks
from ratchet.messages import LIST_TASKS


def tasks(
    ctx: typer.Context,
    filter_: Annotated[
        str | None, typer.Argument(metavar="[FILTER]", help="Only tasks whose id, description or tags contain this.")
    ] = None,
    schemas: Annotated[bool, typer.Option("--schemas", help="Show the schemas of input and output.")] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the tasks, and the task files that cannot be loaded."""
    here = scope(ctx, config, data_dir, as_json=as_json)
    found = asyncio.run(_catalogue(here, filter_))
    if here.as_json:
        here.terminal.show_json(_document(found, schemas=schemas))
    else:
        here.terminal.show(catalogue_blocks(found, folder=here.project.folder, schemas=schemas))


async def _catalogue(here: Scope, text: str | None) -> Catalogue:
    async with connect(here.project) as client:
        return await client.call(LIST_TASKS, ListTasks(filter=text))


def _document(found: Catalogue, *, schemas: bool) -> dict[str, object]:
    left_out: set[str] = set() if schemas else {"input_schema", "output_schema"}
    return {
        "tasks": [task.model_dump(mode="json", exclude=left_out) for task in found.tasks],
        "broken": [broken.model_dump(mode="json") for broken in found.broken],
    }
