"""Which nodes there are, as hub and registry know it: a `node_code.Presence`."""

from collections.abc import Callable, Mapping

from ipc.hub import Peer
from ratchet.cluster.names import NODE, actor_name, node_of
from ratchet.cluster.registry import Registry


class HubPresence:
    """Nodes that are enrolled; without a registry, those that are connected.

    Args:
        peers: Who is connected to the hub now, by name.
        registry: Who joined.
    """

    def __init__(self, peers: Callable[[], Mapping[str, Peer]], registry: Registry | None = None) -> None:
        self._peers = peers
        self._registry = registry

    def names(self) -> list[str]:
        """Every node that belongs to this head."""
        if self._registry is not None:
            return sorted(node.name for node in self._registry.nodes.values() if node.status != "revoked")
        return sorted(node_of(peer.name) or "" for peer in self._peers().values() if peer.role == NODE)

    def session(self, node: str) -> object | None:
        """Its session with the hub."""
        return self._peers().get(actor_name(node))

    def refusal(self, node: str) -> str | None:
        """Whoever is connected and not being drained may get work."""
        known = self._registry.nodes.get(node) if self._registry is not None else None
        if known is not None and known.status == "draining":
            return "is being drained"
        return None if actor_name(node) in self._peers() else "is not connected"
