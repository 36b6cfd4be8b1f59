"""One hub, two ways in: the sockets of this machine, and those of the network beside them.

Also decides nothing by itself but this: which of the two a route belongs to, and that nobody of this machine passes for
somebody of the network.
"""

from collections import Counter
from collections.abc import Callable

from ipc.envelope import Envelope
from ipc.handshake import fits
from ipc.remote import CurveHubTransport, identity_of, is_remote, key_of
from ipc.transport import HubTransport

Admission = Callable[[bytes | None, str], bool]
"""Whether whoever proved this public key may go by this name; without a key: a process of this machine."""


class JoinedHubTransport:
    """A `HubTransport` made of two."""

    def __init__(self, local: HubTransport, remote: CurveHubTransport, admission: Admission) -> None:
        self._local = local
        self._remote = remote
        self._admission = admission

    def admits(self, route: bytes, name: str, incarnation: str) -> bool:
        """Whether a connection may say hello by that name; for `Hub`."""
        return fits(identity_of(route), name, incarnation) and self._admission(key_of(route), name)

    def open(
        self,
        *,
        receive: Callable[[bytes, list[Envelope]], None],
        lost: Callable[[bytes, list[Envelope]], None],
        disconnected: Callable[[], None],
        counters: Counter[str],
    ) -> None:
        """Start listening on both.

        Raises:
            OSError: The network's endpoint cannot be used.
            zmq.ZMQError: That of this machine cannot.
        """

        def receive_local(route: bytes, envelopes: list[Envelope]) -> None:
            if is_remote(route):
                counters["forged"] += len(envelopes)
            else:
                receive(route, envelopes)

        self._local.open(receive=receive_local, lost=lost, disconnected=disconnected, counters=counters)
        try:
            self._remote.open(receive=receive, lost=lost, disconnected=disconnected, counters=counters)
        except OSError:
            self._local.close()
            raise

    def send(self, route: bytes, envelope: Envelope) -> None:
        """Queue one envelope for a link.

        Raises:
            BusyError: That link's queue is full.
        """
        self._of(route).send(route, envelope)

    def answer(self, route: bytes, envelope: Envelope) -> None:
        """Send one envelope to a stranger, if that is possible at once."""
        self._of(route).answer(route, envelope)

    def forget(self, route: bytes) -> list[Envelope]:
        """Drop a link's queue. Returns what was in it."""
        return self._of(route).forget(route)

    def queued(self, route: bytes) -> int:
        """How many envelopes wait for a link."""
        return self._of(route).queued(route)

    def close(self) -> None:
        """Stop listening on both."""
        self._remote.close()
        self._local.close()

    def _of(self, route: bytes) -> HubTransport:
        return self._remote if is_remote(route) else self._local
