"""A peer: what the hub knows of one session of one link."""

from collections.abc import Callable

from ipc.access import role_of
from ipc.envelope import Envelope
from ipc.handshake import Hello
from ipc.liveness import Liveness


class Peer:
    """One session of one link; a restarted or reconnected link is another peer.

    Attributes:
        name: `role[:instance]`.
        role: The name without its instance.
        incarnation: Of the link's process.
        connected_at: When it said hello (the hub's clock).
        last_seen: When anything came from it (the hub's clock).
        liveness: Judged twice a second.
        draining: It takes no more calls.
    """

    __slots__ = (
        "_queued",
        "connected_at",
        "deliver",
        "draining",
        "incarnation",
        "last_seen",
        "liveness",
        "name",
        "role",
        "route",
        "session",
    )

    def __init__(
        self,
        hello: Hello,
        route: bytes,
        *,
        now: float,
        deliver: Callable[[Envelope], None],
        queued: Callable[[bytes], int],
    ) -> None:
        self.name = hello.name
        self.role = role_of(hello.name)
        self.incarnation = hello.incarnation
        self.session = hello.session
        self.route = route
        self.connected_at = now
        self.last_seen = now
        self.liveness = Liveness.ALIVE
        self.draining = False
        self.deliver = deliver
        self._queued = queued

    def __repr__(self) -> str:
        return f"<Peer {self.name} {self.incarnation} {self.liveness}>"

    @property
    def queued(self) -> int:
        """Envelopes that wait for it."""
        return self._queued(self.route)
