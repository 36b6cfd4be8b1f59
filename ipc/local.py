"""The transport between a hub and the link of its own process: no socket, no encoding."""

import asyncio
from collections import Counter
from collections.abc import Callable

from ipc.envelope import Envelope


class LocalTransport:
    """A `LinkTransport`. What either side sends reaches the other in the same call.

    Except what the hub answers while the link is sending: that waits for the next turn of the loop, since the link is
    in the middle of something.
    """

    def __init__(self, to_hub: Callable[[Envelope], None]) -> None:
        self._to_hub = to_hub
        self._receive: Callable[[list[Envelope]], None] | None = None
        self._connected: Callable[[bool], None] | None = None
        self._sending = False
        self._inbox: list[Envelope] = []

    def open(
        self,
        identity: bytes,
        *,
        receive: Callable[[list[Envelope]], None],
        connected: Callable[[bool], None],
        counters: Counter[str],
    ) -> None:
        """Connect at once."""
        self._receive = receive
        self._connected = connected
        connected(True)

    def send(self, envelope: Envelope) -> None:
        """Hand over to the hub."""
        if self._receive is None:
            return
        nested, self._sending = self._sending, True
        try:
            self._to_hub(envelope)
        finally:
            self._sending = nested

    def deliver(self, envelope: Envelope) -> None:
        """Hand over to the link, in order."""
        if not self._sending and not self._inbox:
            if self._receive is not None:
                self._receive([envelope])
            return
        if not self._inbox:
            asyncio.get_running_loop().call_soon(self._drain)
        self._inbox.append(envelope)

    def reset(self, identity: bytes) -> None:
        """Begin anew."""
        asyncio.get_running_loop().call_soon(self._reconnect)

    def close(self) -> None:
        """Hand over nothing from now on."""
        self._receive = None

    def _reconnect(self) -> None:
        if self._receive is not None and self._connected is not None:
            self._connected(True)

    def _drain(self) -> None:
        inbox, self._inbox = self._inbox, []
        if self._receive is not None:
            self._receive(inbox)
