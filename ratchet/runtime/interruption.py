"""How a run is interrupted from outside: a cancel request (SIGUSR1) and the CPU-time limit (SIGXCPU).

Python runs signal handlers in the main thread between two instructions, so a handler may raise anywhere in it. Three
rules keep that harmless, for the author's handlers too: none does anything unless a run is armed; none runs while the
main thread is shielded (it is in the middle of writing a frame), but when the shield is left; and none raises in the
function that arms and disarms, which it finds by the frame that was interrupted.
"""

import signal
import threading
from collections import deque
from collections.abc import Callable
from types import CodeType, FrameType, TracebackType
from typing import Any, cast

from ratchet.runtime.inbox import Inbox

Handler = Callable[[int, FrameType | None], Any]


class Cancelled(BaseException):
    """Raised in a synchronous task when its execution is cancelled. `except Exception` does not stop it."""


class CpuTimeExceeded(BaseException):
    """Raised in a task that has used up its CPU time."""


class Interruptions:
    """The state behind the signal handlers of a child. As a context manager it is the shield.

    Args:
        inbox: Where cancel requests are found.
        gate: The code in which nothing is raised: it sets `armed` to None, and decides what ended a run.

    Attributes:
        armed: The execution that signals concern; None: they do nothing.
        cancel_reason: Why the armed run was asked to stop; None where it was not.
    """

    def __init__(self, inbox: Inbox, gate: CodeType) -> None:
        self._inbox = inbox
        self._gate = gate
        self._main = threading.main_thread().ident
        self.armed: str | None = None
        self._cancel: Callable[[], object] | None = None
        self._shields = 0
        self._due: deque[Callable[[], object]] = deque()
        self.cancel_reason: str | None = None

    def install(self) -> None:
        """Take over the two signals, and wrap every handler that is installed from now on."""
        defer_handlers(self)
        signal.signal(signal.SIGUSR1, self._on_cancel)
        signal.signal(signal.SIGXCPU, self._on_cpu_time_up)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def arm(self, execution_id: str) -> None:
        """From now on signals concern this execution; a cancel that already waits takes effect at once."""
        self.cancel_reason = None
        self._cancel = None
        self.armed = execution_id
        self._look_for_cancel()

    def check(self) -> None:
        """To be called at the start of the work: raises a cancel that came while nothing could be raised."""
        if self.cancel_reason is not None:
            raise Cancelled(self.cancel_reason)

    def cancel_with(self, cancel: Callable[[], object] | None) -> None:
        """How to cancel what runs now instead of raising `Cancelled` in it. None: raise again."""
        self._cancel = cancel
        if cancel is not None and self.cancel_reason is not None:
            cancel()

    def handle(self, handler: Handler, number: int, frame: FrameType | None) -> None:
        """Call a signal handler now, or when the main thread has left its shield, or not at all."""
        if self.armed is None:
            return
        if self._shields:
            self._due.append(lambda: handler(number, frame))
        elif frame is None or frame.f_code is not self._gate or handler == self._on_cancel:
            handler(number, frame)

    def __enter__(self) -> None:
        """Shield the main thread; other threads run no signal handlers."""
        if threading.get_ident() == self._main:
            self._shields += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if threading.get_ident() != self._main:
            return
        self._shields -= 1
        while self._due and not self._shields:
            self._due.popleft()()

    def _on_cancel(self, _number: int, frame: FrameType | None) -> None:
        if self._look_for_cancel():
            if self._cancel is not None:
                self._cancel()
            elif frame is None or frame.f_code is not self._gate:
                self.check()

    def _look_for_cancel(self) -> bool:
        """Take the cancel requests that have arrived. Returns whether the first one for this run is among them.

        Shielded: a signal in the middle of it would read what this is about to read, and leave it waiting for ever.
        """
        before = self.cancel_reason
        with self:
            for body in self._inbox.cancels():
                if body.get("execution_id") in (None, self.armed) and self.cancel_reason is None:
                    self.cancel_reason = str(body.get("reason") or "")
        return before is None and self.cancel_reason is not None

    def _on_cpu_time_up(self, _number: int, _frame: FrameType | None) -> None:
        raise CpuTimeExceeded("the CPU time of this execution is used up")


class Deferred:
    """A signal handler that waits for the shield."""

    def __init__(self, interruptions: Interruptions, handler: Handler) -> None:
        self._interruptions = interruptions
        self.handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal."""
        self._interruptions.handle(self.handler, number, frame)


def defer_handlers(interruptions: Interruptions) -> None:
    """Replace `signal.signal` and `signal.getsignal` by ones that wrap handlers and show them unwrapped.

    Without this a task's own handler that raises, as the usual ones for SIGALRM do, could cut a frame in two.
    """
    set_handler, get_handler = signal.signal, signal.getsignal

    def unwrapped(handler: Any) -> Any:
        return cast("object", handler.handler) if isinstance(handler, Deferred) else handler

    def wrapping_signal(number: int, handler: Any, /) -> Any:
        if callable(handler) and not isinstance(handler, (int, Deferred)):  # SIG_DFL and SIG_IGN are callable integers
            handler = Deferred(interruptions, cast("Handler", handler))
        return unwrapped(set_handler(number, handler))

    def unwrapping_getsignal(number: int, /) -> Any:
        return unwrapped(get_handler(number))

    signal.signal = wrapping_signal
    signal.getsignal = unwrapping_getsignal
