"""Who may connect over CURVE: the handler of ZeroMQ's authentication protocol (https://rfc.zeromq.org/spec/27/).

libzmq asks it, within one context, before the handshake of a connection is finished. pyzmq has one too, but it is a
coroutine with a poller of its own and keeps a list of keys; this one is read as every socket of a hub is, and asks.
"""

import time
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address

import structlog
import zmq

from ipc.curve import KEY_BYTES, key_text
from ipc.reading import NOBLOCK, Reader, nothing

ENDPOINT = "inproc://zeromq.zap.01"  # where libzmq looks for a handler
DOMAIN = b"hub"
USER_ID = "User-Id"  # the property of a message by which a socket says whose it is

_VERSION = b"1.0"
_MECHANISM = b"CURVE"
_LOG_SECONDS = 1.0  # whoever tries keys fills no log

log = structlog.stdlib.get_logger("ipc.zap")


class ZapHandler:
    """Admits the keys that `admitted` knows; their messages then carry the key as Z85."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", admitted: Callable[[bytes], bool]) -> None:
        self._context = context
        self._admitted = admitted
        self._socket: zmq.Socket[bytes] | None = None
        self._logged_at = float("-inf")

    def open(self, counters: Counter[str]) -> None:
        """Begin to answer. It comes before the sockets that it guards are bound.

        Raises:
            zmq.ZMQError: The context has a handler already.
        """
        socket = self._context.socket(zmq.REP)
        socket.linger = 0
        try:
            socket.bind(ENDPOINT)
        except zmq.ZMQError:
            socket.close()
            raise
        self._counters = counters
        self._socket = socket
        self._reader = Reader(socket, self._read, nothing)

    def close(self) -> None:
        """Answer no more: nobody new gets in. Idempotent."""
        if self._socket is not None:
            self._reader.close()
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        assert self._socket is not None
        version, request, domain, address, _identity, mechanism, *credentials = self._socket.recv_multipart(NOBLOCK)
        key = credentials[0] if credentials and len(credentials[0]) == KEY_BYTES else None
        well_formed = (version, domain, mechanism) == (_VERSION, DOMAIN, _MECHANISM)
        if well_formed and key is not None and self._admitted(key):
            answer = (b"200", b"OK", key_text(key).encode("ascii"))
        else:
            answer = (b"400", b"", b"")  # that a key is not admitted is all that is said
            self._refused(address, key)
        self._socket.send_multipart([_VERSION, request, *answer, b""], NOBLOCK)
        self._reader.check()

    def _refused(self, address: bytes, key: bytes | None) -> None:
        self._counters["refused.key"] += 1
        now = time.monotonic()
        if now - self._logged_at >= _LOG_SECONDS:
            self._logged_at = now
            log.warning("a connection was refused", address=_readable(address), key=key_text(key) if key else None)


def _readable(address: bytes) -> str:
    try:
        return str(ip_address(address.decode("ascii")))
    except ValueError:
        return "unknown"
