"""`ratchet trace`: where the time of an execution went."""

import asyncio
import dataclasses

import typer

from ratchet import family_trace
from ratchet.bodies.executions import ListExecutions
from ratchet.bodies.telemetry import ReadSpans, SpanPage
from ratchet.cli.connection import connect
from ratchet.cli.identifiers import find_execution
from ratchet.cli.options import ConfigOption, DataDirOption, ExecutionArgument, JsonOption, Scope, scope
from ratchet.cli.trace_view import trace_blocks
from ratchet.messages import LIST_EXECUTIONS, READ_SPANS
from ratchet.models import Execution, JsonObject
from ratchet.trace import bottlenecks, build, critical_path

_FAMILY_MAX = 200


def trace(
    ctx: typer.Context,
    execution: ExecutionArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an execution's spans as a waterfall.

    What it called hangs below the span that called it. ◆ marks the critical path: what its end waited for.
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
        own = await client.call(READ_SPANS, ReadSpans(execution_id=found.execution_id))
        if not family_trace.calls_others(own):
            return found, own
        wanted = ListExecutions(root_id=family_trace.root_of(found), sort="oldest", limit=_FAMILY_MAX)
        family = await client.call(LIST_EXECUTIONS, wanted)
        others: list[tuple[Execution, SpanPage]] = []
        for one in family_trace.below(found, family.executions)[: family_trace.EXECUTIONS_MAX]:
            request = ReadSpans(execution_id=one.execution_id, limit=family_trace.SPANS_EACH_MAX)
            others.append((one, await client.call(READ_SPANS, request)))
        return found, family_trace.joined(own, others)


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
