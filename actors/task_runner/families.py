"""Which unfinished executions called which: a slot that is lent while its holder waits, and ends that are passed on.

An attempt that waits for an execution it called does not run, so its slot is free for others, first of all for the
one that it waits for: that comes before every execution that waits for a slot of its own (`queue.py`). When the last
one that it waits for has ended, the slot is its own again. No execution outlives the attempt that called it.
"""

from collections.abc import Callable, Iterable

from actors.task_runner.ledger import Ledger
from actors.task_runner.live import Live
from actors.task_runner.workers import Workers
from ratchet.models import Lineage

PARENT_ENDED = "the execution that called it ended"


class Families:
    """Parents and children among what has not ended.

    Args:
        ledger: What has not ended.
        workers: Whose slots are lent.
        cancel: Asks an execution to stop, beside the requests.
    """

    def __init__(self, ledger: Ledger, workers: Workers, cancel: Callable[[Live, str], object]) -> None:
        self._ledger = ledger
        self._workers = workers
        self._cancel = cancel
        self._children: dict[str, set[str]] = {}

    def expect(self, execution_id: str, lineage: Lineage | None) -> None:
        """An execution is about to be accepted: the slot of the one that calls it is free already."""
        if lineage is not None:
            self._children.setdefault(lineage.parent_id, set()).add(execution_id)
            self._workers.waiting.add(lineage.parent_id)

    def forget(self, execution_id: str, lineage: Lineage | None) -> None:
        """It was not accepted, or it has ended: the one that called it goes on, if it waits for no other."""
        if lineage is None:
            return
        siblings = self._children.get(lineage.parent_id, set())
        siblings.discard(execution_id)
        if not siblings:
            self._children.pop(lineage.parent_id, None)
            self._workers.waiting.discard(lineage.parent_id)

    def accepted(self, live: Live) -> None:
        """It was accepted. If the attempt that called it ended meanwhile, so does it."""
        if live.execution.lineage is not None and not self._calls_still(live.execution.lineage):
            self._cancel(live, PARENT_ENDED)

    def attempt_ended(self, live: Live) -> None:
        """An attempt is over, for good or until another: what it called and has not ended is cancelled."""
        for execution_id in sorted(self._children.get(live.execution.execution_id, ())):
            child = self._ledger.live.get(execution_id)
            if child is not None:
                self._cancel(child, PARENT_ENDED)
        if live.state.status.terminal:
            self.forget(live.execution.execution_id, live.execution.lineage)

    def restore(self, found: Iterable[Live]) -> None:
        """Take up what an earlier runner left: lent slots, and children whose parents are gone."""
        for live in found:
            self.expect(live.execution.execution_id, live.execution.lineage)
            self.accepted(live)

    def _calls_still(self, lineage: Lineage) -> bool:
        parent = self._ledger.live.get(lineage.parent_id)
        return parent is not None and parent.state.fence == lineage.parent_attempt and parent.state.status.active
