"""What the runner's health says of whom the hub knows."""

import time

from actors.task_runner.workers import Worker
from ipc.hub import Peer
from ratchet.bodies.health import PeerHealth


def peer_health(peer: Peer, worker: Worker | None) -> PeerHealth:
    """One peer; where it is a worker, with what it offers."""
    return PeerHealth(
        name=peer.name,
        role=peer.role,
        incarnation=peer.incarnation,
        liveness=peer.liveness.value,
        draining=peer.draining or (worker is not None and worker.slots == 0),
        connected_seconds=round(time.monotonic() - peer.connected_at, 3),
        queued_envelopes=peer.queued,
    )
