"""Removes what need not be kept any longer, a little at a time, between the things that matter more.

It is the only one who decides that; the log-store and the trace-store remove what they are told. It runs beside the
requests of the task-runner, and in `ratchet prune` where no supervisor runs.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from ratchet.bodies.retention import ListStored, Prune, Pruned, PrunedRows, PruneRows, StoredExecutions
from ratchet.config.retention import RetentionConfig
from ratchet.retention import limits
from ratchet.retention.limits import FOREVER_NS, Cut
from ratchet.stores.pruning import START, PruningStore, StoreName

log = structlog.stdlib.get_logger("retention")

_BATCH = 200  # executions
_FEW = 20  # where the size is looked at after each step
_COMPACT_SECONDS = 3.0
_FREE_BYTES_MIN = 1024 * 1024  # less is not worth the moving


@dataclass(frozen=True, slots=True)
class RowStore:
    """How rows of one kind are reached, in this process or another."""

    stored: Callable[[ListStored], Awaitable[StoredExecutions]]
    prune: Callable[[PruneRows], Awaitable[PrunedRows]]


class Housekeeper:
    """Retention over the three stores.

    Args:
        store: Executions and the audit log.
        rows: Logs and spans.
        config: What is kept.
        held: Executions that must stay for now: they have not ended, or somebody still writes to them.
        patience: How many times as long as each step the pause after it is.
    """

    def __init__(
        self,
        store: PruningStore,
        rows: Mapping[StoreName, RowStore],
        config: RetentionConfig,
        *,
        held: Callable[[str], bool] = lambda _: False,
        patience: float = 1.0,
    ) -> None:
        self._store = store
        self._rows = rows
        self._config = config
        self._held = held
        self._patience = patience
        self._busy = asyncio.Lock()

    async def run(self, wish: Prune) -> Pruned:
        """Do some of what is to be done, for about `wish.seconds`.

        Raises:
            ratchet.errors.RatchetError, ipc.errors.IpcError: A store did not do its part; what it has still to do is
                recorded, and done the next time.
        """
        async with self._busy:
            one = _Pass(self._store, self._rows, self._config, self._held, wish, self._patience)
            return await one.run()


class _Pass:
    """One run."""

    def __init__(
        self,
        store: PruningStore,
        rows: Mapping[StoreName, RowStore],
        config: RetentionConfig,
        held: Callable[[str], bool],
        wish: Prune,
        patience: float,
    ) -> None:
        self._store = store
        self._rows = rows
        self._config = config
        self._held = held
        self._wish = wish
        self._patience = patience
        self._now_ns = time.time_ns()
        self._deadline = _now() + wish.seconds
        self._went: dict[str, int] = dict.fromkeys(("executions", "logs", "spans", "audit"), 0)
        self._more = False

    async def run(self) -> Pruned:
        """Everything, until the time is up."""
        if not self._wish.dry_run:
            await self._remove_listed()  # what an earlier run did not come to
        for cut in limits.cuts(self._wish, self._config, now_ns=self._now_ns):
            await self._executions(cut)
        if limits.by_configuration(self._wish):
            for name in self._rows:
                await self._telemetry(name)
            await self._audit()
        size = await self._compact()
        if any(self._went.values()) and not self._wish.dry_run:
            log.info("pruned", **self._went, more=self._more)
        return Pruned(**self._went, bytes=size, more=self._more)

    # --- executions -------------------------------------------------------------------------------------------------

    async def _executions(self, cut: Cut) -> None:
        room = await self._room(cut)
        batch = _BATCH if cut.bytes_max is None else _FEW
        position, shrinking = START, False
        while room > 0 and not self._over():
            if cut.bytes_max is not None and not self._wish.dry_run:
                if not limits.too_large(await self._store.usage(), cut.bytes_max, shrinking=shrinking):
                    return
                shrinking = True
            began = _now()
            found = await self._store.families(
                position, ended_before_ns=min(cut.ended_before_ns, self._now_ns), limit=batch, held=self._held
            )
            families = found.families[: limits.within([one.finished for one in found.families], room)]
            room -= sum(one.finished for one in families)
            await self._remove([one for family in families if family.may_go for one in family.execution_ids])
            if found.position is None or len(families) < len(found.families):
                return
            position = found.position
            await self._yield(began)

    async def _room(self, cut: Cut) -> int:
        """How many executions may go for this reason at most."""
        finished = await self._store.finished()
        if self._wish.dry_run and cut.bytes_max is not None:
            return limits.rounded(finished * limits.share_to_remove(await self._store.usage(), cut.bytes_max))
        return finished - cut.keep

    async def _remove(self, execution_ids: list[str]) -> None:
        if not execution_ids:
            return
        if self._wish.dry_run:
            self._went["executions"] += len(execution_ids)
            for name, store in self._rows.items():
                for few in _parts(execution_ids):
                    self._went[name] += (await store.prune(PruneRows(execution_ids=few, dry_run=True))).rows
            return
        self._went["executions"] += await self._store.remove(execution_ids)
        await self._remove_listed()

    async def _remove_listed(self) -> None:
        for name, store in self._rows.items():
            while few := await self._store.listed(name, _BATCH):
                self._went[name] += (await store.prune(PruneRows(execution_ids=few))).rows
                await self._store.done(name, few)

    # --- logs and spans of executions that stay -------------------------------------------------------------------

    async def _telemetry(self, name: StoreName) -> None:
        own = self._config.logs if name == "logs" else self._config.spans
        before = limits.before(own.age_seconds, now_ns=self._now_ns)
        position, shrinking = "", False
        batch = _BATCH
        while not self._over():
            began = _now()
            page = await self._rows[name].stored(ListStored(after=position, limit=batch))
            shrinking = limits.too_large(page.usage, own.bytes_max, shrinking=shrinking)
            if shrinking and batch > _FEW:
                batch = _FEW
                continue
            gone = await self._may_go(page, FOREVER_NS if shrinking else before)
            await self._remove_rows(name, gone)
            # Ids grow with time: where none of so many is old enough, none of those that follow is.
            if len(page.executions) < batch or not gone:
                return
            position = page.executions[-1].execution_id
            await self._yield(began)

    async def _may_go(self, page: StoredExecutions, ended_before_ns: int) -> dict[str, bool]:
        """Of these, whose rows may go: True where their execution stays, False where nobody knows it (any more)."""
        known = await self._store.ended(one.execution_id for one in page.executions)
        unknown_before = limits.before(self._config.executions.age_seconds, now_ns=self._now_ns)
        gone: dict[str, bool] = {}
        for one in page.executions:
            execution_id = one.execution_id
            if execution_id not in known:
                if one.last_ns < unknown_before:
                    gone[execution_id] = False
            elif (ended_ns := known[execution_id]) is not None and ended_ns < ended_before_ns:
                gone[execution_id] = True
        return {one: stays for one, stays in gone.items() if not self._held(one)}

    async def _remove_rows(self, name: StoreName, gone: Mapping[str, bool]) -> None:
        if not gone:
            return
        if self._wish.dry_run:
            self._went[name] += (await self._rows[name].prune(PruneRows(execution_ids=list(gone), dry_run=True))).rows
            return
        await self._store.mark(name, [one for one, stays in gone.items() if stays])
        self._went[name] += (await self._rows[name].prune(PruneRows(execution_ids=list(gone)))).rows
        await self._store.done(name, gone)

    # --- the audit log, and the room that was made ------------------------------------------------------------------

    async def _audit(self) -> None:
        own = self._config.audit
        before = limits.before(own.age_seconds, now_ns=self._now_ns)
        if own.count_max:
            before = max(before, await self._store.audit_limit(own.count_max))
        if self._wish.dry_run:
            self._went["audit"] = await self._store.audit_before(before)
            return
        more = before > 0
        while more and not self._over():
            began = _now()
            removed, more = await self._store.remove_audit(before)
            self._went["audit"] += removed
            await self._yield(began)

    async def _compact(self) -> int:
        """Give back what is free once nothing more is to go; returns what all files take on the disk."""
        compact = not (self._wish.dry_run or self._more)
        usage = await self._store.usage()
        if compact and usage.free_bytes >= _FREE_BYTES_MIN:
            await self._store.give_back(_COMPACT_SECONDS)
            usage = await self._store.usage()
        size = usage.file_bytes
        for store in self._rows.values():
            found = (await store.prune(PruneRows())).usage
            if compact and found.free_bytes >= _FREE_BYTES_MIN:
                found = (await store.prune(PruneRows(compact=True))).usage
            size += found.file_bytes
        return size

    def _over(self) -> bool:
        """Whether the time is up: then there is more to do."""
        self._more = self._more or _now() >= self._deadline
        return self._more

    async def _yield(self, began: float) -> None:
        await asyncio.sleep((_now() - began) * self._patience)


def _parts(items: list[str]) -> list[list[str]]:
    return [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]


def _now() -> float:
    return asyncio.get_running_loop().time()
