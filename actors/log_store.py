"""The log-store: sole owner of log records."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from ipc.errors import IpcError
from ipc.link import Request
from ratchet import rpc
from ratchet.actor import ActorHost, ActorSetup, run_actor
from ratchet.bodies.common import Empty
from ratchet.bodies.executions import GetExecution
from ratchet.bodies.health import Health
from ratchet.bodies.retention import ListStored, PrunedRows, PruneRows, StoredExecutions
from ratchet.bodies.telemetry import AppendLogs, FollowLogs, LogBatch, LogPage, ReadLogs
from ratchet.errors import RatchetError
from ratchet.health import ProcessHealth
from ratchet.messages import APPEND_LOGS, FOLLOW_LOGS, GET_EXECUTION, GET_HEALTH, LIST_LOGGED, PRUNE_LOGS, READ_LOGS
from ratchet.stores.logs import LogStore

_ASK_SECONDS = 60.0  # one question after an execution's end
_SLACK_SECONDS = 30.0
_PAUSE_SECONDS = 1.0
_ENDS = 2


async def main(host: ActorHost) -> None:
    """Serve the log until drained; what was answered by then is durable.

    Raises:
        StoreError: The file cannot be used; the message says what to do about it.
    """
    process = ProcessHealth(host.setup.name)
    async with host.database("logs.db", store="logs") as database:
        store = LogStore(database)

        async def append(body: AppendLogs, _request: Request) -> Empty:
            await store.append(body)
            return Empty()

        async def read(body: ReadLogs, _request: Request) -> LogPage:
            return await store.read(body)

        async def follow(body: FollowLogs, _request: Request) -> AsyncGenerator[LogBatch]:
            over = asyncio.Event()
            watching = asyncio.create_task(_until_over(host, body.execution_id, over))
            try:
                async with aclosing(store.follow(body, over)) as batches:
                    async for batch in batches:
                        yield batch
            finally:
                watching.cancel()

        async def stored(body: ListStored, _request: Request) -> StoredExecutions:
            return await store.rows.stored(body)

        async def prune(body: PruneRows, _request: Request) -> PrunedRows:
            return await store.rows.prune(body)

        async def health(_body: Empty, _request: Request) -> Health:
            counters = dict(host.link.counters)
            return process.report(stores=[database.health(await store.total())], counters=counters)

        methods = rpc.methods(
            {APPEND_LOGS: append, READ_LOGS: read, LIST_LOGGED: stored, PRUNE_LOGS: prune, GET_HEALTH: health}
        )
        host.connect({**methods, **rpc.streams({FOLLOW_LOGS: follow})})
        host.ready(records=await store.total(), **database.remarks())
        host.own(database.until_damaged(), name="damage")
        await host.drain.wait()
        store.end_waits()
        await host.farewell()


async def _until_over(host: ActorHost, execution_id: str, over: asyncio.Event) -> None:
    """Set `over` when the execution is, or is not known; a runner that does not answer now is asked again.

    An end that was waited for may be told just before the runner sends the last records on. It is asked twice, since
    the records are sent before any request that follows from the end is answered.
    """
    request = GetExecution(execution_id=execution_id, wait_seconds=_ASK_SECONDS)
    ends = 0
    while ends < _ENDS:
        try:
            found = await rpc.call(host.link, GET_EXECUTION, request, timeout_seconds=_ASK_SECONDS + _SLACK_SECONDS)
        except IpcError:
            await asyncio.sleep(_PAUSE_SECONDS)
        except RatchetError as error:
            if error.retryable:
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                break
        else:
            ends += found.status.terminal
    over.set()


def start(setup: ActorSetup) -> None:
    """Be the log-store's process."""
    run_actor(setup, main)
