"""What travels: the envelope, its kinds, and its form on the wire.

On the wire an envelope is the array `[version, kind, key, source, target, method, remaining_ms, idempotent, trace,
credit, body]`. The array is frozen and append-only: later versions add elements (no maps) at its end, readers ignore
what they do not know. Bodies are opaque here.
"""

from enum import IntEnum
from typing import Any, NamedTuple, TypeGuard

from ipc.errors import MalformedError

PROTOCOL_VERSION = 1
PROTOCOL_VERSION_MIN = 1

BODY_BYTES_MAX = 6 * 1024 * 1024  # 4 MiB of payload, and room for what wraps it
KEY_BYTES_MAX = 32
NAME_CHARS_MAX = 128
METHOD_CHARS_MAX = 128
TRACE_CHARS_MAX = 256
REMAINING_MS_MAX = 2**53
CREDIT_MAX = 2**31
OVERHEAD_BYTES = 160  # about what an envelope weighs beside its body

_ELEMENTS = 11
_ELEMENTS_MAX = 32


class Kind(IntEnum):
    """What an envelope is for. Values are frozen; new kinds are appended.

    `DRAIN`, `ITEM`, `CREDIT`, `END` and `ACK` are reserved for streams and drained sessions.
    """

    HELLO = 1
    WELCOME = 2
    PING = 3
    PONG = 4
    DRAIN = 5
    BYE = 6
    CALL = 7
    ACCEPT = 8
    REPLY = 9
    ERROR = 10
    CANCEL = 11
    ITEM = 12
    CREDIT = 13
    END = 14
    PROGRESS = 15
    EVENT = 16
    ACK = 17


CONTROL = frozenset(
    {
        Kind.HELLO,
        Kind.WELCOME,
        Kind.PING,
        Kind.PONG,
        Kind.DRAIN,
        Kind.BYE,
        Kind.ACCEPT,
        Kind.CANCEL,
        Kind.CREDIT,
        Kind.ACK,
    }
)
"""Kinds that overtake data in a queue."""

_KINDS: dict[object, Kind] = {kind.value: kind for kind in Kind}


class Envelope(NamedTuple):
    """One message. Immutable.

    A named tuple and not a frozen dataclass: it is made four times a call, and that costs a third.

    Attributes:
        kind: What it is for.
        key: The call it belongs to, minted by the caller; empty when it belongs to none.
        source: Name of the sender.
        target: Name of the receiver; empty means the hub itself.
        method: What is called or announced.
        remaining_ms: Time left for a call when it was sent; never a wall clock.
        idempotent: Whether the call may be sent again.
        trace: W3C traceparent of the caller.
        credit: Reserved for streams.
        body: Opaque to everyone but the receiver.
    """

    kind: Kind
    key: bytes
    source: str
    target: str
    method: str = ""
    remaining_ms: int | None = None
    idempotent: bool = False
    trace: str | None = None
    credit: int = 0
    body: bytes = b""

    @property
    def payload_bytes(self) -> int:
        """What it counts against the bound of a queue."""
        return len(self.body) + OVERHEAD_BYTES


def to_wire(envelope: Envelope) -> tuple[object, ...]:
    """The array form."""
    return (PROTOCOL_VERSION, *envelope)


def from_wire(item: object) -> Envelope:
    """The envelope that `item`, an unpacked array, stands for.

    Raises:
        MalformedError: An element is missing, of another type, or beyond its limit.
    """
    if not _is_tuple(item) or not _ELEMENTS <= len(item) <= _ELEMENTS_MAX:
        raise MalformedError(f"an envelope is an array of {_ELEMENTS} to {_ELEMENTS_MAX} elements, not {item!r:.80}")
    version, kind, key, source, target, method, remaining_ms, idempotent, trace, credit, body = item[:_ELEMENTS]
    if type(version) is not int or version < PROTOCOL_VERSION_MIN:
        raise MalformedError(f"an envelope of version {version!r:.40}; {PROTOCOL_VERSION_MIN} or later is understood")
    known = _KINDS.get(kind) if type(kind) is int else None
    if known is None:
        raise MalformedError(f"an envelope of the unknown kind {kind!r:.40}")
    _check_bytes("key", key, KEY_BYTES_MAX)
    _check_text("source", source, NAME_CHARS_MAX)
    _check_text("target", target, NAME_CHARS_MAX)
    _check_text("method", method, METHOD_CHARS_MAX)
    _check_bytes("body", body, BODY_BYTES_MAX)
    if remaining_ms is not None:
        _check_number("remaining_ms", remaining_ms, REMAINING_MS_MAX)
    if type(idempotent) is not bool:
        raise MalformedError(f"idempotent is a boolean, not {idempotent!r:.40}")
    if trace is not None:
        _check_text("trace", trace, TRACE_CHARS_MAX)
    _check_number("credit", credit, CREDIT_MAX)
    return Envelope(known, key, source, target, method, remaining_ms, idempotent, trace, credit, body)


def _is_tuple(item: object) -> TypeGuard[tuple[Any, ...]]:
    return type(item) is tuple


def _check_bytes(name: str, value: object, bytes_max: int) -> None:
    if type(value) is not bytes or len(value) > bytes_max:
        raise MalformedError(f"{name} is at most {bytes_max} bytes, not {value!r:.40}")


def _check_text(name: str, value: object, chars_max: int) -> None:
    if type(value) is not str or len(value) > chars_max:
        raise MalformedError(f"{name} is a string of at most {chars_max} characters, not {value!r:.40}")


def _check_number(name: str, value: object, maximum: int) -> None:
    if type(value) is not int or not 0 <= value <= maximum:
        raise MalformedError(f"{name} is a number from 0 to {maximum}, not {value!r:.40}")
