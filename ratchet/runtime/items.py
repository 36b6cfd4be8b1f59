"""The items of one stream on their way to the task: put by the reader's thread, taken by whichever thread reads it."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any

from ratchet.calling import STREAM_ITEMS

Body = dict[str, Any]


class IncomingItems:
    """A stream's items, as `ratchet.calling.Items` has them.

    The credit of the worker bounds how many wait here; half of it is given back at a time.

    Args:
        credit: Tells the worker that so many more items of a call may come.
        withdraw: Tells it that none of a call is wanted any more.

    Attributes:
        call_id: Of the call that made it.
    """

    def __init__(self, credit: Callable[[int, int], None], withdraw: Callable[[int], None]) -> None:
        self.call_id = 0
        self._credit = credit
        self._withdraw = withdraw
        self._lock = threading.Lock()
        self._items: deque[Body] = deque()
        self._waiting: Future[Body | None] | None = None
        self._ended = False
        self._error: Exception | None = None
        self._taken = 0

    def put(self, item: Body) -> None:
        """The next one has come."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
            if waiting is None or waiting.cancelled():
                self._items.append(item)
                return
        with suppress(InvalidStateError):  # its reader was cancelled in this moment, and closes the stream
            waiting.set_result(item)

    def end(self, error: Exception | None) -> None:
        """There are no more, for this reason."""
        with self._lock:
            self._ended, self._error = True, error
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._finish(waiting)

    def take(self) -> "Future[Body | None]":
        """The next item, or None after the last."""
        future: Future[Body | None] = Future()
        with self._lock:
            self._taken += 1
            returned = self._taken if self._taken >= STREAM_ITEMS // 2 else 0
            self._taken -= returned
            if self._items:
                future.set_result(self._items.popleft())
            elif not self._ended:
                self._waiting = future
        if returned and not self._ended:
            self._credit(self.call_id, returned)
        if self._ended and not future.done():
            self._finish(future)
        return future

    def close(self) -> None:
        """No more is wanted."""
        if not self._ended:
            self._withdraw(self.call_id)

    def _finish(self, future: "Future[Body | None]") -> None:
        with suppress(InvalidStateError):
            if self._error is None:
                future.set_result(None)
            else:
                future.set_exception(self._error)
