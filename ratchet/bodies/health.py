"""What every actor says of itself."""

from typing import Literal

from pydantic import Field

from ratchet.bodies.nodes import NodeList
from ratchet.models import Model


class PeerHealth(Model):
    """One peer of the hub.

    Attributes:
        liveness: What its silence says; dead ones are not listed for long.
        draining: It is about to end: it finishes what it began, and takes nothing more.
        queued_envelopes: That wait for it at the hub.
    """

    name: str
    role: str
    incarnation: str
    liveness: Literal["alive", "suspect", "dead"]
    draining: bool = False
    connected_seconds: float
    queued_envelopes: int = 0


class StoreHealth(Model):
    """One store's file.

    Attributes:
        bytes: What it takes on the disk, with its log of writes.
        pruned: Rows that retention removed since its process started.
        damaged: SQLite met damage in it.
        set_aside: Damaged files that it took the place of, as long as they are there.
    """

    path: str
    bytes: int
    rows: int
    schema_version: int
    pruned: int = 0
    damaged: bool = False
    set_aside: list[str] = Field(default_factory=list[str])


class Health(Model):
    """What an actor says of itself; the runner's has every field."""

    name: str
    version: str
    pid: int
    uptime_seconds: float
    memory_bytes: int
    stores: list[StoreHealth] = Field(default_factory=list[StoreHealth])
    peers: list[PeerHealth] = Field(default_factory=list[PeerHealth])
    executions: dict[str, int] = Field(default_factory=dict[str, int])  # by status
    queue_limit: int | None = None
    asks_open: int | None = None  # questions to callers without an answer
    slots: int | None = None  # over all workers; a worker: its own
    slots_busy: int | None = None
    counters: dict[str, int] = Field(default_factory=dict[str, int])  # everything dropped, late, expired or refused
    tasks: int | None = None
    broken_files: int | None = None
    cluster: NodeList | None = None  # of the runner, where nodes may join
