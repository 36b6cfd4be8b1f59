"""Child specs: what the supervisor has to know of an actor, as data.

After Erlang/OTP's child specifications (https://www.erlang.org/doc/system/sup_princ.html).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ratchet.actor import ActorSetup


class Restart(StrEnum):
    """When an actor that ended is started again."""

    PERMANENT = "permanent"  # always
    TRANSIENT = "transient"  # only after an abnormal end: another exit code than 0, or a signal
    TEMPORARY = "temporary"  # never


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One row of the child table.

    Attributes:
        name: `role` or `role:instance`; unique in the table.
        start: Runs in the forked process until the actor ends (`ratchet.actor.run_actor` does that).
        restart: When it is started again.
        stage: Order of start; stopping goes the other way, one stage after the other.
        grace_seconds: How long it may take to drain before it is killed.
        subreaper: Whether descendants that lose their parent become its children.
        wants: Names of the listening sockets that are handed down to it.
        reaches_out: Whether it needs the variables of the environment that only the keys to other servers are in.
    """

    name: str
    start: Callable[[ActorSetup], None]
    restart: Restart
    stage: int
    grace_seconds: float
    subreaper: bool = False
    wants: tuple[str, ...] = ()
    reaches_out: bool = False


@dataclass(frozen=True, slots=True)
class ChildTable:
    """Every actor there is.

    Attributes:
        always: Actors that run as long as the supervisor does.
        workers: Names of those of them that are replaced one by one when everything new shall be loaded.
        spare: One more of the same kind, which works while another is replaced; None where there is none.
        http_front: Runs where the configuration, or an attached `ratchet up`, wants a port.
        stdio_front: Template of the temporary fronts, one per agent.
        reports_to: The actor that is told of every exit.
    """

    always: tuple[ChildSpec, ...]
    http_front: ChildSpec
    stdio_front: ChildSpec
    reports_to: str
    workers: tuple[str, ...] = ()
    spare: ChildSpec | None = None
