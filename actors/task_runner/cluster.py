"""What a head needs for machines to join it: its own keys, who is enrolled, and the socket on the network."""

import socket
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

from ipc.curve import KeyPair
from ipc.joined import JoinedHubTransport
from ipc.remote import CurveHubTransport
from ipc.transport import HubTransport
from ipc.zeromq import Context
from ratchet.actor import ActorHost
from ratchet.cluster.keyfile import own_keys
from ratchet.cluster.registry import Registry
from ratchet.config.address import Address, parse_address
from ratchet.errors import StartupError
from ratchet.stores.nodes import NodeStore

KEY_FILE = "cluster.key"
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


class Cluster:
    """Who may join and has joined, and where. `Cluster.open` is the way to get one.

    Attributes:
        keys: The head's own.
        registry: Nodes and tokens.
        store: Where they are kept.
    """

    def __init__(self, listen: str, keys: KeyPair, registry: Registry, store: NodeStore, context: Context) -> None:
        self.keys = keys
        self.registry = registry
        self.store = store
        self._listen = listen
        self._remote = CurveHubTransport(
            context,
            _endpoint(listen),
            own=keys,
            admitted=lambda key: registry.admitted(key, time.time_ns()),
            heard=registry.heard,
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, host: ActorHost, listen: str) -> AsyncGenerator[Self]:
        """Load what is known; nothing listens yet.

        Raises:
            StartupError: The keys cannot be had, or `listen` leads nowhere.
            StoreError: The store cannot be used.
        """
        keys = own_keys(host.setup.config.data_dir / KEY_FILE)
        async with host.database("nodes.db", store="nodes") as database:
            store = NodeStore(database)
            registry = Registry(await store.nodes(), await store.tokens())
            yield cls(listen, keys, registry, store, host.context)

    def join(self, local: HubTransport) -> JoinedHubTransport:
        """The hub's transport: its machine's sockets, and the one on the network."""
        return JoinedHubTransport(local, self._remote, self.registry.admits)

    @property
    def address(self) -> str:
        """Where nodes connect, `tcp://host:port`; a wildcard is told as this machine's name."""
        _, _, port = self._remote.address.rpartition(":")
        host = parse_address(self._listen).host
        host = socket.gethostname() if host in _WILDCARDS else host
        return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"

    def unusable(self, error: OSError) -> StartupError:
        """What to say where the socket could not be bound."""
        return StartupError(
            f"cluster.listen {self._listen} cannot be bound: {error.strerror or error}; set it to another address or "
            "port, or leave it out"
        )


def _endpoint(listen: str) -> str:
    """The address as ZeroMQ binds it, which takes no names."""
    address = parse_address(listen)
    host = _numeric(address)
    return f"tcp://[{host}]:{address.port}" if ":" in host else f"tcp://{host}:{address.port}"


def _numeric(address: Address) -> str:
    try:
        return str(socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise StartupError(f"cluster.listen {address.host}:{address.port} cannot be used: {error.strerror}") from error
