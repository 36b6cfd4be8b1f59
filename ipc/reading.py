"""Sockets of ZeroMQ on a running asyncio loop: when to read, when there may be room, who connected.

A socket's FD is edge-triggered and says only that *something* changed, so after every batch, and after every tick that
sent, EVENTS is asked again.
"""

import asyncio
from collections.abc import Callable

import zmq
from zmq.utils.monitor import parse_monitor_message

FRAMES_PER_TURN = 64  # then others have the loop

POLLIN = int(zmq.POLLIN)  # plain numbers: an IntFlag's `&` is a Python call
POLLOUT = int(zmq.POLLOUT)
NOBLOCK = int(zmq.NOBLOCK)
EVENTS = int(zmq.EVENTS)


def option(socket: "zmq.Socket[bytes]", number: int) -> int:
    """A socket's option that is a number."""
    return int(socket.getsockopt(number))


class Reader:
    """Calls `read` for as long as there is something to read, and `writable` when there may be room again.

    `read` takes one message off the socket.
    """

    def __init__(self, socket: "zmq.Socket[bytes]", read: Callable[[], None], writable: Callable[[], None]) -> None:
        self._socket = socket
        self._read = read
        self._writable = writable
        self._fd = option(socket, zmq.FD)
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._closed = False
        self._loop.add_reader(self._fd, self.wake)
        self.check()

    def check(self) -> None:
        """Look again: the edge may have been consumed by something else done with the socket."""
        if not self._scheduled and not self._closed and option(self._socket, EVENTS) & POLLIN:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def wake(self) -> None:
        """Read what is there."""
        for _ in range(FRAMES_PER_TURN):
            if self._closed:
                return
            events = option(self._socket, EVENTS)
            if events & POLLOUT:
                self._writable()
            if self._closed or not events & POLLIN:
                return
            self._read()
        self.check()

    def close(self) -> None:
        """Look no more."""
        self._closed = True
        self._loop.remove_reader(self._fd)

    def _turn(self) -> None:
        self._scheduled = False
        self.wake()


class Monitor:
    """Watches the connections of a socket."""

    def __init__(self, socket: "zmq.Socket[bytes]", events: int, seen: Callable[[int], None]) -> None:
        self._watched = socket
        self._seen = seen
        self._monitor = socket.get_monitor_socket(events)
        self._monitor.linger = 0
        self._reader = Reader(self._monitor, self._read, nothing)

    def close(self) -> None:
        """Watch no more."""
        self._reader.close()
        self._watched.disable_monitor()
        self._monitor.close()

    def _read(self) -> None:
        self._seen(int(parse_monitor_message(self._monitor.recv_multipart(NOBLOCK))["event"]))


def nothing() -> None:
    """What nobody is told of."""
