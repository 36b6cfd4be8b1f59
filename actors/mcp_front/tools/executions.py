"""The tools that run executions and follow them: execute_task, get_execution_status, list_executions, cancel_execution.

An execution runs outside the call that started it. A call waits for it, across a restart of the runner too: submitting
is idempotent by the execution's id, which is minted here.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace

import structlog

from actors.mcp_front.answers import execution_answers, listing_answers
from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.answers.failures import unanswered
from actors.mcp_front.ear import ByRetry
from actors.mcp_front.front import Front
from actors.mcp_front.protocol.log_relay import RECORDS_MAX, LogRelay
from actors.mcp_front.tools.call import ToolCall
from actors.mcp_front.tools.moments import parse_moment
from actors.mcp_front.tools.waiting import ANSWER_SECONDS, waited
from ipc.errors import IpcError, LostError
from ratchet import rpc
from ratchet.bodies.executions import CancelExecution, GetExecution, ListExecutions, Submit
from ratchet.bodies.telemetry import LogPage, ReadLogs
from ratchet.errors import RatchetError, UnknownExecutionError
from ratchet.execution_ids import new_execution_id
from ratchet.messages import CANCEL_EXECUTION, GET_EXECUTION, LIST_EXECUTIONS, READ_LOGS, SUBMIT
from ratchet.models import Execution, Status
from ratchet.policy.client import Client

log = structlog.stdlib.get_logger("mcp-front")

WAIT_SECONDS = 30
_LOG_WAIT_SECONDS = 20.0
_CANCEL_WAIT_SECONDS = 15.0
_CANCEL_RETRIES_SECONDS = (0.05, 0.2, 0.5, 1.0)
_SHRINK_MAX = 3
_RERUNS_MAX = 5
_CALLED_MAX = 20


async def execute_task(call: ToolCall) -> Answer:
    """Run a task and wait for it as long as asked."""
    given = call.arguments
    execution_id = _began(call) or new_execution_id()
    wait_seconds = _wait_seconds(call)
    submit = Submit(
        client=call.caller.client,
        execution_id=execution_id,
        task_id=given["task_id"],
        input=given["input"],
        source=call.caller.source,
        trace=given["trace"],
        priority=given["priority"],
        idempotency_key=given.get("idempotency_key"),
        timeout_seconds=given.get("timeout_seconds"),
        metadata=given.get("metadata", {}),
        wait_seconds=wait_seconds,
    )
    with call.front.waits.starting(call.caller.wait_key, execution_id):
        try:
            async with _log_of(call, execution_id, wait_seconds):
                found = await waited(call, SUBMIT, submit, execution_id)
        except UnknownExecutionError:  # the wait was cut short before the submission had arrived
            return unanswered(LostError("not accepted yet"), call.wording.names, submitted=execution_id)
        except IpcError as error:
            return unanswered(error, call.wording.names, submitted=execution_id)
    return found.told(execution_answers.ran(found.execution, call.wording))


def _began(call: ToolCall) -> str | None:
    """The execution that this call began when it was made before; None: it was not."""
    return call.ear.execution_id if isinstance(call.ear, ByRetry) else None


def _log_of(call: ToolCall, execution_id: str, wait_seconds: float) -> AbstractAsyncContextManager[object]:
    """Sends the execution's log to the client while the call waits for it, if the client wants that."""
    front, wish = call.front, call.log_wish
    if wish is None or not wait_seconds or _began(call) is not None:
        return nullcontext()

    async def read(after: str | None, wait: bool) -> LogPage:
        seconds = _LOG_WAIT_SECONDS if wait else 0.0
        request = ReadLogs(execution_id=execution_id, level=wish.level, after=after, wait_seconds=seconds)
        return await rpc.call(front.link, READ_LOGS, request, timeout_seconds=seconds + ANSWER_SECONDS)

    return LogRelay(read, wish.send, records_max=min(RECORDS_MAX, front.log_entries_max or RECORDS_MAX))


