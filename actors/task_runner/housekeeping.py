"""Retention beside the requests of the task-runner: a look each interval, and `ratchet prune` when somebody asks."""

import asyncio
from collections.abc import Callable

import structlog

from ipc.errors import IpcError
from ipc.link import Link, Request
from ratchet import rpc
from ratchet.bodies.retention import (
    ListStored,
    Prune,
    Pruned,
    PrunedRows,
    PruneRows,
    StoredExecutions,
)
from ratchet.config.retention import RetentionConfig
from ratchet.errors import RatchetError
from ratchet.messages import LIST_LOGGED, LIST_TRACED, PRUNE_LOGS, PRUNE_SPANS, Procedure
from ratchet.retention.housekeeper import Housekeeper, RowStore
from ratchet.stores.pruning import PruningStore

log = structlog.stdlib.get_logger("task-runner")

_FIRST_SECONDS = 5.0  # a supervisor that agents start may not live for a whole interval
_SLICE_SECONDS = 1.0  # of work at a time, and then whoever else wants to prune
_CALL_SECONDS = 60.0
_PATIENCE = 4.0  # a fifth of the time at most


class Housekeeping:
    """Keeps house while the task-runner runs.

    Args:
        store: Executions and the audit log.
        link: To the stores of logs and spans.
        config: What is kept.
        held: Executions that must stay for now.
    """

    def __init__(self, store: PruningStore, link: Link, config: RetentionConfig, held: Callable[[str], bool]) -> None:
        logs = _reached(link, LIST_LOGGED, PRUNE_LOGS)
        spans = _reached(link, LIST_TRACED, PRUNE_SPANS)
        self._interval_seconds = config.interval_seconds
        self._housekeeper = Housekeeper(store, {"logs": logs, "spans": spans}, config, held=held, patience=_PATIENCE)

    async def run(self) -> None:
        """Look each interval, for ever; a store that does not answer is asked again at the next."""
        seconds = min(_FIRST_SECONDS, self._interval_seconds)
        while True:
            await asyncio.sleep(seconds)
            seconds = _SLICE_SECONDS if await self._look() else self._interval_seconds

    async def _look(self) -> bool:
        """Do some of what is to be done. Returns whether there is more."""
        try:
            return (await self._housekeeper.run(Prune(seconds=_SLICE_SECONDS))).more
        except (IpcError, RatchetError) as error:
            log.warning("what is too old could not be pruned; later again", error=str(error))
            return False

    async def prune(self, body: Prune, _request: Request) -> Pruned:
        """Do some of what somebody wants pruned, now.

        Raises:
            RatchetError, IpcError: A store did not do its part; it is done later.
        """
        return await self._housekeeper.run(body)


def _reached(
    link: Link, stored: Procedure[ListStored, StoredExecutions], prune: Procedure[PruneRows, PrunedRows]
) -> RowStore:
    async def ask_stored(body: ListStored) -> StoredExecutions:
        return await rpc.call(link, stored, body, timeout_seconds=_CALL_SECONDS)

    async def ask_prune(body: PruneRows) -> PrunedRows:
        return await rpc.call(link, prune, body, timeout_seconds=_CALL_SECONDS)

    return RowStore(ask_stored, ask_prune)
