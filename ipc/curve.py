"""Keys for CURVE, ZeroMQ's encryption and authentication (https://rfc.zeromq.org/spec/26/): pairs, and who holds which.

Keys are 32 bytes; as text they are Z85, 40 characters (https://rfc.zeromq.org/spec/32/). Knows no files and no names.
"""

from dataclasses import dataclass, field

import zmq
from zmq.utils import z85

from ipc.errors import MalformedError

KEY_BYTES = 32
KEY_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A public key and the secret one that proves it, 32 bytes each. The secret one is never shown."""

    public: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> "KeyPair":
        """A new one.

        Raises:
            zmq.ZMQError: This libzmq has no CURVE; `available` tells before.
        """
        public, secret = zmq.curve_keypair()
        return cls(z85.decode(public), z85.decode(secret))

    @classmethod
    def of_secret(cls, secret: bytes) -> "KeyPair":
        """The pair that a secret key belongs to.

        Raises:
            MalformedError: It is not 32 bytes.
        """
        if len(secret) != KEY_BYTES:
            raise MalformedError(f"a CURVE key has {KEY_BYTES} bytes, this one {len(secret)}")
        return cls(z85.decode(zmq.curve_public(z85.encode(secret))), secret)


@dataclass(frozen=True, slots=True)
class CurveClient:
    """What a link needs to reach a hub over CURVE.

    Attributes:
        server_public: The hub's public key: a hub that cannot prove it gets nothing from the link.
        own: By what the hub knows the link.
    """

    server_public: bytes
    own: KeyPair

    def apply(self, socket: "zmq.Socket[bytes]") -> None:
        """Set the options of a socket that is not connected yet."""
        socket.setsockopt(zmq.CURVE_SERVERKEY, self.server_public)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self.own.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.own.secret)


def available() -> bool:
    """Whether this libzmq was built with CURVE."""
    return zmq.has("curve")


def key_text(key: bytes) -> str:
    """A key as Z85.

    Raises:
        MalformedError: It is not 32 bytes.
    """
    if len(key) != KEY_BYTES:
        raise MalformedError(f"a CURVE key has {KEY_BYTES} bytes, this one {len(key)}")
    return z85.encode(key).decode("ascii")


def parse_key(text: str) -> bytes:
    """The key of a Z85 text.

    Raises:
        MalformedError: It is none.
    """
    try:
        key = z85.decode(text.encode("ascii")) if len(text) == KEY_CHARACTERS else b""
    except (ValueError, KeyError) as error:
        raise MalformedError("no CURVE key: it has characters that Z85 has not") from error
    if len(key) != KEY_BYTES:
        raise MalformedError(f"no CURVE key: it has {len(text)} characters, not {KEY_CHARACTERS}")
    return key
