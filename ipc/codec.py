"""Batches of envelopes to frames and back, with limits; and the body of an error envelope.

msgpack only, never pickle. Does not know transports; opens no body but that of an error.
"""

from collections.abc import Sequence
from typing import Any, cast

import msgpack

from ipc.envelope import Envelope, from_wire, to_wire
from ipc.errors import IpcError, MalformedError, RemoteError, from_code

BATCH_ENVELOPES_MAX = 1024
FRAME_BYTES_MAX = 8 * 1024 * 1024
FRAME_BYTES_GOAL = 256 * 1024  # a frame is closed when it is at least this large, so that control can overtake
ERROR_MESSAGE_CHARS_MAX = 16 * 1024
ERROR_BODY_BYTES_MAX = 1024 * 1024

_UNPACK_ERRORS = (ValueError, TypeError, OverflowError, msgpack.UnpackException)


def encode_batch(envelopes: Sequence[Envelope]) -> bytes:
    """One frame."""
    return msgpack.packb([to_wire(envelope) for envelope in envelopes])


def decode_batch(frame: bytes) -> list[Envelope]:
    """The envelopes of a frame, in order.

    Raises:
        MalformedError: The frame is too large, is no msgpack, or holds something else than envelopes.
    """
    if len(frame) > FRAME_BYTES_MAX:
        raise MalformedError(f"a frame of {len(frame)} bytes; {FRAME_BYTES_MAX} are allowed")
    items = _unpack(frame)
    if type(items) is not tuple:
        raise MalformedError(f"a frame is an array of envelopes, not {type(items).__name__}")
    return [from_wire(item) for item in cast("tuple[object, ...]", items)]


def _unpack(frame: bytes) -> object:
    try:
        return msgpack.unpackb(frame, use_list=False, max_array_len=BATCH_ENVELOPES_MAX, max_map_len=0, max_ext_len=0)
    except _UNPACK_ERRORS as error:
        raise MalformedError(f"a frame is not msgpack: {error!s:.200}") from error


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
