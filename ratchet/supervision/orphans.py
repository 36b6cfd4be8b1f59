"""Processes that lost their parent and were given to the supervisor: they get a moment to end, then they are killed.

A zygote whose worker died cleans up after itself and ends; whatever else arrives here belongs to nobody.
"""

import os
import signal
import time
from collections.abc import Callable

import structlog

from ratchet.process import children_of
from ratchet.supervision.children import signal_quietly
from ratchet.supervision.loop import Loop, Timer

GRACE_SECONDS = 1.0
_LOOK_SECONDS = 0.2
_PAUSE_SECONDS = 0.01
_END_SECONDS_MAX = 5.0

log = structlog.stdlib.get_logger("ratchet.supervisor")


class Orphans:
    """Watches for them while there may be some: from the exit of an actor until none is left."""

    def __init__(self, loop: Loop, ours: Callable[[], set[int]]) -> None:
        self._loop = loop
        self._ours = ours
        self._seen: dict[int, float] = {}
        self._timer: Timer | None = None

    def expect(self) -> None:
        """A process ended that may have left some behind."""
        if self._timer is None:
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    def end_all(self, reap: Callable[[], None]) -> None:
        """Wait for them to end, kill those that do not within the grace, and return when none is left."""
        started = time.monotonic()
        while orphans := self._present():
            age = time.monotonic() - started
            if age > _END_SECONDS_MAX:
                log.error("processes are left that cannot be killed", pids=sorted(orphans))
                return
            if age > GRACE_SECONDS:
                self._kill(orphans)
            time.sleep(_PAUSE_SECONDS)
            reap()

    def _present(self) -> set[int]:
        return set(children_of(os.getpid())) - self._ours()

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        present = self._present()
        self._seen = {pid: self._seen.get(pid, now) for pid in present}
        self._kill({pid for pid, since in self._seen.items() if now - since >= GRACE_SECONDS})
        if present:
            self.expect()

    def _kill(self, pids: set[int]) -> None:
        for pid in pids:
            log.warning("killing an orphan", orphan_pid=pid)
            signal_quietly(pid, signal.SIGKILL)
