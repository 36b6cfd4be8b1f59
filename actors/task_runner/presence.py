"""Which nodes there are, as the hub knows it: a `node_code.Presence`."""

from collections.abc import Callable, Mapping

from ipc.hub import Peer
from ratchet.cluster.names import NODE, actor_name, node_of


class HubPresence:
    """Nodes are known while they are connected.

    Args:
        peers: Who is connected to the hub now, by name.
    """

    def __init__(self, peers: Callable[[], Mapping[str, Peer]]) -> None:
        self._peers = peers

    def names(self) -> list[str]:
        """Every node that is connected."""
        return sorted(node_of(peer.name) or "" for peer in self._peers().values() if peer.role == NODE)

    def session(self, node: str) -> object | None:
        """Its session with the hub."""
        return self._peers().get(actor_name(node))

    def refusal(self, node: str) -> str | None:
        """Whoever is connected may get work."""
        return None if actor_name(node) in self._peers() else "is not connected"
