"""Keeping house where no supervisor runs: the stores are opened here, under the lock that keeps supervisors out."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from ratchet.config import load_config
from ratchet.project import Project
from ratchet.retention.housekeeper import Housekeeper, RowStore
from ratchet.stores import STORE_FILES
from ratchet.stores.database import Database
from ratchet.stores.logs import LogStore
from ratchet.stores.pruning import PruningStore, StoreName
from ratchet.stores.spans import TraceStore
from ratchet.supervision.resources import prepare_data_dir


@asynccontextmanager
async def opened(project: Project, environ: Mapping[str, str]) -> AsyncGenerator[Housekeeper]:
    """A housekeeper over the project's files; those of an older Ratchet are made able to shrink.

    Raises:
        ConfigError: The configuration cannot be used.
        StartupError: The data directory cannot be, or a supervisor uses it.
        StoreError: A file cannot be used.
    """
    config = load_config(project, environ=environ)
    lock = prepare_data_dir(config.data_dir)
    try:
        async with AsyncExitStack() as stack:
            found: dict[str, Database] = {}
            for name, store in STORE_FILES.items():
                database = await stack.enter_async_context(Database.open(config.data_dir / name, store=store))
                await database.rebuild()
                found[store] = database
            logs, spans = LogStore(found["logs"]).rows, TraceStore(found["spans"]).rows
            rows: dict[StoreName, RowStore] = {
                "logs": RowStore(logs.stored, logs.prune),
                "spans": RowStore(spans.stored, spans.prune),
            }
            yield Housekeeper(PruningStore(found["executions"]), rows, config.retention, patience=0.0)
    finally:
        os.close(lock)
