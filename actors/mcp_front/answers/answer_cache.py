"""Answers that cannot change any more, kept for a while. Bounded; the oldest goes first."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from actors.mcp_front.answers.answer import Answer

ENTRIES_MAX = 128


class AnswerCache:
    """Answers by what was asked.

    Args:
        ttl_seconds: How long one is good; 0 keeps none.
        now: A monotonic clock.
    """

    def __init__(self, ttl_seconds: float, now: Callable[[], float]) -> None:
        self._ttl_seconds = ttl_seconds
        self._now = now
        self._kept: OrderedDict[Hashable, tuple[float, Answer]] = OrderedDict()

    def get(self, key: Hashable) -> Answer | None:
        """The answer that is kept; None where there is none, or it is too old."""
        found = self._kept.get(key)
        if found is None:
            return None
        expires_at, answer = found
        if expires_at > self._now():
            return answer
        del self._kept[key]
        return None

    def put(self, key: Hashable, answer: Answer) -> None:
        """Keep an answer."""
        if self._ttl_seconds <= 0:
            return
        self._kept[key] = (self._now() + self._ttl_seconds, answer)
        self._kept.move_to_end(key)
        if len(self._kept) > ENTRIES_MAX:
            self._kept.popitem(last=False)
