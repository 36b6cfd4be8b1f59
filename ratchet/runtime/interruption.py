"""How a run is interrupted from outside: a cancel request (SIGUSR1) and the CPU-time limit (SIGXCPU).

Python runs signal handlers in the main thread between two instructions, so a handler may raise anywhere in it. Two
rules keep that harmless: nothing is raised unless a run is armed, and nothing while the main thread is shielded (it is
in the middle of writing a frame); what came meanwhile is raised when the shield is left.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from ratchet.runtime.inbox import Inbox


class Cancelled(BaseException):
    """Raised in a synchronous task when its execution is cancelled. `except Exception` does not stop it."""


class CpuTimeExceeded(BaseException):
    """Raised in a task that has used up its CPU time."""


class Interruptions:
    """The state behind the signal handlers of a child.

    Attributes:
        cancel_reason: Why the armed run was asked to stop; None where it was not.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._main = threading.main_thread().ident
        self._armed: str | None = None
        self._cancel: Callable[[], object] | None = None
        self._shields = 0
        self._due: BaseException | None = None
        self.cancel_reason: str | None = None

    def install(self) -> None:
        """Take over the two signals."""
        signal.signal(signal.SIGUSR1, self._on_cancel_signal)
        signal.signal(signal.SIGXCPU, self._on_cpu_signal)

    def arm(self, execution_id: str) -> None:
        """From now on signals concern this execution; a cancel that already waits takes effect at once."""
        self.cancel_reason = None
        self._due = None
        self._cancel = None
        self._armed = execution_id
        self._look_for_cancel()

    def disarm(self) -> None:
        """From now on signals do nothing."""
        self._armed = None
        self._cancel = None
        self._due = None

    def cancel_with(self, cancel: Callable[[], object] | None) -> None:
        """How to cancel what runs now instead of raising `Cancelled` in it. None: raise again."""
        self._cancel = cancel
        if cancel is not None and self.cancel_reason is not None:
            cancel()

    def __enter__(self) -> None:
        """Shield the main thread; in other threads nothing is ever raised."""
        if threading.get_ident() == self._main:
            self._shields += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if threading.get_ident() != self._main:
            return
        self._shields -= 1
        if self._shields == 0 and self._due is not None:
            due, self._due = self._due, None
            raise due

    def _on_cancel_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._armed is not None:
            self._look_for_cancel()

    def _look_for_cancel(self) -> None:
        for body in self._inbox.cancels():
            if self._concerns_armed(body) and self.cancel_reason is None:
                self.cancel_reason = str(body.get("reason") or "")
                self._interrupt(Cancelled(self.cancel_reason))

    def _concerns_armed(self, body: dict[str, Any]) -> bool:
        return body.get("execution_id") in (None, self._armed)

    def _on_cpu_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._armed is not None:
            self._raise(CpuTimeExceeded("the CPU time of this execution is used up"))

    def _interrupt(self, error: Cancelled) -> None:
        if self._cancel is not None:
            self._cancel()
        else:
            self._raise(error)

    def _raise(self, error: BaseException) -> None:
        if self._shields:
            self._due = error
        else:
            raise error
