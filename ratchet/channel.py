"""Length-prefixed msgpack messages over a Unix stream socket, with file descriptors beside them.

The framing of every private channel: supervisor and actor, worker and zygote, worker and child, CLI and supervisor.
A frame is four bytes of big-endian length and a msgpack array `[kind, body]`. Knows nothing of who speaks; imports
only the standard library and msgpack, because children use it.
"""

from __future__ import annotations

import array
import os
import socket
import struct

import msgpack

TYPE_CHECKING = False  # `typing` would cost the stdio shim, which imports this, a fifth of its start
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

FRAME_BYTES_MAX = 64 * 1024 * 1024
_LENGTH = struct.Struct(">I")
_READ_BYTES = 256 * 1024
_FDS_MAX = 16

Message = tuple[str, "dict[str, Any]"]


class ChannelError(Exception):
    """The other side broke the framing; the channel is of no more use."""


def encode(kind: str, body: dict[str, Any]) -> bytes:
    """One frame.

    Raises:
        ChannelError: The message is larger than a frame may be.
    """
    payload = msgpack.packb([kind, body], use_bin_type=True)
    if len(payload) > FRAME_BYTES_MAX:
        raise ChannelError(f"a {kind} message of {len(payload)} bytes exceeds {FRAME_BYTES_MAX}")
    return _LENGTH.pack(len(payload)) + payload


class Decoder:
    """Turns bytes as they arrive into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes.

        Raises:
            ChannelError: A frame is too large or is no `[kind, body]`.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > FRAME_BYTES_MAX:
                raise ChannelError(f"a frame announces {length} bytes; {FRAME_BYTES_MAX} are allowed")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield _message(payload)


def _message(payload: bytes) -> Message:
    try:
        decoded = msgpack.unpackb(payload, raw=False, strict_map_key=False)
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:  # a map may be the key of a map
        raise ChannelError(f"a frame is not msgpack: {error}") from error
    match decoded:
        # What the keys and values are is for the reader to check.
        case [str(kind), dict() as body]:  # pyright: ignore[reportUnknownVariableType]
            return kind, body  # pyright: ignore[reportUnknownVariableType]
        case _:
            raise ChannelError(f"a frame is not [kind, body] but {type(decoded).__name__}")


class Channel:
    """Both directions of one socket; blocking or not as the socket is.

    `send` writes all of a frame (on a non-blocking socket the caller must expect BlockingIOError and use its event
    loop's writer with `encode` instead).
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._decoder = Decoder()
        self._fds: list[int] = []

    def fileno(self) -> int:
        """For selectors."""
        return self.socket.fileno()

    def send(self, kind: str, body: dict[str, Any] | None = None, fds: Sequence[int] = ()) -> None:
        """Write one message; `fds` arrive as duplicates on the other side.

        Raises:
            OSError: The other side is gone.
        """
        frame = encode(kind, body or {})
        if fds:
            sent = socket.send_fds(self.socket, [frame], list(fds))
            frame = frame[sent:]
        if frame:  # writing nothing fails where the other side has answered and hung up already
            self.socket.sendall(frame)

    def receive(self) -> list[Message] | None:
        """Read once. Returns the messages that are complete, or None at the end of the stream.

        Raises:
            ChannelError: The framing is broken.
            BlockingIOError: Non-blocking and nothing there.
        """
        data, ancillary, _flags, _address = self.socket.recvmsg(
            _READ_BYTES, socket.CMSG_SPACE(_FDS_MAX * array.array("i").itemsize)
        )
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
                self._fds.extend(fds)
        if not data:
            return None
        return list(self._decoder.feed(data))

    def take_fds(self, count: int) -> list[int]:
        """The oldest `count` descriptors that arrived.

        Raises:
            ChannelError: Fewer arrived.
        """
        if len(self._fds) < count:
            raise ChannelError(f"{count} descriptors expected, {len(self._fds)} arrived")
        taken, self._fds = self._fds[:count], self._fds[count:]
        return taken

    def close(self) -> None:
        """Close the socket and any descriptor nobody took."""
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        self.socket.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected stream sockets; neither is inherited over exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
