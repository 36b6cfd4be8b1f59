"""Who waits for executions and could be asked in the caller's place.

A front says with every wait whether its client can be asked. Between two waits of a client that polls, or of one that
answers by asking again, nobody waits for a moment; so whoever was seen lately counts as about to come back.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager


class Callers:
    """By execution.

    Args:
        unattended_seconds: For how long somebody who left counts as about to come back.
        now: The clock.
    """

    def __init__(self, unattended_seconds: float, now: Callable[[], float]) -> None:
        self._unattended_seconds = unattended_seconds
        self._now = now
        self._waiting: Counter[str] = Counter()
        self._seen_at: dict[str, float] = {}  # the longest ago first

    @contextmanager
    def waiting(self, execution_id: str, *, able: bool) -> Generator[None]:
        """Somebody waits for this execution as long as the block lasts; `able`: who can be asked."""
        if not able:
            yield
            return
        self._waiting[execution_id] += 1
        try:
            yield
        finally:
            self._waiting[execution_id] -= 1
            if not self._waiting[execution_id]:
                del self._waiting[execution_id]
            self.seen(execution_id)

    def seen(self, execution_id: str) -> None:
        """Somebody who can be asked looked at this execution, and may come back."""
        now = self._now()
        self._seen_at.pop(execution_id, None)
        self._seen_at[execution_id] = now
        while (oldest := next(iter(self._seen_at))) != execution_id and self._is_over(self._seen_at[oldest], now):
            del self._seen_at[oldest]

    def _is_over(self, seen_at: float, now: float) -> bool:
        return now - seen_at >= self._unattended_seconds

    def expected(self, execution_ids: Iterable[str]) -> bool:
        """Whether somebody who can be asked waits for one of these, or has left only a moment ago."""
        now, never = self._now(), float("-inf")
        return any(
            one in self._waiting or not self._is_over(self._seen_at.get(one, never), now) for one in execution_ids
        )
