"""How a running supervisor replaces its workers one by one, while there are never fewer of them than configured.

First a spare worker is started; then each is asked to finish, and another process takes its place; at last the spare
one leaves. What runs finishes where it runs: executions have timeouts of their own.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

import structlog

from ratchet.errors import RatchetError, RefusedError, UnavailableError
from ratchet.supervision.children import Actor, Children
from ratchet.supervision.loop import Loop
from ratchet.supervision.spec import ChildTable
from ratchet.supervision.states import State

# Longer than what anybody gives an execution; its own timeout is what bounds it.
PATIENCE_SECONDS = 7 * 86_400.0

log = structlog.stdlib.get_logger("ratchet.supervisor")


class _Phase(Enum):
    IDLE = auto()
    SPARE_COMES = auto()
    REPLACING = auto()
    SPARE_LEAVES = auto()


class Reloading:
    """At most one reload at a time.

    Args:
        loop: The supervisor's.
        children: Its actors.
        table: Which of them are workers.
        tell: Says something to those who asked for the reload.
        fail: Tells them that it came to nothing, or not to its end.
    """

    def __init__(
        self,
        loop: Loop,
        children: Children,
        table: ChildTable,
        tell: Callable[[str, dict[str, Any]], None],
        fail: Callable[[RatchetError], None],
    ) -> None:
        self._loop = loop
        self._children = children
        self._table = table
        self._tell = tell
        self._fail = fail
        self._phase = _Phase.IDLE
        self._left: list[str] = []
        self._current: Actor | None = None
        self._spare: Actor | None = None

    def begin(self) -> list[str]:
        """Start it; returns the names of the workers that will be replaced.

        Raises:
            RefusedError: One is under way already.
        """
        if self._phase is not _Phase.IDLE:
            raise RefusedError("the workers are being replaced already: `ratchet status` shows how far it has come")
        log.info("replacing the workers", workers=list(self._table.workers))
        self._left = list(self._table.workers)
        self._phase = _Phase.SPARE_COMES
        # Not from within the request, whose answer comes first.
        self._loop.call_later(0, self._start_spare)
        return list(self._table.workers)

    def on_state(self, actor: Actor) -> None:
        """An actor came into another state."""
        if self._phase is _Phase.IDLE or actor not in (self._spare, self._current):
            return
        self._say(actor)
        if actor is self._spare:
            self._on_spare(actor)
        elif actor.state is State.RUNNING:
            self._loop.call_later(0, self._next)

    def stop(self, error: RatchetError) -> None:
        """The supervisor ends."""
        if self._phase is not _Phase.IDLE:
            self._phase = _Phase.IDLE
            self._fail(error)

    def _start_spare(self) -> None:
        if self._phase is not _Phase.SPARE_COMES:
            return
        if self._table.spare is None:
            self._next()
            return
        self._spare = self._children.start(self._table.spare)
        # Its first state came before it was known here.
        self._say(self._spare)

    def _on_spare(self, spare: Actor) -> None:
        if spare.state is State.RUNNING and self._phase is _Phase.SPARE_COMES:
            self._loop.call_later(0, self._next)
        if spare.state is State.STOPPED:
            self._spare = None
            self._loop.call_later(0, lambda: self._spare_is_gone(spare))

    def _spare_is_gone(self, spare: Actor) -> None:
        self._children.remove(spare)
        if self._phase is _Phase.SPARE_COMES:
            reason = spare.child.reason or (spare.last_exit.cause if spare.last_exit else "its process ended")
            self.stop(UnavailableError(f"no worker was replaced: {spare.name} cannot be started: {reason}"))
        elif self._phase is _Phase.SPARE_LEAVES:
            self._finish()

    def _next(self) -> None:
        """Replace the next worker that runs; one that is just being started is new already."""
        if self._phase is _Phase.IDLE:
            return
        self._phase = _Phase.REPLACING
        self._current = None
        while self._left and self._current is None:
            actor = self._children.actors[self._left.pop(0)]
            self._current = actor if actor.state is State.RUNNING else None
        if self._current is not None:
            self._children.replace(self._current, PATIENCE_SECONDS)
        elif self._spare is not None:
            self._phase = _Phase.SPARE_LEAVES
            self._children.drain(self._spare, PATIENCE_SECONDS)
        else:
            self._finish()

    def _finish(self) -> None:
        log.info("the workers are replaced")
        self._phase = _Phase.IDLE
        workers = [self._children.actors[name] for name in self._table.workers]
        rows = [{"name": one.name, "pid": one.process.pid if one.process else None} for one in workers]
        self._tell("reloaded", {"workers": rows})

    def _say(self, actor: Actor) -> None:
        pid = actor.process.pid if actor.process else None
        spare = actor is self._spare
        body = {"worker": actor.name, "state": str(actor.state), "pid": pid, "spare": spare, "left": len(self._left)}
        self._tell("reloading", body)
