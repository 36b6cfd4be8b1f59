"""The tool that says why an execution failed: analyze_execution_error.

Gathers what `ratchet.analysis` needs and nothing else. Everything is read on the caller's behalf, so that other
clients' executions and tasks do not show through.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from actors.mcp_front.answers import analysis_answers
from actors.mcp_front.answers.analysis_answers import Gathered
from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.tools.call import ToolCall
from ratchet import rpc
from ratchet.bodies.executions import GetExecution, ListExecutions, ListTasks
from ratchet.bodies.telemetry import ReadLogs, ReadSpans, StoredLogRecord
from ratchet.insights import insights
from ratchet.messages import GET_EXECUTION, LIST_EXECUTIONS, LIST_TASKS, READ_LOGS, READ_SPANS
from ratchet.models import Execution, Status, Task
from ratchet.trace import build

_SECONDS = 10.0
# Changed task files are described by children before the answer, each of which may import a lot.
_TASKS_SECONDS = 50.0
_OTHERS_MAX = 50  # of each status
_RECORDS_MAX = 50
_SPANS_MAX = 2_000
_INSIGHTS_MAX = 3
_SOURCE_BYTES_MAX = 256 * 1024


async def analyze_execution_error(call: ToolCall) -> Answer:
    """The failure of an execution: its cause, whether to try again, what to change, what to call next."""
    request = GetExecution(client=call.caller.client, execution_id=call.arguments["execution_id"])
    execution = await rpc.call(call.front.link, GET_EXECUTION, request, timeout_seconds=_SECONDS)
    if not analysis_answers.has_failed(execution):
        return analysis_answers.nothing_failed(execution, call.wording)
    task, records, failed, completed, sentences = await asyncio.gather(
        _task(call, execution),
        _last_records(call, execution),
        _others(call, execution, Status.FAILED),
        _others(call, execution, Status.COMPLETED),
        _insights(call, execution),
    )
    gathered = Gathered(
        execution=execution,
        task=task,
        log_tail=records,
        earlier=[*failed, *completed],
        sources={} if task is None else await asyncio.to_thread(_source, task.path),
        insights=sentences,
    )
    return analysis_answers.analysis(gathered, call.wording, include_suggestions=call.arguments["include_suggestions"])


async def _task(call: ToolCall, execution: Execution) -> Task | None:
    """As the catalogue has it now; None where it is gone, broken, or does not exist for the caller."""
    request = ListTasks(client=call.caller.client, filter=execution.task_id)
    catalogue = await rpc.call(call.front.link, LIST_TASKS, request, timeout_seconds=_TASKS_SECONDS)
    return next((one for one in catalogue.tasks if one.task_id == execution.task_id), None)


async def _last_records(call: ToolCall, execution: Execution) -> Sequence[StoredLogRecord]:
    request = ReadLogs(execution_id=execution.execution_id, limit=_RECORDS_MAX, tail=True)
    return (await rpc.call(call.front.link, READ_LOGS, request, timeout_seconds=_SECONDS)).records


async def _others(call: ToolCall, execution: Execution, status: Status) -> Sequence[Execution]:
    request = ListExecutions(client=call.caller.client, status=[status], task_id=execution.task_id, limit=_OTHERS_MAX)
    return (await rpc.call(call.front.link, LIST_EXECUTIONS, request, timeout_seconds=_SECONDS)).executions


async def _insights(call: ToolCall, execution: Execution) -> list[str]:
    """What the trace adds, for those who may read it."""
    if not call.wording.names.offers("get_execution_trace"):
        return []
    request = ReadSpans(execution_id=execution.execution_id, limit=_SPANS_MAX)
    page = await rpc.call(call.front.link, READ_SPANS, request, timeout_seconds=_SECONDS)
    return insights(build(page.spans), limit=_INSIGHTS_MAX)


def _source(path: str) -> dict[str, str]:
    """The task's own file as it is now. No other is read: frames name files as the task's process reported them."""
    try:
        with Path(path).open("rb") as file:
            return {path: file.read(_SOURCE_BYTES_MAX).decode(errors="replace")}
    except OSError:
        return {}
