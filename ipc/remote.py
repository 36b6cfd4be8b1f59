"""The hub's end over a network: a ROUTER on TCP that speaks CURVE only, and only with keys that are admitted.

A route here is the proven key of a connection followed by what it calls itself (its routing id). So two connections
with different keys are never the same route, whatever they say. That a routing id has a random incarnation in it keeps
another connection from being handed what was meant for the one that had it before.
"""

from collections import Counter
from collections.abc import Callable
from functools import lru_cache

import zmq

from ipc.curve import KEY_BYTES, KeyPair, parse_key
from ipc.envelope import Envelope
from ipc.reading import NOBLOCK
from ipc.sending import Outcome
from ipc.zap import DOMAIN, USER_ID, ZapHandler
from ipc.zeromq import Context, ZmqHubTransport, decode

HANDSHAKE_MS_MAX = 5_000  # whoever connects and says nothing has a socket for so long
HEARTBEAT_MS = 5_000  # of ZMTP: what tells a connection that died without a word, so that it takes no memory
HEARTBEAT_TIMEOUT_MS = 20_000
BACKLOG = 256

_MARK = b"\0"  # no routing id of a link begins so
_HEAD_BYTES = len(_MARK) + KEY_BYTES
_KEYS_REMEMBERED = 1024  # each frame comes with its key as text

_parse = lru_cache(_KEYS_REMEMBERED)(parse_key)


def is_remote(route: bytes) -> bool:
    """Whether a route is one of a connection over the network."""
    return route.startswith(_MARK)


def key_of(route: bytes) -> bytes | None:
    """The public key that a connection over the network proved; None for one of this machine."""
    return route[len(_MARK) : _HEAD_BYTES] if is_remote(route) else None


def identity_of(route: bytes) -> bytes:
    """What a connection calls itself."""
    return route[_HEAD_BYTES:] if is_remote(route) else route


class CurveHubTransport(ZmqHubTransport):
    """A `HubTransport` on TCP for keys that are admitted.

    Whether a key is, is asked for each connection, and for each frame whether it still is heard: one that is revoked is
    cut off from that moment.
    """

    def __init__(
        self,
        context: Context,
        endpoint: str,
        *,
        own: KeyPair,
        admitted: Callable[[bytes], bool],
        heard: Callable[[bytes], bool],
    ) -> None:
        """Make an end that does nothing until `open`.

        Args:
            context: Of this process; it can have one of these.
            endpoint: `tcp://host:port`; port 0 means any free one.
            own: The hub's keys.
            admitted: Whether a public key may connect.
            heard: Whether what comes over a connection of that key is still heard.
        """
        super().__init__(context, endpoint)
        self._own = own
        self._heard = heard
        self._zap = ZapHandler(context, admitted)
        self.address = endpoint

    def open(
        self,
        *,
        receive: Callable[[bytes, list[Envelope]], None],
        lost: Callable[[bytes, list[Envelope]], None],
        disconnected: Callable[[], None],
        counters: Counter[str],
    ) -> None:
        """Bind; `address` is then where, in full.

        Raises:
            OSError: The endpoint cannot be used, or this libzmq has no CURVE.
        """
        self._zap.open(counters)
        try:
            super().open(receive=receive, lost=lost, disconnected=disconnected, counters=counters)
        except zmq.ZMQError as error:
            self._zap.close()
            raise OSError(error.errno, error.strerror) from error
        assert self._socket is not None
        self.address = bytes(self._socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode("ascii")

    def close(self) -> None:
        """Stop listening."""
        super().close()
        self._zap.close()

    def _prepare(self, socket: "zmq.Socket[bytes]") -> None:
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._own.secret)
        socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without a handler nobody gets in, instead of everybody
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS_MAX)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
        socket.setsockopt(zmq.BACKLOG, BACKLOG)
        socket.setsockopt(zmq.IPV6, int("[" in self._endpoint))

    def _read(self) -> None:
        assert self._socket is not None
        identity, *parts = self._socket.recv_multipart(NOBLOCK, copy=False)
        key = _parse(str(identity.get(USER_ID)))
        if not self._heard(key):
            self._counters["revoked"] += 1
            return
        envelopes = decode([part.bytes for part in parts], self._counters)
        if envelopes:
            self._receive(_MARK + key + identity.bytes, envelopes)

    def _transmit(self, route: bytes, parts: list[bytes]) -> Outcome:
        return super()._transmit(identity_of(route), parts)
