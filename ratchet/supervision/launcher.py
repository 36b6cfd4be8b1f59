"""Where workers come from: one small interface, so that there can be more ways than the two there are.

A worker is a process that registers at the hub under a name of its own; how it came to run is nobody's concern but its
launcher's. A launcher adds rows to the child table: the workers themselves, or an actor that has them run elsewhere and
dial back.
"""

from collections.abc import Callable
from typing import Protocol

from ratchet.actor import ActorSetup
from ratchet.cluster.names import worker_name
from ratchet.config import Config
from ratchet.supervision.spec import ChildSpec, Restart

Start = Callable[[ActorSetup], None]


class Launcher(Protocol):
    """Makes workers appear."""

    def rows(self, stage: int) -> tuple[ChildSpec, ...]:
        """What the supervisor has to start for that, in this stage; it reports their exits as those of all actors."""
        ...

    def spare(self, stage: int) -> ChildSpec:
        """One worker more, for a while."""
        ...


class LocalLauncher:
    """Workers of the head's own machine: `worker:1` and so on.

    Args:
        start: A worker's process.
        config: How many there are, and how long each may take to drain.
    """

    def __init__(self, start: Start, config: Config) -> None:
        self._start = start
        self._config = config

    def rows(self, stage: int) -> tuple[ChildSpec, ...]:
        """One row a worker; one at least, since task files are described in its children."""
        return _rows(self._start, self._config, stage, _local_name)

    def spare(self, stage: int) -> ChildSpec:
        """The next number."""
        return _spare(self._start, self._config, stage, _local_name)


class NodeLauncher:
    """Workers of a machine that joined: `worker:NODE.1` and so on. They dial the head with the node's key.

    Args:
        start: A worker's process.
        config: As above, of the node.
        node: Its name.
    """

    def __init__(self, start: Start, config: Config, node: str) -> None:
        self._start = start
        self._config = config
        self._node = node

    def rows(self, stage: int) -> tuple[ChildSpec, ...]:
        """One row a worker."""
        return _rows(self._start, self._config, stage, self._name)

    def spare(self, stage: int) -> ChildSpec:
        """The next number."""
        return _spare(self._start, self._config, stage, self._name)

    def _name(self, number: int) -> str:
        return worker_name(self._node, number)


def _local_name(number: int) -> str:
    return f"worker:{number}"


def _rows(start: Start, config: Config, stage: int, name: Callable[[int], str]) -> tuple[ChildSpec, ...]:
    grace_seconds = config.supervisor.drain_seconds
    return tuple(
        ChildSpec(name(number), start, Restart.PERMANENT, stage, grace_seconds, subreaper=True)
        for number in range(1, _count(config) + 1)
    )


def _spare(start: Start, config: Config, stage: int, name: Callable[[int], str]) -> ChildSpec:
    number, grace_seconds = _count(config) + 1, config.supervisor.drain_seconds
    return ChildSpec(name(number), start, Restart.TEMPORARY, stage, grace_seconds, subreaper=True)


def _count(config: Config) -> int:
    return max(1, config.workers.count)
