"""How a supervisor ends: one stage after the other, in the reverse order of start, each within its grace."""

from collections.abc import Callable

import structlog

from ratchet.errors import RatchetError
from ratchet.supervision.children import Children
from ratchet.supervision.loop import Loop
from ratchet.supervision.states import State

EXIT_STARTUP = 1
EXIT_INTENSITY = 70
EXIT_REFUSED = 77  # sysexits.h: EX_NOPERM

_WANTED = (State.STARTING, State.RUNNING, State.REPLACING, State.BACKOFF)

log = structlog.stdlib.get_logger("ratchet.supervisor")


class Ending:
    """Begun once, never taken back.

    Attributes:
        begun: Whether the supervisor is about to end.
        exit_code: What its process will exit with.
        error: Why, where it is no orderly end.
    """

    def __init__(self, loop: Loop, children: Children, on_progress: Callable[[list[str]], None]) -> None:
        self.begun = False
        self.exit_code = 0
        self.error: RatchetError | None = None
        self._loop = loop
        self._children = children
        self._on_progress = on_progress
        self._insisting = False

    def begin(self, reason: str) -> None:
        """Let every actor finish."""
        if not self.begun:
            self.begun = True
            log.info("draining", reason=reason)
            self.go_on()

    def fail(self, exit_code: int, error: RatchetError) -> None:
        """The same, because of an error."""
        if not self.begun:
            self.begun, self.exit_code, self.error = True, exit_code, error
            log.error("draining", reason=error.message)
            self.go_on()

    def insist(self, reason: str) -> None:
        """Kill what is left."""
        log.warning("killing what is left", reason=reason)
        self._insisting = True
        self._children.kill_all()

    def go_on(self) -> None:
        """An actor's state changed: see to the next step, but not from within that change."""
        if self.begun:
            self._loop.call_later(0, self._step)

    def _step(self) -> None:
        """Drain the latest stage that is not over, or end where all are."""
        left = [actor for actor in self._children.actors.values() if not actor.state.over]
        if not left:
            self._loop.stop()
            return
        stage = max(actor.spec.stage for actor in left)
        waiting = [actor for actor in left if actor.spec.stage == stage]
        fresh = [actor for actor in waiting if actor.state in _WANTED]
        for actor in fresh:
            self._children.drain(actor)
        if fresh:
            self._on_progress([actor.name for actor in waiting])
        if self._insisting:
            self._children.kill_all()
