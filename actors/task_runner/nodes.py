"""Nodes: letting machines in, seeing how they are, and having them drained or cut off. The procedures `nodes.*`."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import structlog

from actors.task_runner.cluster import Cluster
from actors.task_runner.losses import Losses
from actors.task_runner.workers import Workers
from ipc.curve import KeyPair, key_text, parse_key
from ipc.errors import MalformedError
from ipc.hub import Hub, Peer
from ipc.link import Link, Request
from ipc.remote import key_of
from ratchet import messages, rpc
from ratchet.bodies.common import Empty
from ratchet.bodies.nodes import (
    Enrol,
    Enrolled,
    MakeToken,
    NameNode,
    NodeInfo,
    NodeList,
    NodeState,
    NodeStatus,
    RegisterNode,
    Token,
)
from ratchet.cluster.names import NODE, actor_name, node_of
from ratchet.cluster.records import Node, TokenRecord
from ratchet.cluster.token import JoinToken
from ratchet.cluster.versions import check_version
from ratchet.errors import ForbiddenError, RequestError, StoreError
from ratchet.models import Category, Failure
from ratchet.version import VERSION

log = structlog.stdlib.get_logger("task-runner")

Spawn = Callable[[Coroutine[Any, Any, Any], str], object]


class NodeDesk:
    """Where operators, machines that want to join, and nodes come.

    Args:
        cluster: What is known of nodes; None: the configuration lets none join.
        hub: To which they are connected.
        link: To tell them something.
        workers: Theirs are among them.
        losses: Gives up the attempts of one that is cut off.
        changed: Told when a node may take again what it could not.
        spawn: Runs something beside the requests.
    """

    def __init__(
        self,
        cluster: Cluster | None,
        *,
        hub: Hub,
        link: Link,
        workers: Workers,
        losses: Losses,
        changed: Callable[[], None],
        spawn: Spawn,
    ) -> None:
        self._cluster = cluster
        self._hub = hub
        self._link = link
        self._workers = workers
        self._losses = losses
        self._changed = changed
        self._spawn = spawn
        self._changing = asyncio.Lock()  # what is decided of nodes is decided on what is recorded

    def methods(self) -> dict[Any, Any]:
        """The procedures."""
        return {
            messages.MAKE_TOKEN: self.make_token,
            messages.LIST_NODES: self.list,
            messages.DRAIN_NODE: self.drain,
            messages.RESUME_NODE: self.resume,
            messages.REVOKE_NODE: self.revoke,
            messages.ENROL_NODE: self.enrol,
            messages.REGISTER_NODE: self.register,
        }

    # --- for operators --------------------------------------------------------------------------------------------

    async def make_token(self, body: MakeToken, _request: Request) -> Token:
        """A new join token; it is shown now and never again."""
        cluster = self._required()
        pair, now_ns = KeyPair.generate(), time.time_ns()
        record = TokenRecord(key_text(pair.public), body.uses, now_ns + int(body.expires_seconds * 1e9))
        await cluster.store.add_token(record, now_ns=now_ns)
        cluster.registry.put_token(record, now_ns)
        token = JoinToken(cluster.keys.public, pair.secret, record.expires_ns // 10**9)
        return Token(token=token.encode(), uses=body.uses, expires_ns=record.expires_ns, address=cluster.address)

    async def list(self, _body: Empty, _request: Request) -> NodeList:
        """Every node."""
        self._required()
        found = self.overview()
        assert found is not None
        return found

    def overview(self) -> NodeList | None:
        """Every node; None where none can join."""
        if self._cluster is None:
            return None
        nodes = self._cluster.registry.nodes
        return NodeList(address=self._cluster.address, nodes=[self._info(nodes[name]) for name in sorted(nodes)])

    async def drain(self, body: NameNode, _request: Request) -> NodeInfo:
        """Give a node no new attempts; what runs on it finishes."""
        return await self._switch(body.name, "draining")

    async def resume(self, body: NameNode, _request: Request) -> NodeInfo:
        """Give it attempts again."""
        return await self._switch(body.name, "enrolled")

    async def revoke(self, body: NameNode, _request: Request) -> NodeInfo:
        """Cut a node off: nothing that comes with its key is heard from now on, and what runs on it is given up."""
        cluster = self._required()
        async with self._changing:
            node = replace(cluster.registry.node(body.name), status="revoked")
            await cluster.store.put(node)
            cluster.registry.put(node)
        log.warning("a node was revoked", node=node.name, key=node.public_key)
        key = parse_key(node.public_key)
        for peer in [one for one in self._hub.peers.values() if key_of(one.route) == key]:
            self._hub.expel(peer)
        message = f"node {node.name}, which ran this attempt, was revoked"
        failure = Failure(category=Category.WORKER_LOST, type="NodeRevoked", message=message)
        await self._losses.node_gone(node.name, failure)
        return self._info(node)

    async def _switch(self, name: str, status: NodeStatus) -> NodeInfo:
        cluster = self._required()
        async with self._changing:
            node = cluster.registry.node(name)
            if node.status == "revoked":
                raise RequestError(f"node {name} was revoked: it comes back only by joining anew, with a new key")
            node = replace(node, status=status)
            await cluster.store.put(node)
            cluster.registry.put(node)
        if actor_name(name) in self._hub.peers:
            state = NodeState(status=status, version=VERSION)
            rpc.cast(self._link, messages.NODE_CHANGED, state, target=actor_name(name))
        self._changed()
        return self._info(node)

    # --- for machines ---------------------------------------------------------------------------------------------

    async def enrol(self, body: Enrol, request: Request) -> Enrolled:
        """Let a machine in that proved a token's key, by a key of its own.

        Raises:
            RequestError: Its name, key or version will not do.
            ForbiddenError: The token is used up, or has expired.
        """
        cluster = self._required()
        peer = self._hub.peers.get(request.source)
        token_key = key_of(peer.route) if peer is not None else None
        token = cluster.registry.token(token_key) if token_key is not None else None
        if token is None:
            raise ForbiddenError("only whoever holds a join token can enrol a node")
        try:
            public_key = parse_key(body.public_key)
        except MalformedError as error:
            raise RequestError(error.message) from None
        async with self._changing:
            if cluster.registry.check_enrolment(body.name, public_key, body.version, VERSION):
                await self._enrol(cluster, body, token)
        return Enrolled(name=body.name, version=VERSION)

    async def _enrol(self, cluster: Cluster, body: Enrol, token: TokenRecord) -> None:
        now_ns = time.time_ns()
        node = Node(body.name, body.public_key, "enrolled", body.version, now_ns)
        if not await cluster.store.enrol(node, token.public_key, now_ns=now_ns):
            raise ForbiddenError("the join token is used up or has expired; `ratchet node token` prints another")
        cluster.registry.put(node)
        cluster.registry.put_token(replace(token, uses_left=token.uses_left - 1), now_ns)
        log.info("a node was enrolled", node=node.name, key=node.public_key)

    async def register(self, body: RegisterNode, request: Request) -> NodeState:
        """A node's own actor is there.

        Raises:
            RequestError: Its version does not go with the head's.
        """
        cluster = self._required()
        name = node_of(request.source) or ""
        check_version(name, body.version, VERSION)
        async with self._changing:
            node = replace(
                cluster.registry.node(name),
                version=body.version,
                host=body.host,
                pid=body.pid,
                last_seen_ns=time.time_ns(),
            )
            await cluster.store.put(node)
            cluster.registry.put(node)
        return NodeState(status=node.status, version=VERSION)

    def gone(self, peer: Peer) -> None:
        """A peer of the hub left; of a node it is recorded when that was."""
        if peer.role == NODE and self._cluster is not None:
            self._spawn(self._note_seen(self._cluster, node_of(peer.name) or ""), "node seen")

    async def _note_seen(self, cluster: Cluster, name: str) -> None:
        async with self._changing:
            node = cluster.registry.nodes.get(name)
            if node is None:
                return
            node = replace(node, last_seen_ns=time.time_ns())
            try:
                await cluster.store.put(node)
            except StoreError as error:
                log.warning("when a node was seen could not be recorded", node=name, error=error.message)
            cluster.registry.put(node)

    # --- what is known --------------------------------------------------------------------------------------------

    def _required(self) -> Cluster:
        if self._cluster is None:
            raise RequestError(
                "no machine can join: set cluster.listen in the configuration to an address such as 0.0.0.0:8091, "
                "and start Ratchet anew"
            )
        return self._cluster

    def _info(self, node: Node) -> NodeInfo:
        connected = actor_name(node.name) in self._hub.peers
        workers = [one for one in self._workers.all() if node_of(one.name) == node.name]
        workers = [one for one in workers if one.name in self._hub.peers]
        return NodeInfo(
            name=node.name,
            public_key=node.public_key,
            status=node.status,
            version=node.version,
            enrolled_ns=node.enrolled_ns,
            last_seen_ns=time.time_ns() if connected else node.last_seen_ns,
            host=node.host,
            pid=node.pid,
            connected=connected or bool(workers),
            workers=len(workers),
            slots=sum(one.slots for one in workers),
            slots_busy=sum(one.busy for one in workers),
        )
