"""Who may connect as whom: every node and token that the head knows, in memory. Pure; the clock is passed in."""

from collections.abc import Iterable

from ipc.curve import key_text, parse_key
from ratchet.cluster.names import JOINER, NODE, node_of, valid
from ratchet.cluster.records import Node, TokenRecord
from ratchet.cluster.versions import check_version
from ratchet.errors import RequestError


class Registry:
    """Nodes by name and key, tokens by key.

    Attributes:
        nodes: By name.
    """

    def __init__(self, nodes: Iterable[Node] = (), tokens: Iterable[TokenRecord] = ()) -> None:
        self.nodes = {node.name: node for node in nodes}
        self._by_key = {parse_key(node.public_key): node.name for node in self.nodes.values()}
        self._tokens = {parse_key(token.public_key): token for token in tokens}

    def admitted(self, key: bytes, now_ns: int) -> bool:
        """Whether a connection that proves this key is let in at all."""
        name = self._by_key.get(key)
        if name is not None:
            return self.nodes[name].status != "revoked"
        token = self._tokens.get(key)
        return token is not None and token.valid(now_ns)

    def heard(self, key: bytes) -> bool:
        """Whether a connection that was let in with this key still is heard; of a token, also once it is used up."""
        name = self._by_key.get(key)
        return key in self._tokens if name is None else self.nodes[name].status != "revoked"

    def admits(self, key: bytes | None, actor: str) -> bool:
        """Whether whoever proved this key may be called so; without a key: a process of the head's machine."""
        role = actor.partition(":")[0]
        node = node_of(actor)
        if key is None:
            return node is None and role not in (NODE, JOINER)
        name = self._by_key.get(key)
        if name is not None:
            return node == name
        return role == JOINER and key in self._tokens

    def node(self, name: str) -> Node:
        """The node of this name.

        Raises:
            RequestError: There is none; the message names those there are.
        """
        found = self.nodes.get(name)
        if found is None:
            known = ", ".join(sorted(self.nodes)) or "none has joined"
            raise RequestError(f"no node is called {name!r:.80}: {known}")
        return found

    def token(self, key: bytes) -> TokenRecord | None:
        """The token whose secret key belongs to this one."""
        return self._tokens.get(key)

    def check_enrolment(self, name: str, public_key: bytes, version: str, ours: str) -> bool:
        """Whether the node is to be enrolled; False: it is already, by this very key.

        Raises:
            RequestError: It may not be: its name, its key or its version.
        """
        if not valid(name):
            raise RequestError(
                f"{name!r:.80} cannot be a node's name: it is a small letter, then up to 31 of small letters, digits "
                "and dashes"
            )
        check_version(name, version, ours)
        known, owner = self.nodes.get(name), self._by_key.get(public_key)
        if known is not None and known.public_key == key_text(public_key) and known.status != "revoked":
            return False
        if owner is not None and self.nodes[owner].status == "revoked":
            raise RequestError(f"this key was revoked, as node {owner}: remove it from the node, and join again")
        if owner is not None:
            raise RequestError(f"this key is node {owner}'s already: a node has one name")
        if known is not None and known.status != "revoked":
            raise RequestError(
                f"another key is enrolled as node {name}: choose another name, or, if that machine is gone, run "
                f"`ratchet node revoke {name}` on the head first"
            )
        return True

    def put(self, node: Node) -> None:
        """Know a node, or what has changed of it."""
        before = self.nodes.get(node.name)
        if before is not None:
            self._by_key.pop(parse_key(before.public_key), None)
        self.nodes[node.name] = node
        self._by_key[parse_key(node.public_key)] = node.name

    def put_token(self, token: TokenRecord, now_ns: int) -> None:
        """Know a token, or what is left of it; forget those that have expired."""
        self._tokens[parse_key(token.public_key)] = token
        self._tokens = {key: one for key, one in self._tokens.items() if now_ns < one.expires_ns}
