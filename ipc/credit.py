"""The credit of a stream, on both sides. Pure.

The callee counts what it sent, the caller what its reader took; credit travels as the caller's total. A total does no
harm when it is lost or comes twice, and one number stands for items and bytes, since the callee knows how large each
item was.

An item may be sent while fewer than a window's items and bytes are outstanding, so the last one may exceed the window
of bytes. Credit is returned at half a window; therefore a reader that took everything never leaves the callee without
credit, whatever the sizes.
"""

from collections import deque

from ipc.envelope import BODY_BYTES_MAX
from ipc.errors import MalformedError

WINDOW_ITEMS = 64
WINDOW_BYTES = 256 * 1024
ITEM_BYTES_MAX = BODY_BYTES_MAX


class SendCredit:
    """The callee's side: what it may still send.

    Attributes:
        sent: How many items it sent.
        bytes_outstanding: Of items for which no credit has come back.
    """

    __slots__ = ("_items_max", "_sizes", "bytes_outstanding", "sent")

    def __init__(self, items_max: int = WINDOW_ITEMS) -> None:
        """Begin with a full window.

        Args:
            items_max: The window that the caller offers; more than `WINDOW_ITEMS` are not made use of.
        """
        self._items_max = min(items_max, WINDOW_ITEMS)
        self._sizes: deque[int] = deque()
        self.bytes_outstanding = 0
        self.sent = 0

    @property
    def open(self) -> bool:
        """Whether the next item may be sent now."""
        return len(self._sizes) < self._items_max and self.bytes_outstanding < WINDOW_BYTES

    def spend(self, size: int) -> int:
        """Send an item of `size` bytes. Returns its number, counted from 1."""
        self._sizes.append(size)
        self.bytes_outstanding += size
        self.sent += 1
        return self.sent

    def give(self, taken: int) -> None:
        """The reader took that many items in all; less than is known already says nothing new.

        Raises:
            MalformedError: It was never sent that many.
        """
        if taken > self.sent:
            raise MalformedError(f"credit for {taken} items of a stream of {self.sent}")
        for _ in range(taken - (self.sent - len(self._sizes))):
            self.bytes_outstanding -= self._sizes.popleft()


class ReceiveCredit:
    """The caller's side: whether what arrives is what may arrive, and when credit goes back.

    Attributes:
        received: How many items arrived.
        taken: How many of them the reader took.
    """

    __slots__ = ("_bytes_outstanding", "_bytes_taken", "_items_max", "_returned", "received", "taken")

    def __init__(self, items_max: int = WINDOW_ITEMS) -> None:
        self._items_max = items_max
        self._bytes_outstanding = 0
        self._bytes_taken = 0  # since credit was returned last
        self._returned = 0
        self.received = 0
        self.taken = 0

    def receive(self, number: int, size: int) -> None:
        """An item arrived.

        Raises:
            MalformedError: It is not the next one, or there was no credit for it.
        """
        if number != self.received + 1:
            raise MalformedError(f"item {number} of a stream came where {self.received + 1} was due")
        if self.received - self._returned >= self._items_max or self._bytes_outstanding >= WINDOW_BYTES:
            raise MalformedError(f"item {number} of a stream came without credit")
        self.received = number
        self._bytes_outstanding += size

    def take(self, size: int) -> bool:
        """The reader takes the oldest item. Returns whether credit, which is `taken`, should go back now."""
        self.taken += 1
        self._bytes_taken += size
        if 2 * (self.taken - self._returned) < self._items_max and 2 * self._bytes_taken < WINDOW_BYTES:
            return False
        self.give_back()
        return True

    def give_back(self) -> int:
        """Credit goes back for everything taken so far. Returns the total."""
        self._returned = self.taken
        self._bytes_outstanding -= self._bytes_taken
        self._bytes_taken = 0
        return self.taken
