"""A network between simulated processes that is late, loses, repeats, and falls apart."""

from collections.abc import Callable
from functools import partial
from random import Random

from ipc.memory import MemoryNetwork
from tests.simulation.loop import SimulatedLoop, context_of

LATENCY_SECONDS = (0.00005, 0.0005)
SLOW_SECONDS = (0.001, 0.8)


class FaultyNetwork(MemoryNetwork):
    """Carries frames with a delay, in the order of each direction of each link.

    Attributes:
        loss: Share of frames that vanish.
        repeats: Share of frames that arrive twice.
        slow: Whether frames take long.
        parted: Names of links whose frames wait for the end of a partition.
    """

    def __init__(self, loop: SimulatedLoop, chance: Random) -> None:
        super().__init__()
        self.loss = 0.0
        self.repeats = 0.0
        self.slow = False
        self.parted: set[str] = set()
        self._loop = loop
        self._chance = chance
        self._context = context_of(loop.world)
        self._last: dict[tuple[bytes, bool], float] = {}
        self._waiting: list[tuple[str, Callable[[], None]]] = []

    def carry(self, identity: bytes, frame: bytes, deliver: Callable[[bytes], None], *, to_hub: bool) -> None:
        if self.loss and self._chance.random() < self.loss:
            return
        name = name_of(identity)
        if name in self.parted:
            self._waiting.append((name, partial(self._send, identity, frame, deliver, to_hub)))
            return
        self._send(identity, frame, deliver, to_hub)
        if self.repeats and self._chance.random() < self.repeats:
            self._send(identity, frame, deliver, to_hub)

    def heal(self) -> None:
        """Carry what waited, and everything from now on."""
        self.loss = self.repeats = 0.0
        self.slow = False
        self.parted.clear()
        waiting, self._waiting = self._waiting, []
        for _, send in waiting:
            send()

    def _send(self, identity: bytes, frame: bytes, deliver: Callable[[bytes], None], to_hub: bool) -> None:
        low, high = SLOW_SECONDS if self.slow else LATENCY_SECONDS
        at = self._loop.now + low + self._chance.random() * (high - low)
        way = (identity, to_hub)
        at = self._last[way] = max(at, self._last.get(way, 0.0))
        self._loop.call_at(at, deliver, frame, context=self._context)


def name_of(identity: bytes) -> str:
    """The name of the link with this routing id."""
    return identity.partition(b"|")[0].decode()
