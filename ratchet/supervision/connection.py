"""A channel on the supervisor's loop: never blocks, and drops a peer that is too slow, too large or malformed."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ratchet.channel import Channel, ChannelError, encode
from ratchet.supervision.loop import Loop

UNSENT_BYTES_MAX = 1024 * 1024
OnMessage = Callable[[str, dict[str, Any]], None]


class Connection:
    """One peer.

    Attributes:
        closed: Whether it is of no more use; `on_close` was called then, unless it was closed from this side.
    """

    def __init__(self, loop: Loop, sock: socket.socket, on_message: OnMessage, on_close: Callable[[], None]) -> None:
        sock.setblocking(False)
        self.closed = False
        self._loop = loop
        self._channel = Channel(sock)
        self._on_message = on_message
        self._on_close = on_close
        self._unsent = bytearray()
        loop.watch(sock.fileno(), self._readable)

    def send(self, kind: str, **body: Any) -> None:
        """Send, or keep until there is room. A peer that lets too much pile up is dropped."""
        if self.closed:
            return
        self._unsent += encode(kind, body)
        self._flush()
        if len(self._unsent) > UNSENT_BYTES_MAX:
            self._drop()

    def take_fds(self, count: int) -> list[int]:
        """Descriptors that came with the messages so far; the caller closes them.

        Raises:
            ChannelError: Fewer arrived.
        """
        return self._channel.take_fds(count)

    def close(self) -> None:
        """End it from this side."""
        if not self.closed:
            self.closed = True
            self._loop.unwatch(self._channel.fileno())
            self._channel.close()

    def _drop(self) -> None:
        if not self.closed:
            self.close()
            self._on_close()

    def read_rest(self) -> None:
        """Read what a peer that is gone has left."""
        while not self.closed and self._read():
            pass

    def _readable(self) -> None:
        self._read()

    def _read(self) -> bool:
        """Read once; whether there was anything."""
        try:
            messages = self._channel.receive()
            if messages is None:
                self._drop()
                return False
            for kind, body in messages:
                if not self.closed:
                    self._on_message(kind, body)
        except BlockingIOError:
            return False
        except (ChannelError, OSError):
            self._drop()
            return False
        return True

    def _flush(self) -> None:
        try:
            sent = self._channel.socket.send(
                self._unsent, socket.MSG_NOSIGNAL if hasattr(socket, "MSG_NOSIGNAL") else 0
            )
            del self._unsent[:sent]
        except BlockingIOError:
            pass  # the peer reads slowly: what is left waits until its socket takes more
        except OSError:
            # The reader learns of the end too, but only after what the peer sent before it.
            self._unsent.clear()
        self._loop.watch(self._channel.fileno(), self._readable, self._flush if self._unsent else None)


def close_all(fds: list[int]) -> None:
    """Close descriptors that are plain numbers."""
    for fd in fds:
        with suppress(OSError):  # the number came from outside; a second close is no concern
            os.close(fd)
