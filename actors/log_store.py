"""The log-store: sole owner of log records."""

from ipc.link import Request
from ratchet import rpc
from ratchet.actor import ActorHost, ActorSetup, run_actor
from ratchet.health import ProcessHealth
from ratchet.messages import APPEND_LOGS, GET_HEALTH, READ_LOGS, AppendLogs, Empty, Health, LogPage, ReadLogs
from ratchet.stores.database import Database
from ratchet.stores.logs import LogStore


async def main(host: ActorHost) -> None:
    """Serve the log until drained; what was answered by then is durable.

    Raises:
        StoreError: The file cannot be used; the message says what to do about it.
    """
    process = ProcessHealth(host.setup.name)
    async with Database.open(host.setup.config.data_dir / "logs.db", store="logs") as database:
        store = LogStore(database)

        async def append(body: AppendLogs, _request: Request) -> Empty:
            await store.append(body)
            return Empty()

        async def read(body: ReadLogs, _request: Request) -> LogPage:
            return await store.read(body)

        async def health(_body: Empty, _request: Request) -> Health:
            return process.report(stores=[database.health(await store.total())])

        host.connect(rpc.methods({APPEND_LOGS: append, READ_LOGS: read, GET_HEALTH: health}))
        host.ready(records=await store.total())
        await host.drain.wait()
        store.end_waits()


def start(setup: ActorSetup) -> None:
    """Be the log-store's process."""
    run_actor(setup, main)
