"""`ratchet trace`: where the time of an execution went."""

import asyncio
import dataclasses

import typer

from ratchet.cli.connection import connect
from ratchet.cli.identifiers import find_execution
from ratchet.cli.options import ConfigOption, DataDirOption, ExecutionArgument, JsonOption, Scope, scope
from ratchet.cli.trace_view import trace_blocks
from ratchet.messages import READ_SPANS, ReadSpans, SpanPage
from ratchet.models import Execution, JsonObject
from ratchet.trace import bottlenecks, build, critical_path


def trace(
    ctx: typer.Context,
    execution: ExecutionArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the spans of an execution as a waterfall.

    ◆ marks the critical path: what its end waited for.
    """
    here = scope(ctx, config, data_dir, as_json=as_json)
    found, page = asyncio.run(_read(here, execution))
    if here.as_json:
        here.terminal.show_json(_document(found, page))
    else:
        here.terminal.show(trace_blocks(found, page, width=here.terminal.width))


async def _read(here: Scope, given: str) -> tuple[Execution, SpanPage]:
    async with connect(here.project) as client:
        found = await find_execution(client, given)
        return found, await client.call(READ_SPANS, ReadSpans(execution_id=found.execution_id))


def _document(execution: Execution, page: SpanPage) -> JsonObject:
    found = build(page.spans)
    return {
        "execution_id": execution.execution_id,
        "task_id": execution.task_id,
        "status": execution.status,
        "total_ms": found.total_ms,
        "spans": [span.model_dump(mode="json") for span in page.spans],
        "spans_total": page.total,
        "critical_path": [dataclasses.asdict(step) for step in critical_path(found)],
        "bottlenecks": [dataclasses.asdict(one) for one in bottlenecks(found)],
    }
