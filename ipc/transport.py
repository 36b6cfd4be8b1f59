"""The narrow waist between the protocol (hub, link) and what carries its frames.

A transport moves envelopes between one hub and any number of links, each under an identity. It keeps order within one
class of envelopes (control overtakes data), bounds what waits, and says what it could not deliver.

It is *not* reliable: what was handed over may vanish with the connection. It knows no names, sessions, calls or
access; it never answers, retries a call, or looks into a body. It must not call back into its user from within `send`.
Constructors do no I/O; `open` needs a running event loop.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from ipc.envelope import Envelope


class LinkTransport(Protocol):
    """The link's end."""

    def open(
        self,
        identity: bytes,
        *,
        receive: Callable[[list[Envelope]], None],
        connected: Callable[[bool], None],
        counters: Counter[str],
    ) -> None:
        """Start connecting, and go on trying.

        Args:
            identity: What the hub's end knows this link by.
            receive: Called with what arrives, in order.
            connected: Called with True for every connection that is made, False for every one that is lost.
            counters: Where drops are counted.
        """
        ...

    def send(self, envelope: Envelope) -> None:
        """Queue one envelope; it waits while there is no connection.

        Raises:
            BusyError: The queue is full.
        """
        ...

    def reset(self, identity: bytes) -> None:
        """Give up the connection, whatever its state, and make a new one under another identity."""
        ...

    def close(self) -> None:
        """Send what can be sent at once, then let go of everything. Idempotent."""
        ...


class HubTransport(Protocol):
    """The hub's end. A route is the identity of a link."""

    def open(
        self,
        *,
        receive: Callable[[bytes, list[Envelope]], None],
        lost: Callable[[bytes, list[Envelope]], None],
        disconnected: Callable[[], None],
        counters: Counter[str],
    ) -> None:
        """Start listening.

        Args:
            receive: Called with a route and what arrived from it, in order.
            lost: Called with a route that is no longer connected and what was not handed over to it.
            disconnected: Called when some connection, nobody knows which, was lost.
            counters: Where drops are counted.

        Raises:
            OSError: The endpoint cannot be used.
        """
        ...

    def send(self, route: bytes, envelope: Envelope) -> None:
        """Queue one envelope for a link.

        Raises:
            BusyError: That link's queue is full.
        """
        ...

    def answer(self, route: bytes, envelope: Envelope) -> None:
        """Send one envelope to a stranger, if that is possible at once; nothing is kept for it."""
        ...

    def forget(self, route: bytes) -> list[Envelope]:
        """Drop a link's queue. Returns what was in it."""
        ...

    def queued(self, route: bytes) -> int:
        """How many envelopes wait for a link."""
        ...

    def close(self) -> None:
        """Stop listening and let go of everything. Idempotent."""
        ...
