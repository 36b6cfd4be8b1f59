"""The other processes of the calls that are measured: `python -m benchmarks.call_peer KIND ENDPOINT`.

`hub` and `actor` are Ratchet's: a hub whose own link serves `echo`, and another link that does. The others are ZeroMQ
without anything: `raw-echo` gives back what comes, `raw-switch` passes on between two connections, and `raw-actor` at
one of them gives back. `asyncio-switch` and `asyncio-actor` are the same on `zmq.asyncio`. `curve-hub` and `curve-echo`
are `hub` and `raw-echo` on a network's socket, encrypted; their keys come in the environment.
"""

import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop
import zmq
import zmq.asyncio

from ipc.access import AccessTable
from ipc.curve import KeyPair, key_text
from ipc.hub import Hub
from ipc.joined import JoinedHubTransport
from ipc.link import Link, Request
from ipc.remote import CurveHubTransport
from ipc.zeromq import ZmqHubTransport, ZmqLinkTransport

CALLER = b"caller"
ACTOR = b"actor"
SERVER_KEYS = "RATCHET_BENCH_SERVER_KEYS"  # hexadecimal, public:secret
LOCAL = "RATCHET_BENCH_LOCAL"  # where a hub on the network listens, too


async def echo(request: Request) -> bytes:
    """What came."""
    return request.body


async def hub(endpoint: str) -> None:
    """A hub until it is ended."""
    one = Hub(
        ZmqHubTransport(zmq.Context(), endpoint), name="runner", incarnation="bench", access=AccessTable.everyone()
    )
    one.local_link({"echo": echo})
    await one.run()


async def curve_hub(endpoint: str) -> None:
    """A hub on the network, which lets everybody in, until it is ended."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    remote = CurveHubTransport(
        context, endpoint, own=keys_of_server(), admitted=lambda _key: True, heard=lambda _key: True
    )
    local = ZmqHubTransport(context, os.environ[LOCAL])
    transport = JoinedHubTransport(local, remote, lambda _key, _name: True)
    one = Hub(transport, name="runner", incarnation="bench", access=AccessTable.everyone(), admits=transport.admits)
    one.local_link({"echo": echo})
    await one.run()


async def actor(endpoint: str) -> None:
    """A link that serves, until it is ended."""
    transport = ZmqLinkTransport(zmq.Context(), endpoint)
    await Link(transport, name="actor", incarnation="bench", methods={"echo": echo}).run()


def raw_echo(endpoint: str) -> None:
    """Give back every message to where it came from."""
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.bind(endpoint)
    while True:
        socket.send_multipart(socket.recv_multipart())


def curve_echo(endpoint: str) -> None:
    """The same, encrypted."""
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.curve_server = True
    socket.curve_secretkey = key_text(keys_of_server().secret).encode()
    socket.bind(endpoint)
    while True:
        socket.send_multipart(socket.recv_multipart())


def keys_of_server() -> KeyPair:
    """What this process proves itself with."""
    public, secret = os.environ[SERVER_KEYS].split(":")
    return KeyPair(bytes.fromhex(public), bytes.fromhex(secret))


def raw_switch(endpoint: str) -> None:
    """Pass on between the caller and the actor."""
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.bind(endpoint)
    while True:
        source, body = socket.recv_multipart()
        socket.send_multipart([ACTOR if source == CALLER else CALLER, body])


def raw_actor(endpoint: str) -> None:
    """Give back every message."""
    socket = zmq.Context().socket(zmq.DEALER)
    socket.setsockopt(zmq.ROUTING_ID, ACTOR)
    socket.connect(endpoint)
    while True:
        socket.send(socket.recv())


async def asyncio_switch(endpoint: str) -> None:
    """`raw_switch` with coroutines."""
    socket = zmq.asyncio.Context().socket(zmq.ROUTER)
    socket.bind(endpoint)
    while True:
        source, body = await socket.recv_multipart()
        await socket.send(ACTOR if source == CALLER else CALLER, zmq.SNDMORE)
        await socket.send(body)


async def asyncio_actor(endpoint: str) -> None:
    """`raw_actor` with coroutines."""
    socket = zmq.asyncio.Context().socket(zmq.DEALER)
    socket.setsockopt(zmq.ROUTING_ID, ACTOR)
    socket.connect(endpoint)
    while True:
        await socket.send(await socket.recv())


_BLOCKING: dict[str, Callable[[str], None]] = {
    "raw-echo": raw_echo,
    "raw-switch": raw_switch,
    "curve-echo": curve_echo,
    "raw-actor": raw_actor,
}
_COROUTINES: dict[str, Callable[[str], Coroutine[Any, Any, None]]] = {
    "hub": hub,
    "actor": actor,
    "curve-hub": curve_hub,
    "asyncio-switch": asyncio_switch,
    "asyncio-actor": asyncio_actor,
}


if __name__ == "__main__":
    kind, address = sys.argv[1:]
    if kind in _BLOCKING:
        _BLOCKING[kind](address)
    else:
        uvloop.run(_COROUTINES[kind](address))
