"""One timer for many deadlines, instead of a timer for each."""

import asyncio
from collections.abc import Callable

_SPACING_SECONDS = 0.001  # a sweep that asks for "now" again must not keep the loop from anything else


class Alarm:
    """Calls `sweep` when the earliest time it was told has come.

    `sweep` does what is due and returns when it wants to be called next, or None. A time that is no longer of interest
    is not taken back: the sweep finds nothing to do then, which is cheaper than keeping account.
    """

    def __init__(self, sweep: Callable[[], float | None]) -> None:
        self._sweep = sweep
        self._when = float("inf")
        self._handle: asyncio.TimerHandle | None = None

    def by(self, when: float) -> None:
        """Sweep at `when` (loop time) at the latest."""
        if when >= self._when:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._when = when
        self._handle = asyncio.get_running_loop().call_at(when, self._ring)

    def cancel(self) -> None:
        """Forget every time."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None
        self._when = float("inf")

    def _ring(self) -> None:
        self._handle = None
        self._when = float("inf")
        after = self._sweep()
        if after is not None:
            self.by(max(after, asyncio.get_running_loop().time() + _SPACING_SECONDS))
