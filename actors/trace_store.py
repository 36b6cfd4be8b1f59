"""The trace-store: sole owner of spans."""

from ipc.link import Request
from ratchet import rpc
from ratchet.actor import ActorHost, ActorSetup, run_actor
from ratchet.bodies.common import Empty
from ratchet.bodies.health import Health
from ratchet.bodies.retention import ListStored, PrunedRows, PruneRows, StoredExecutions
from ratchet.bodies.telemetry import AppendSpans, ReadSpans, SpanPage
from ratchet.health import ProcessHealth
from ratchet.messages import APPEND_SPANS, GET_HEALTH, LIST_TRACED, PRUNE_SPANS, READ_SPANS
from ratchet.stores.spans import TraceStore


async def main(host: ActorHost) -> None:
    """Serve the spans until drained; what was answered by then is durable.

    Raises:
        StoreError: The file cannot be used; the message says what to do about it.
    """
    process = ProcessHealth(host.setup.name)
    async with host.database("spans.db", store="spans") as database:
        store = TraceStore(database)

        async def append(body: AppendSpans, _request: Request) -> Empty:
            await store.append(body)
            return Empty()

        async def read(body: ReadSpans, _request: Request) -> SpanPage:
            return await store.read(body)

        async def health(_body: Empty, _request: Request) -> Health:
            counters = dict(host.link.counters)
            return process.report(stores=[database.health(await store.total())], counters=counters)

        async def stored(body: ListStored, _request: Request) -> StoredExecutions:
            return await store.rows.stored(body)

        async def prune(body: PruneRows, _request: Request) -> PrunedRows:
            return await store.rows.prune(body)

        serves = {APPEND_SPANS: append, READ_SPANS: read, LIST_TRACED: stored, PRUNE_SPANS: prune, GET_HEALTH: health}
        host.connect(rpc.methods(serves))
        host.ready(spans=await store.total(), **database.remarks())
        host.own(database.until_damaged(), name="damage")
        await host.drain.wait()
        await host.farewell()


def start(setup: ActorSetup) -> None:
    """Be the trace-store's process."""
    run_actor(setup, main)
