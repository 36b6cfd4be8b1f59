"""The join token: a text that carries the head's public key and a secret key that may be used to enrol a node. Pure.

The secret key is a CURVE client's: the connection over which a node enrols is authenticated by it. The head keeps only
the public key that belongs to it, so nobody can read tokens out of its files.
"""

import base64
import binascii
import struct
from dataclasses import dataclass, field

from ipc.curve import KEY_BYTES
from ratchet.errors import RequestError

PREFIX = "rjt_"
_FORM = struct.Struct(f">{KEY_BYTES}s{KEY_BYTES}sQ")
_WHERE = "`ratchet node token` on the head prints one"


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What is in a token.

    Attributes:
        server_public: The head's public key, 32 bytes.
        secret: The key that may enrol, 32 bytes; never shown but by `encode`.
        expires_at: Seconds since the epoch, by the head's clock.
    """

    server_public: bytes
    secret: bytes = field(repr=False)
    expires_at: int

    def encode(self) -> str:
        """The text to hand over, a secret."""
        packed = _FORM.pack(self.server_public, self.secret, self.expires_at)
        return PREFIX + base64.urlsafe_b64encode(packed).decode("ascii").rstrip("=")


def parse_token(text: str) -> JoinToken:
    """Read a token; the text itself is never part of an error.

    Raises:
        RequestError: It is none.
    """
    bare = text.strip()
    if not bare.startswith(PREFIX):
        raise RequestError(f"this is no join token: one begins with {PREFIX}; {_WHERE}")
    body = bare.removeprefix(PREFIX)
    try:
        packed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        server_public, secret, expires_at = _FORM.unpack(packed)
    except (binascii.Error, ValueError, struct.error):
        raise RequestError(f"this join token is damaged, perhaps cut off when it was copied; {_WHERE}") from None
    return JoinToken(server_public, secret, expires_at)
