"""What a child says to the worker: whole frames, from any thread, waiting where the worker is slow.

A frame must never be cut or nested. Three things could: another thread (a lock), a signal handler that raises (the
shield of `interruption`), and code that runs *inside* a send of the same thread, such as a finalizer that prints (its
frames wait in a list until the send in progress is done).
"""

import os
import socket
import threading
from contextlib import AbstractContextManager
from typing import Any

from ratchet.channel import encode

_EXIT_WORKER_GONE = 69


class _Local(threading.local):
    """What each thread knows of its own sending."""

    def __init__(self) -> None:
        self.sending = False
        self.waiting: list[bytes] = []


class Outlet:
    """The writing half of a child's channel."""

    def __init__(self, sock: socket.socket, shield: AbstractContextManager[None]) -> None:
        self._socket = sock
        self._shield = shield
        self._lock = threading.Lock()
        self._local = _Local()

    def send(self, kind: str, body: dict[str, Any]) -> None:
        """Write one message. If the worker is gone the process ends: nobody could learn of anything it does.

        Raises:
            ChannelError: The message is larger than a frame may be.
        """
        frame = encode(kind, body)
        local = self._local
        if local.sending:
            local.waiting.append(frame)
            return
        with self._shield:
            local.sending = True
            try:
                with self._lock:
                    self._write(frame)
                    while local.waiting:
                        self._write(local.waiting.pop(0))
            finally:
                local.sending = False

    def _write(self, frame: bytes) -> None:
        try:
            self._socket.sendall(frame)
        except OSError:
            os._exit(_EXIT_WORKER_GONE)
