"""Attempts whose worker is gone: by the word of a supervisor, by a successor under its name, or by its silence."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from actors.task_runner.ledger import Ledger
from actors.task_runner.live import Live
from actors.task_runner.workers import Workers
from ratchet.cluster.names import node_of
from ratchet.lifecycle import Ended
from ratchet.models import Attempt, Category, Failure

_REPLACED_SECONDS = 1.0  # an exit report, which knows the cause, gets this head start over the mere replacement


class Losses:
    """Ends attempts in the name of workers that no longer can.

    Args:
        ledger: What has not ended.
        workers: Who runs it.
        settle: Records an end, however long that takes.
        lease_of: How long a worker, by name, may be silent before its attempts are given up, in seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        workers: Workers,
        settle: Callable[[Live, Ended, Attempt], Awaitable[None]],
        lease_of: Callable[[str | None], float],
    ) -> None:
        self._ledger = ledger
        self._workers = workers
        self._settle = settle
        self._lease_of = lease_of

    async def worker_gone(self, name: str, incarnation: str, failure: Failure) -> None:
        """This incarnation of a worker is dead: so are its attempts."""
        self._workers.remove(name, incarnation)
        for live, attempt in self._running():
            if attempt.worker == name and attempt.worker_incarnation == incarnation:
                await self._lost(live, attempt, failure)

    async def node_gone(self, node: str, failure: Failure) -> None:
        """A node is out for good: its attempts are given up, whatever becomes of them there."""
        for worker in self._workers.all():
            if worker.node == node:
                self._workers.remove(worker.name, worker.incarnation)
        for live, attempt in self._running():
            if attempt.worker is not None and node_of(attempt.worker) == node:
                await self._lost(live, attempt, failure)

    async def worker_replaced(self, live: Live, fence: int, name: str) -> None:
        """Another incarnation of the worker registered; nobody has said yet what became of the one that had it."""
        await asyncio.sleep(_REPLACED_SECONDS)
        message = f"the {name} process that ran this attempt is gone; another took its place"
        attempt = live.attempt
        if attempt is not None and attempt.fence == fence:
            failure = Failure(category=Category.WORKER_LOST, type="WorkerReplaced", message=message)
            await self._lost(live, attempt, failure)

    async def expire_leases(self, *, now: float, uptime_seconds: float) -> None:
        """Give up attempts whose worker has not been heard of for the time of its lease.

        A worker that never registered with this runner has been silent for the runner's whole life.
        """
        for live, attempt in self._running():
            worker = self._workers.get(attempt.worker)
            silent = uptime_seconds if worker is None else now - worker.heard_at
            lease_seconds = self._lease_of(attempt.worker)
            if silent >= lease_seconds:
                message = f"{attempt.worker} was not heard of for {silent:.0f} s; its lease is {lease_seconds:g} s"
                failure = Failure(category=Category.WORKER_LOST, type="LeaseExpired", message=message)
                await self._lost(live, attempt, failure)

    def _running(self) -> list[tuple[Live, Attempt]]:
        return [
            (live, live.attempt)
            for live in self._ledger.live.values()
            if live.attempt is not None and live.state.status.active
        ]

    async def _lost(self, live: Live, attempt: Attempt, failure: Failure) -> None:
        ended = attempt.model_copy(update={"ended_ns": time.time_ns(), "failure": failure, "telemetry": "incomplete"})
        await self._settle(live, live.ended(attempt.fence, failure), ended)
