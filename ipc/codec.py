"""Batches of envelopes to messages and back, with limits; and the body of an error envelope.

A message has a first part, the array of envelopes, and one more for every body that is too large to be copied into it:
an attachment. Where an envelope has its body, one whose body is attached has the number of that part.

msgpack only, never pickle. Does not know transports; opens no body but that of an error.
"""

from collections.abc import Sequence
from typing import Any, cast

import msgpack

from ipc.envelope import Envelope, attachment_of, from_wire, to_wire
from ipc.errors import IpcError, MalformedError, RemoteError, from_code

BATCH_ENVELOPES_MAX = 1024
INLINE_BYTES_MAX = 32 * 1024  # of a body; a larger one is attached
FRAME_BYTES_MAX = 8 * 1024 * 1024  # of all parts of a message
FRAME_BYTES_GOAL = 256 * 1024  # a message is closed when it is at least this large, so that control can overtake
ERROR_MESSAGE_CHARS_MAX = 16 * 1024
ERROR_BODY_BYTES_MAX = 1024 * 1024

_UNPACK_ERRORS = (ValueError, TypeError, OverflowError, msgpack.UnpackException)


def encode_batch(envelopes: Sequence[Envelope]) -> bytes:
    """One part, whatever the size of the bodies."""
    return msgpack.packb([to_wire(envelope) for envelope in envelopes])


def encode_message(envelopes: Sequence[Envelope]) -> list[bytes]:
    """The parts of one message; the attachments are the bodies themselves, not copies."""
    parts = [b""]
    batch: list[tuple[object, ...]] = []
    for envelope in envelopes:
        if len(envelope.body) <= INLINE_BYTES_MAX:
            batch.append(to_wire(envelope))
        else:
            batch.append(to_wire(envelope, attached_as=len(parts)))
            parts.append(envelope.body)
    parts[0] = msgpack.packb(batch)
    return parts


def decode_batch(frame: bytes) -> list[Envelope]:
    """The envelopes of a message of one part, in order. Raises as `decode_message`."""
    return decode_message([frame])


def decode_message(parts: Sequence[bytes]) -> list[Envelope]:
    """The envelopes of a message, in order.

    Raises:
        MalformedError: It is too large, its first part is no msgpack or holds something else than envelopes, or its
            attachments are not those that the envelopes want, each once and in order.
    """
    size = sum(map(len, parts))
    if size > FRAME_BYTES_MAX or not parts:
        raise MalformedError(f"a message of {len(parts)} parts and {size} bytes; {FRAME_BYTES_MAX} are allowed")
    items = _unpack(parts[0])
    if type(items) is not tuple:
        raise MalformedError(f"a batch is an array of envelopes, not {type(items).__name__}")
    batch = cast("tuple[object, ...]", items)
    if len(parts) == 1:
        return [from_wire(item) for item in batch]
    return _with_attachments(batch, parts)


def _with_attachments(batch: tuple[object, ...], parts: Sequence[bytes]) -> list[Envelope]:
    envelopes: list[Envelope] = []
    used = 0
    for item in batch:
        wanted = attachment_of(item)
        if wanted is None:
            envelopes.append(from_wire(item))
            continue
        used += 1
        if wanted != used or used >= len(parts):
            raise MalformedError(f"an envelope wants attachment {wanted} where {used} of {len(parts) - 1} is next")
        envelopes.append(from_wire(item, parts[used]))
    if used != len(parts) - 1:
        raise MalformedError(f"{len(parts) - 1} attachments, {used} of which belong to an envelope")
    return envelopes


def _unpack(frame: bytes) -> object:
    try:
        return msgpack.unpackb(frame, use_list=False, max_array_len=BATCH_ENVELOPES_MAX, max_map_len=0, max_ext_len=0)
    except _UNPACK_ERRORS as error:
        raise MalformedError(f"a batch is not msgpack: {error!s:.200}") from error


def encode_error(error: IpcError, *, own: bool) -> bytes:
    """The body of an error envelope.

    Args:
        error: What to tell the caller.
        own: Whether messaging itself failed; False when a handler raised it, then the caller gets a `RemoteError`.
    """
    body = _error_body(error, error.details, own=own)
    if body is None or len(body) > ERROR_BODY_BYTES_MAX:
        body = _error_body(error, {}, own=own)
    assert body is not None, "two strings and a boolean can always be packed"
    return body


def _error_body(error: IpcError, details: dict[str, Any], *, own: bool) -> bytes | None:
    """None when `details` are no plain data; the code and the text still count then."""
    code = _encodable(error.code)
    message = _encodable(error.message[:ERROR_MESSAGE_CHARS_MAX])
    try:
        return msgpack.packb({"code": code, "message": message, "details": details, "own": own})
    except (TypeError, ValueError, OverflowError):
        return None


def _encodable(text: str) -> str:
    """Names of files may hold bytes that are no UTF-8 (as lone surrogates), and errors quote names of files."""
    return text.encode("utf-8", "backslashreplace").decode()


def decode_error(body: bytes) -> IpcError:
    """The error that `encode_error` wrote; an unreadable body is a `MalformedError` *returned*, not raised."""
    try:
        decoded = msgpack.unpackb(body, strict_map_key=False)
    except _UNPACK_ERRORS as error:
        return MalformedError(f"the body of an error is not msgpack: {error!s:.200}")
    match decoded:
        case {"code": str(code), "message": str(message), "details": dict(), "own": bool(own)}:
            facts = cast("dict[str, dict[str, Any]]", decoded)["details"]
            return from_code(code, message, facts) if own else RemoteError(code, message, facts)
        case _:
            return MalformedError(f"the body of an error is not a map of code, message and details: {decoded!r:.200}")
