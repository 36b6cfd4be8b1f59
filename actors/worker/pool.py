"""The worker's children: which one takes the next attempt, and which are let go."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import structlog

from actors.worker.child import Child
from actors.worker.zygote import ChildExit, Zygote
from ratchet.errors import UnavailableError

log = structlog.stdlib.get_logger("worker")

_EXIT_SECONDS = 2.0

Fork = Callable[[Zygote], Awaitable[Child]]


class Pool:
    """Children of one zygote at a time: busy ones, and idle ones that stay warm for their version.

    Args:
        size: Children that are kept.
        busy_max: Children that may be busy: more than that, because those that wait for others lend their slots. The
            runner keeps the accounts; this is the bound that holds whatever it orders.
        reuse: Attempts after which a child is replaced.
        fork: Makes a child of a zygote.
    """

    def __init__(self, *, size: int, busy_max: int, reuse: int, fork: Fork = Child.fork) -> None:
        self._size = size
        self._busy_max = busy_max
        self._reuse = reuse
        self._fork = fork
        self._children: dict[int, Child] = {}
        self._idle: list[Child] = []  # the longest idle first
        self._busy: set[Child] = set()

    async def acquire(self, zygote: Zygote, version: str) -> Child:
        """A child for an attempt of `version`: a warm one, else a new one in a free place.

        Raises:
            UnavailableError: Every place is taken, or the zygote is gone.
        """
        warm = next((one for one in reversed(self._idle) if one.version == version), None)
        if warm is not None:
            self._idle.remove(warm)
        else:
            if len(self._busy) >= self._busy_max:
                raise UnavailableError(f"all {self._busy_max} children that this worker may have are busy")
            if self._idle and len(self._busy) + len(self._idle) >= self._size:
                self.retire(self._idle.pop(0))
            warm = await self.fork(zygote)
        warm.version = version
        warm.runs += 1
        self._busy.add(warm)
        return warm

    async def fork(self, zygote: Zygote) -> Child:
        """A new child that belongs to no version yet; the caller retires it.

        Raises:
            UnavailableError: The zygote is gone.
        """
        child = await self._fork(zygote)
        self._children[child.slot] = child
        return child

    def release(self, child: Child, *, reusable: bool) -> None:
        """The attempt is over: keep the child warm, or let it go."""
        self._busy.discard(child)
        room = len(self._busy) + len(self._idle) < self._size
        if room and reusable and child.runs < self._reuse and not child.exit.done():
            self._idle.append(child)
        else:
            self.retire(child)

    def retire(self, child: Child) -> None:
        """Let a child go: it exits when its channel closes, and is killed if it does not."""
        if child in self._idle:
            self._idle.remove(child)
        self._busy.discard(child)
        if child.exit.done():
            return
        child.close()
        asyncio.get_running_loop().call_later(_EXIT_SECONDS, child.signal, signal.SIGKILL)

    def exited(self, slot: int, how: ChildExit) -> None:
        """The zygote reaped a child."""
        child = self._children.pop(slot, None)
        if child is None:
            return
        if child in self._idle:
            self._idle.remove(child)
            log.info("an idle child ended", pid=how.pid, exit_code=how.exit_code, signal=how.signal)
        child.ended(how)

    def forget(self) -> None:
        """The zygote is dead and so are all of its children."""
        for child in self._children.values():
            child.close()
        self._children.clear()
        self._idle.clear()
        self._busy.clear()