async def get_execution_status(call: ToolCall) -> Answer:
    """Look at an execution, or wait for its end as long as asked."""
    execution_id, wait_seconds = call.arguments["execution_id"], _wait_seconds(call)
    request = GetExecution(client=call.caller.client, execution_id=execution_id, wait_seconds=wait_seconds)
    found = await waited(call, GET_EXECUTION, request, execution_id)
    return found.told(
        execution_answers.status(
            found.execution,
            call.wording,
            output_offset=call.arguments["output_offset"],
            reruns=await _reruns(call, found.execution),
            called=await _called(call, found.execution),
        )
    )


async def cancel_execution(call: ToolCall) -> Answer:
    """Ask an execution to stop and see how it does."""
    execution_id = call.arguments["execution_id"]
    request = CancelExecution(
        client=call.caller.client,
        execution_id=execution_id,
        reason=call.arguments["reason"],
        wait_seconds=_CANCEL_WAIT_SECONDS,
    )
    found = await waited(replace(call, ear=None), CANCEL_EXECUTION, request, execution_id)
    return execution_answers.cancelled(found.execution, call.wording)


async def list_executions(call: ToolCall) -> Answer:
    """A page of executions, cut where the answer is full."""
    given, front = call.arguments, call.front
    request = ListExecutions(
        client=call.caller.client,
        since_ns=_moment(call, "since"),
        until_ns=_moment(call, "until"),
        status=[Status(given["status"])] if "status" in given else None,
        task_id=given.get("task_id"),
        limit=given["limit"],
        cursor=given.get("cursor"),
        sort=given["sort"],
    )
    page = await rpc.call(front.link, LIST_EXECUTIONS, request, timeout_seconds=ANSWER_SECONDS)
    rows, lines = listing_answers.listed(page.executions)
    for _ in range(_SHRINK_MAX):
        if len(rows) == len(page.executions):
            break
        # The cursor of a shorter page is the runner's to give.
        shorter = request.model_copy(update={"limit": len(rows)})
        page = await rpc.call(front.link, LIST_EXECUTIONS, shorter, timeout_seconds=ANSWER_SECONDS)
        rows, lines = listing_answers.listed(page.executions)
    return listing_answers.listing(rows, lines, next_cursor=page.next_cursor, names=call.wording.names)


async def cancel_for_client(front: Front, client: Client, execution_id: str) -> None:
    """Cancel an execution whose request the client has withdrawn; nobody waits for an answer."""
    request = CancelExecution(client=client, execution_id=execution_id, reason="the client cancelled its request")
    for pause_seconds in (*_CANCEL_RETRIES_SECONDS, None):
        try:
            await rpc.call(front.link, CANCEL_EXECUTION, request, timeout_seconds=ANSWER_SECONDS)
        except UnknownExecutionError:  # the submission may still be on its way
            if pause_seconds is not None:
                await asyncio.sleep(pause_seconds)
        except (IpcError, RatchetError) as error:
            log.warning("a client's cancellation was not carried out", execution=execution_id, error=str(error))
            return
        else:
            return


async def _reruns(call: ToolCall, execution: Execution) -> list[Execution]:
    """The newest executions that were run again because of one that did not complete; the caller's own."""
    if not execution.status.terminal or execution.status is Status.COMPLETED:
        return []
    request = ListExecutions(client=call.caller.client, rerun_of=execution.execution_id, limit=_RERUNS_MAX)
    return (await rpc.call(call.front.link, LIST_EXECUTIONS, request, timeout_seconds=ANSWER_SECONDS)).executions


async def _called(call: ToolCall, execution: Execution) -> list[Execution]:
    """The newest executions that its task called: its owner's, like it."""
    if not execution.attempts:
        return []
    request = ListExecutions(client=call.caller.client, parent_id=execution.execution_id, limit=_CALLED_MAX)
    return (await rpc.call(call.front.link, LIST_EXECUTIONS, request, timeout_seconds=ANSWER_SECONDS)).executions


def _moment(call: ToolCall, field: str) -> int | None:
    given = call.arguments.get(field)
    return None if given is None else parse_moment(given, field=field, now_ns=call.front.now_ns())


def _wait_seconds(call: ToolCall) -> float:
    return min(float(call.arguments["wait_seconds"]), call.front.wording.wait_seconds_max)
