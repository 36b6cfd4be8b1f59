"""Which workers there are, what each holds, and which of them should take the next attempt.

Pure bookkeeping: it sends nothing and asks no clock of its own. An attempt is a worker's from the moment it is
assigned until it is released, also while the worker is silent.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from ratchet.cluster.names import node_of

_VERSIONS_REMEMBERED = 32


@dataclass(slots=True)
class Worker:
    """One incarnation of one worker.

    Attributes:
        slots: Attempts it takes at once; 0 while it drains.
        describes: Whether it loads task files to say what they define.
        held: Fence by execution id of every attempt that is its responsibility.
        versions: Task versions it ran lately, newest last: it has warm children for them.
        waiting: Executions whose attempts wait for others that they called; shared by all workers.
        heard_at: Monotonic time at which it was last heard of.
        unavailable_until: Loop time before which it gets nothing, after it refused or did not answer.
    """

    name: str
    incarnation: str
    pid: int
    slots: int
    heard_at: float
    waiting: set[str]
    describes: bool = True
    held: dict[str, int] = field(default_factory=dict[str, int])
    versions: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None])
    unavailable_until: float = 0.0

    @property
    def node(self) -> str | None:
        """The node that it is on; None: this machine."""
        return node_of(self.name)

    @property
    def free(self) -> int:
        """Attempts it could take now."""
        return max(0, self.slots - self.busy)

    @property
    def busy(self) -> int:
        """Slots that are taken: an attempt that waits for another lends its own."""
        return len(self.held) - len(self.waiting & self.held.keys()) if self.waiting else len(self.held)

    def assign(self, execution_id: str, fence: int, version: str) -> None:
        """Make an attempt its responsibility."""
        self.held[execution_id] = fence
        self.versions[version] = None
        self.versions.move_to_end(version)
        if len(self.versions) > _VERSIONS_REMEMBERED:
            self.versions.popitem(last=False)

    def release(self, execution_id: str, fence: int) -> None:
        """The attempt is over, or another's."""
        if self.held.get(execution_id) == fence:
            del self.held[execution_id]


class Workers:
    """Every worker that registered, by name.

    Args:
        fits: Whether attempts of a task version may go to a node; on this machine there is only one version, the right
            one.

    Attributes:
        registered: Set whenever one registers; whoever waits for that clears it first.
        waiting: Executions whose attempts wait for others, and lend their slots.
    """

    def __init__(self, fits: Callable[[str, str], bool] = lambda _node, _version: True) -> None:
        self._fits = fits
        self.waiting: set[str] = set()
        self.registered = asyncio.Event()
        self._by_name: dict[str, Worker] = {}

    def __getitem__(self, name: str) -> Worker:
        return self._by_name[name]

    def get(self, name: str | None) -> Worker | None:
        """The worker of this name, if one registered."""
        return self._by_name.get(name) if name is not None else None

    def all(self) -> list[Worker]:
        """By name."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    def register(
        self, name: str, incarnation: str, *, pid: int, slots: int, now: float, describes: bool = True
    ) -> Worker:
        """A worker offers itself. A new incarnation starts with nothing in its hands."""
        self.registered.set()
        known = self._by_name.get(name)
        if known is not None and known.incarnation == incarnation:
            known.slots = slots
            known.describes = describes
            known.heard_at = now
            known.unavailable_until = 0.0
            return known
        worker = Worker(name, incarnation, pid, slots, heard_at=now, waiting=self.waiting, describes=describes)
        self._by_name[name] = worker
        return worker

    def remove(self, name: str, incarnation: str) -> None:
        """This incarnation is gone."""
        known = self._by_name.get(name)
        if known is not None and known.incarnation == incarnation:
            del self._by_name[name]

    def choose(self, version: str, *, now: float) -> Worker | None:
        """The best worker for an attempt of `version`: one that ran it lately, else the one with most free slots."""
        able = [one for one in self._free(now) if self.fits(one, version)]
        return max(able, key=lambda one: (version in one.versions, one.free), default=None)

    def any_free(self, *, now: float) -> bool:
        """Whether there is anything to choose from, for whatever version."""
        return bool(self._free(now))

    def fits(self, worker: Worker, version: str) -> bool:
        """Whether this worker has this version."""
        return worker.node is None or self._fits(worker.node, version)

    def slots_for(self, version: str) -> int:
        """The slots of all workers that could take an attempt of `version` if they had one free."""
        return sum(one.slots for one in self.all() if self.fits(one, version))

    def describer(self, *, now: float) -> Worker | None:
        """A worker of this machine that answers, free or not: describing a file takes no slot."""
        able = [one for one in self.all() if one.node is None and one.describes and one.unavailable_until <= now]
        return max(able, key=lambda one: one.free, default=None)

    def _free(self, now: float) -> list[Worker]:
        return [one for one in self.all() if one.free and one.unavailable_until <= now]

    @property
    def local_slots(self) -> int:
        """Over the workers of this machine."""
        return sum(one.slots for one in self._by_name.values() if one.node is None)

    @property
    def slots(self) -> int:
        """Over all workers."""
        return sum(one.slots for one in self._by_name.values())

    @property
    def busy(self) -> int:
        """Over all workers."""
        return sum(one.busy for one in self._by_name.values())


def stood_still(slept_seconds: float, *, planned_seconds: float) -> float:
    """How long this process itself stood still (stopped, starved, or its machine asleep) while it meant to sleep.

    What others said meanwhile is still unread, so their silence of that time means nothing.
    """
    late = slept_seconds - planned_seconds
    return late if late > planned_seconds else 0.0
