"""A stream at its callee: a handler's items go out as the reader makes room for them.

Does not know how a stream ends for its caller: that is `ipc.serving`'s, as for a call.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

from ipc.credit import ITEM_BYTES_MAX, SendCredit
from ipc.envelope import Envelope, Kind
from ipc.errors import BusyError, LostError, TooLargeError, UnknownMethodError

ARRIVAL_SECONDS = 30.0  # what has not arrived by then is lost
BUSY_SECONDS = 0.02  # until the link's own queue, which was full, is tried again


class Outgoing:
    """One stream that is being produced.

    Attributes:
        credit: What may still be sent.
        heard_at: When the reader was heard of last (loop time).
        doubted_at: When it was first noticed that nothing had been heard of it for long.
    """

    __slots__ = ("_arrival_at", "_arrived", "_call", "_room", "_send", "credit", "doubted_at", "heard_at")

    def __init__(self, call: Envelope, *, send: Callable[[Envelope], None], now: float) -> None:
        """Make the stream that `call` opens.

        Args:
            call: Its envelope.
            send: Queues an envelope or raises BusyError.
            now: Loop time.
        """
        self._call = call
        self._send = send
        self._room = asyncio.Event()
        self.credit = SendCredit(call.credit)
        self._arrived = 0
        self._arrival_at = now
        self.heard_at = now
        self.doubted_at: float | None = None

    def give(self, said: Envelope, now: float) -> None:
        """The reader says how many items it took in all, and with an ACK, how many arrived.

        Raises:
            MalformedError: That many were never sent.
            LostError: What was sent does not arrive, so that no credit for it can come back.
        """
        self.heard_at = now
        self.credit.give(said.credit)
        if self.credit.open:
            self._room.set()
        if said.kind is not Kind.ACK:
            return
        arrived = int.from_bytes(said.body, "big")
        if arrived != self._arrived or arrived >= self.credit.sent:
            self._arrived, self._arrival_at = arrived, now
        elif now - self._arrival_at >= ARRIVAL_SECONDS:
            raise LostError(f"{arrived} of {self.credit.sent} items arrived, and no more in {ARRIVAL_SECONDS:g} s")

    async def run(self, produced: Awaitable[bytes] | AsyncIterator[bytes]) -> None:
        """Send every item, then return.

        Raises:
            TooLargeError: An item is larger than `ITEM_BYTES_MAX`.
            UnknownMethodError: The handler produces no items.
        """
        if not hasattr(produced, "__aiter__"):
            dispose(produced)
            raise UnknownMethodError(f"{self._call.method} answers once: call it instead of opening a stream")
        items = cast("AsyncIterator[bytes]", produced)
        try:
            async for item in items:
                await self._put(item)
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()

    async def _put(self, item: bytes) -> None:
        if len(item) > ITEM_BYTES_MAX:
            raise TooLargeError(f"{self._call.method}: an item of {len(item)} bytes; {ITEM_BYTES_MAX} are allowed")
        while not self.credit.open:
            self._room.clear()
            await self._room.wait()
        call = self._call
        number = self.credit.sent + 1
        envelope = Envelope(Kind.ITEM, call.key, call.target, call.source, "", None, False, None, number, item)
        while True:
            try:
                self._send(envelope)
            except BusyError:
                await asyncio.sleep(BUSY_SECONDS)
            else:
                break
        self.credit.spend(len(item))


async def once(produced: Awaitable[bytes] | AsyncIterator[bytes], method: str) -> bytes:
    """The answer of a handler that has one.

    Raises:
        UnknownMethodError: The handler produces items.
    """
    if hasattr(produced, "__await__"):
        return await cast("Awaitable[bytes]", produced)
    raise UnknownMethodError(f"{method} answers with a stream: open one instead of calling it")


def dispose(produced: object) -> None:
    """Let go of what a handler made and nobody will await."""
    close = getattr(produced, "close", None)
    if close is not None:
        close()
