"""What travels: the envelope, its kinds, and its form on the wire.

On the wire an envelope is the array `[version, kind, key, source, target, method, remaining_ms, idempotent, trace,
credit, body, patient]`. The array is frozen and append-only: later versions add elements (no maps) at its end, readers
ignore what they do not know. Bodies are opaque here. A body that travels beside the array (`ipc.codec`) has a number in
its place.
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
CREDIT_MAX = 2**53
OVERHEAD_BYTES = 160  # about what an envelope weighs beside its body

_BODY = 9  # of an envelope; its array begins with the version
_ELEMENTS = 11
_ELEMENTS_MAX = 32


class Kind(IntEnum):
    """What an envelope is for. Values are frozen; new kinds are appended."""

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
        credit: A count of items. Of a call: the window of the stream that it opens; 0 opens none. Of an item: its
            number, from 1. Of an end: how many there were. Of a credit or an ack: how many the reader took in all.
        body: Opaque to everyone but the receiver.
        patient: Of a call: nobody waits for its answer. Of an answer: it may linger a little, to travel with whatever
            goes the same way next instead of waking its receiver for itself.
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
    patient: bool = False

    @property
    def payload_bytes(self) -> int:
        """What it counts against the bound of a queue."""
        return len(self.body) + OVERHEAD_BYTES


def check_address(target: str, method: str) -> None:
    """Refuse what no envelope can carry.

    Raises:
        MalformedError: The target or the method is too long or not plain ASCII.
    """
    if len(target) > NAME_CHARS_MAX or not target.isascii():
        raise MalformedError(f"{target!r:.80} is no name: ASCII, at most {NAME_CHARS_MAX} characters")
    if len(method) > METHOD_CHARS_MAX or not method.isascii():
        raise MalformedError(f"{method!r:.80} is no method: ASCII, at most {METHOD_CHARS_MAX} characters")


def fitting_trace(trace: str | None) -> str | None:
    """A traceparent may come from anybody's client; one that cannot travel must not fail the call it decorates."""
    return trace if trace is None or (len(trace) <= TRACE_CHARS_MAX and trace.isascii()) else None


def to_wire(envelope: Envelope, attached_as: int | None = None) -> tuple[object, ...]:
    """The array form.

    Args:
        envelope: Of which.
        attached_as: What stands for its body, where that is attached.
    """
    if attached_as is None:
        return (PROTOCOL_VERSION, *envelope)
    return (PROTOCOL_VERSION, *envelope[:_BODY], attached_as, *envelope[_BODY + 1 :])


def attachment_of(item: object) -> int | None:
    """The number that an unpacked array has in place of its body; None where it has its body, or is no envelope."""
    if not _is_tuple(item) or len(item) < _ELEMENTS:
        return None
    body: object = item[_BODY + 1]
    return body if type(body) is int else None


def from_wire(item: object, attached: bytes | None = None) -> Envelope:
    """The envelope that `item`, an unpacked array, stands for.

    Args:
        item: The array.
        attached: The body, where it is attached.

    Raises:
        MalformedError: An element is missing, of another type, or beyond its limit.
    """
    if not _is_tuple(item) or not _ELEMENTS <= len(item) <= _ELEMENTS_MAX:
        raise MalformedError(f"an envelope is an array of {_ELEMENTS} to {_ELEMENTS_MAX} elements, not {item!r:.80}")
    version, kind, key, source, target, method, remaining_ms, idempotent, trace, credit, body = item[:_ELEMENTS]
    if attached is not None:
        body = attached
    known = _KINDS.get(kind) if type(kind) is int else None
    if (  # one expression, since this runs for every envelope; what is wrong with a bad one is found out afterwards
        known is None
        or not (type(version) is int and version >= PROTOCOL_VERSION_MIN)
        or not (type(key) is bytes and len(key) <= KEY_BYTES_MAX)
        or not (type(source) is str and len(source) <= NAME_CHARS_MAX)
        or not (type(target) is str and len(target) <= NAME_CHARS_MAX)
        or not (type(method) is str and len(method) <= METHOD_CHARS_MAX)
        or not (type(body) is bytes and len(body) <= BODY_BYTES_MAX)
        or not (remaining_ms is None or (type(remaining_ms) is int and 0 <= remaining_ms <= REMAINING_MS_MAX))
        or type(idempotent) is not bool
        or not (trace is None or (type(trace) is str and len(trace) <= TRACE_CHARS_MAX))
        or not (type(credit) is int and 0 <= credit <= CREDIT_MAX)
    ):
        raise MalformedError(f"an envelope with an element of the wrong type or beyond its limit: {_sketch(item)}")
    patient = len(item) > _ELEMENTS and item[_ELEMENTS] is True
    return Envelope(known, key, source, target, method, remaining_ms, idempotent, trace, credit, body, patient)


def _sketch(item: tuple[Any, ...]) -> str:
    """Enough to see which element is wrong, whatever its size."""
    return ", ".join(
        f"{type(value).__name__}[{len(value)}]" if isinstance(value, bytes | str) else f"{value!r:.20}"
        for value in item[:_ELEMENTS]
    )


def _is_tuple(item: object) -> TypeGuard[tuple[Any, ...]]:
    return type(item) is tuple
