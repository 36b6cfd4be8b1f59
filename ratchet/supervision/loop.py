"""A selectors loop with timers and signals: all that a supervisor waits for, without threads or asyncio.

asyncio would do, but the supervisor forks, and a running event loop must not be carried into a child.
"""

import heapq
import itertools
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress

Callback = Callable[[], None]


class Timer:
    """A call that is due later."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callback) -> None:
        self.due = due
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        """Never call it. Harmless when it was called already."""
        self.callback = None


class Loop:
    """Calls back when a descriptor is ready, a time has come or a signal arrived."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._signals: dict[int, Callback] = {}
        self._stopped = False
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self.watch(self._wake_read.fileno(), self._on_wake)

    def watch(self, fd: int, readable: Callback, writable: Callback | None = None) -> None:
        """Call `readable` when there is something to read, `writable` when there is room to write."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writable else 0)
        if fd in self._selector.get_map():
            self._selector.modify(fd, events, (readable, writable))
        else:
            self._selector.register(fd, events, (readable, writable))

    def unwatch(self, fd: int) -> None:
        """Call no more. Harmless when the descriptor is not watched."""
        with suppress(KeyError, ValueError):
            self._selector.unregister(fd)

    def call_later(self, seconds: float, callback: Callback) -> Timer:
        """Call once, `seconds` from now."""
        timer = Timer(time.monotonic() + seconds, callback)
        heapq.heappush(self._timers, (timer.due, next(self._order), timer))
        return timer

    def on_signal(self, number: int, callback: Callback) -> None:
        """Call from the loop, not from the handler, when the signal arrives (several may become one)."""
        self._signals[number] = callback
        signal.signal(number, _noted)
        signal.siginterrupt(number, False)
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)

    def run(self) -> None:
        """Wait and call until `stop`."""
        while not self._stopped:
            self._round(self._timeout())

    def poll(self) -> None:
        """Call what is due and ready now, without waiting."""
        self._round(0)

    def _round(self, timeout: float | None) -> None:
        for key, events in self._selector.select(timeout):
            readable, writable = key.data
            # A callback of this round may have closed the descriptor, and another may bear its number.
            if events & selectors.EVENT_READ and self._is_current(key):
                readable()
            if writable and events & selectors.EVENT_WRITE and self._is_current(key):
                writable()
        self._call_due()

    def stop(self) -> None:
        """Return from `run` after the callbacks of this round."""
        self._stopped = True

    def close(self) -> None:
        """Let go of descriptors and of the signals."""
        signal.set_wakeup_fd(-1)
        for number in self._signals:
            signal.signal(number, signal.SIG_DFL)
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()

    def _is_current(self, key: selectors.SelectorKey) -> bool:
        current = self._selector.get_map().get(key.fd)
        return current is not None and current.data is key.data

    def _timeout(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _call_due(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            _due, _order, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                timer.callback()

    def _on_wake(self) -> None:
        with suppress(BlockingIOError):
            for number in dict.fromkeys(self._wake_read.recv(4096)):
                if callback := self._signals.get(number):
                    callback()


def _noted(_number: int, _frame: object) -> None:
    """The handler proper: the wake-up descriptor has told the loop already."""
