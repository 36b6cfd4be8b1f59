"""Which workers there are, what each holds, and which of them should take the next attempt.

Pure bookkeeping: it sends nothing and asks no clock of its own. An attempt is a worker's from the moment it is
assigned until it is released, also while the worker is silent.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

_VERSIONS_REMEMBERED = 32


@dataclass(slots=True)
class Worker:
    """One incarnation of one worker.

    Attributes:
        slots: Attempts it takes at once; 0 while it drains.
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
    held: dict[str, int] = field(default_factory=dict[str, int])
    versions: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None])
    unavailable_until: float = 0.0

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

    Attributes:
        registered: Set whenever one registers; whoever waits for that clears it first.
        waiting: Executions whose attempts wait for others, and lend their slots.
    """

    def __init__(self) -> None:
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

    def register(self, name: str, incarnation: str, *, pid: int, slots: int, now: float) -> Worker:
        """A worker offers itself. A new incarnation starts with nothing in its hands."""
        self.registered.set()
        known = self._by_name.get(name)
        if known is not None and known.incarnation == incarnation:
            known.slots = slots
            known.heard_at = now
            known.unavailable_until = 0.0
            return known
        worker = Worker(name=name, incarnation=incarnation, pid=pid, slots=slots, heard_at=now, waiting=self.waiting)
        self._by_name[name] = worker
        return worker

    def remove(self, name: str, incarnation: str) -> None:
        """This incarnation is gone."""
        known = self._by_name.get(name)
        if known is not None and known.incarnation == incarnation:
            del self._by_name[name]

    def choose(self, version: str, *, now: float) -> Worker | None:
        """The best worker for an attempt of `version`: one that ran it lately, else the one with most free slots."""
        able = [one for one in self.all() if one.free and one.unavailable_until <= now]
        return max(able, key=lambda one: (version in one.versions, one.free), default=None)

    def any_able(self, *, now: float) -> Worker | None:
        """A worker that answers, free or not: describing a file takes no slot."""
        able = [one for one in self.all() if one.slots and one.unavailable_until <= now]
        return max(able, key=lambda one: one.free, default=None)

    @property
    def slots(self) -> int:
        """Over all workers."""
        return sum(one.slots for one in self._by_name.values())

    @property
    def busy(self) -> int:
        """Over all workers."""
        return sum(one.busy for one in self._by_name.values())
