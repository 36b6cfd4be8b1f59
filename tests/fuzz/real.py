"""The same against real processes: the ROUTER socket of a running project, and the socket of its supervisor."""

import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from random import Random

import zmq

from ipc.codec import encode_batch
from ipc.envelope import PROTOCOL_VERSION, Envelope, Kind
from ipc.handshake import Hello, encode_hello, identity
from ratchet.channel import encode
from ratchet.project import Project
from tests.fuzz.hostile import PROCEDURES, Hostile

_PEER = "cli:fuzz"
_PEERS_SECONDS = 5000  # milliseconds until a frame that the hub does not read is given up


def strike(project: Project, seed: int, inputs: int) -> None:
    """Send so many hostile messages to a project; whoever calls this looks at how it is afterwards."""
    chance = Random(seed)
    hostile = Hostile(chance)
    seen = [encode_batch([one]) for one in _valid(hostile, chance)]
    with _dealer(project, identity(_PEER, "1")) as peer, _dealer(project, b"stranger") as stranger:
        for number in range(inputs):
            if number % 50 == 0:
                peer.send(_hello())
                _strike_supervisor(project, hostile, chance)
            who = peer if chance.random() < 0.8 else stranger
            who.send_multipart([hostile.frame(seen) for _ in range(chance.choice([1, 1, 1, 2, 4]))])
            with suppress(zmq.Again):
                while True:
                    who.recv(zmq.NOBLOCK)


def _valid(hostile: Hostile, chance: Random) -> Iterator[Envelope]:
    """Calls of every procedure with bodies that are not, and the rest of the kinds."""
    for number, procedure in enumerate(PROCEDURES):
        target = {"*": "task-runner", "worker": "worker:1"}.get(procedure.role, procedure.role)
        key = b"fuzz%d" % number
        yield Envelope(Kind.CALL, key, _PEER, target, procedure.name, 1000, body=hostile.body(procedure.request, []))
    for kind in Kind:
        target = chance.choice(["", "task-runner", "worker:1", "log-store"])
        yield Envelope(kind, b"fuzz", _PEER, target, body=chance.randbytes(20))


def _hello() -> bytes:
    hello = Hello(1, PROTOCOL_VERSION, _PEER, "1", 1, b"")
    return encode_batch([Envelope(Kind.HELLO, b"", _PEER, "", body=encode_hello(hello))])


@contextmanager
def _dealer(project: Project, route: bytes) -> "Generator[zmq.Socket[bytes]]":
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.setsockopt(zmq.ROUTING_ID, route)
        dealer.setsockopt(zmq.SNDTIMEO, _PEERS_SECONDS)
        dealer.connect(project.hub_endpoint)
        yield dealer


def _strike_supervisor(project: Project, hostile: Hostile, chance: Random) -> None:
    kinds = [b"what", b"status", b"attach"]
    frame = encode(chance.choice(kinds).decode(), {"version": "x", "of": {"a": 1}})
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.settimeout(5)
        client.connect(str(project.control_path))
        client.sendall(hostile.damaged(frame))
