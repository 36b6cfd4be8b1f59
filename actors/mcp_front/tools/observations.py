"""The tools that show what an execution did: get_execution_logs, get_execution_trace."""

import asyncio

from actors.mcp_front.answers import log_answers, trace_answers
from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.answers.log_answers import Fetched
from actors.mcp_front.tools.call import ToolCall
from ipc.link import Link
from ratchet import family_trace, rpc
from ratchet.bodies.executions import GetExecution, ListExecutions
from ratchet.bodies.telemetry import LogPage, ReadLogs, ReadSpans, SpanPage, StoredLogRecord
from ratchet.logsummary import PRECEDING
from ratchet.messages import GET_EXECUTION, LIST_EXECUTIONS, READ_LOGS, READ_SPANS
from ratchet.models import Execution, Status

_SECONDS = 10.0
_LAST_RECORDS = 3
_FAMILY_MAX = 200


async def get_execution_logs(call: ToolCall) -> Answer:
    """A page of an execution's log with what matters of the rest."""
    key = (call.caller.client.name, *sorted(call.arguments.items()))
    kept = call.front.finished_logs.get(key)
    if kept is not None:
        return kept
    execution = await _execution(call)
    answer = await _logs(call, execution)
    if is_complete(execution):
        call.front.finished_logs.put(key, answer)
    return answer


async def _logs(call: ToolCall, execution: Execution) -> Answer:
    given, link = call.arguments, call.front.link
    request = ReadLogs(
        execution_id=execution.execution_id,
        attempt=given.get("attempt"),
        level=given.get("level"),
        search=given.get("search"),
        limit=min(given["limit"], call.front.log_entries_max or given["limit"]),
        after=given.get("cursor"),
    )
    page = await _read(link, request)
    failed = execution.status is Status.FAILED
    shown = log_answers.room(page.records, given["format"], failed=failed)
    if shown < len(page.records):
        # The cursor of a shorter page is the store's to give.
        page = await _read(link, request.model_copy(update={"limit": shown}))
    fetched = await _with_highlights(link, page, min(shown, len(page.records)), request)
    return log_answers.logs(execution, fetched, call.wording, given["format"])


async def get_execution_trace(call: ToolCall) -> Answer:
    """An execution's spans, where its time went, and what failed."""
    given, link = call.arguments, call.front.link
    execution = await _execution(call)
    own = await _spans(link, execution, attempt=given.get("attempt"))
    spans = await _with_called(call, execution, own)
    view = trace_answers.View(
        include_http_calls=given["include_http_calls"], span_id=given.get("span_id"), max_spans=given["max_spans"]
    )
    return trace_answers.trace(execution, spans, view, call.wording)


async def _with_called(call: ToolCall, execution: Execution, own: SpanPage) -> SpanPage:
    """The spans of an execution with those of all that it called below them: the caller's own, whatever spans say."""
    if not family_trace.calls_others(own):
        return own
    request = ListExecutions(
        client=call.caller.client, root_id=family_trace.root_of(execution), sort="oldest", limit=_FAMILY_MAX
    )
    family = await rpc.call(call.front.link, LIST_EXECUTIONS, request, timeout_seconds=_SECONDS)
    below = family_trace.below(execution, family.executions)[: family_trace.EXECUTIONS_MAX]
    pages = await asyncio.gather(*(_spans(call.front.link, one, limit=family_trace.SPANS_EACH_MAX) for one in below))
    return family_trace.joined(own, list(zip(below, pages, strict=True)))


async def _spans(
    link: Link, execution: Execution, *, limit: int = family_trace.SPANS_MAX, attempt: int | None = None
) -> SpanPage:
    request = ReadSpans(execution_id=execution.execution_id, limit=limit, attempt=attempt)
    return await rpc.call(link, READ_SPANS, request, timeout_seconds=_SECONDS)


def is_complete(execution: Execution) -> bool:
    """Whether nothing can be added to what is stored of it."""
    return execution.status.terminal and all(one.telemetry == "complete" for one in execution.attempts)


async def _execution(call: ToolCall) -> Execution:
    """The execution that a call is about, where it is the caller's: the stores do not know whose their rows are."""
    request = GetExecution(client=call.caller.client, execution_id=call.arguments["execution_id"])
    return await rpc.call(call.front.link, GET_EXECUTION, request, timeout_seconds=_SECONDS)


async def _read(link: Link, request: ReadLogs) -> LogPage:
    return await rpc.call(link, READ_LOGS, request, timeout_seconds=_SECONDS)


async def _with_highlights(link: Link, page: LogPage, shown: int, request: ReadLogs) -> Fetched:
    """The page and, where it is a first one, the first error with what preceded it and the newest records."""
    if request.after is not None:
        return Fetched(page, shown)
    first_error = await _first_error(link, page, request)
    last: list[StoredLogRecord] = []
    if page.more:
        newest = ReadLogs(execution_id=request.execution_id, level=request.level, limit=_LAST_RECORDS, tail=True)
        last = list((await _read(link, newest)).records)
    if first_error is None:
        return Fetched(page, shown, last=last)
    before = ReadLogs(
        execution_id=request.execution_id, before=first_error.position, limit=PRECEDING, tail=True
    )  # whatever the page left out by level and search
    return Fetched(page, shown, first_error, last, preceding=(await _read(link, before)).records)


async def _first_error(link: Link, page: LogPage, request: ReadLogs) -> StoredLogRecord | None:
    """Of the whole log."""
    if not page.counts.get("error"):
        return None
    found = None if request.search else next((one for one in page.records if one.level == "error"), None)
    if found is not None:
        return found
    errors = await _read(link, ReadLogs(execution_id=request.execution_id, level="error", limit=1))
    return next(iter(errors.records), None)
