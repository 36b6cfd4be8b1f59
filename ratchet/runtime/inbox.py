"""What the worker sends to a child, read in order; cancel requests can be looked for while a task runs."""

import select
from collections import deque
from typing import Any

from ratchet.channel import Channel, Message


class Inbox:
    """The reading half of a child's channel. Only the main thread (and signal handlers in it) may use it."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: deque[Message] = deque()
        self._ended = False

    def next(self) -> Message | None:
        """The next message, waiting for it; None at the end of the stream."""
        while not self._waiting:
            if self._ended:
                return None
            self._read()
        return self._waiting.popleft()

    def cancels(self) -> list[dict[str, Any]]:
        """The bodies of the cancel requests that have arrived; never waits. Other messages stay for `next`."""
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        while not self._ended and poll.poll(0):
            self._read()
        found = [body for kind, body in self._waiting if kind == "cancel"]
        if found:
            self._waiting = deque(message for message in self._waiting if message[0] != "cancel")
        return found

    def _read(self) -> None:
        messages = self._channel.receive()
        if messages is None:
            self._ended = True
        else:
            self._waiting.extend(messages)
