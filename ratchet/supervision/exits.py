"""How an actor's process ended, as the supervisor saw it, and how that travels to the task-runner.

The supervisor repeats a report to every new task-runner until one of them acknowledges it.
"""

import os
import resource
import signal
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

# ru_maxrss counts KiB on Linux and bytes on macOS.
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class ExitReport:
    """One actor process that is gone.

    Attributes:
        name: The actor's name, such as `worker:1`.
        incarnation: Which of the processes of that name.
        pid: Its process id, now free for reuse.
        exit_code: What it exited with; None where a signal ended it.
        signal: The signal that ended it; None where it exited.
        cpu_seconds: User and system time of it and of the descendants it waited for.
        memory_bytes_max: The largest resident set it ever had.
        at_ns: When the supervisor reaped it, nanoseconds since the Unix epoch.
    """

    name: str
    incarnation: str
    pid: int
    exit_code: int | None
    signal: int | None
    cpu_seconds: float
    memory_bytes_max: int
    at_ns: int

    @property
    def cause(self) -> str:
        """In words: `exit code 1`, `SIGKILL`."""
        return describe(self.exit_code, self.signal)

    def to_body(self) -> dict[str, Any]:
        """The body of the `exit` message."""
        return asdict(self)

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> "ExitReport":
        """The report that an `exit` message carries.

        Raises:
            TypeError: The body has other keys than a report has.
        """
        return cls(**body)

    @classmethod
    def of(cls, name: str, incarnation: str, pid: int, status: int, usage: resource.struct_rusage) -> "ExitReport":
        """The report of what `os.wait4` returned."""
        signaled = os.WIFSIGNALED(status)
        return cls(
            name=name,
            incarnation=incarnation,
            pid=pid,
            exit_code=None if signaled else os.WEXITSTATUS(status),
            signal=os.WTERMSIG(status) if signaled else None,
            cpu_seconds=round(usage.ru_utime + usage.ru_stime, 4),
            memory_bytes_max=usage.ru_maxrss * _MAXRSS_UNIT,
            at_ns=time.time_ns(),
        )


def describe(exit_code: int | None, signal_number: int | None) -> str:
    """`exit code 3` or the signal's name."""
    if signal_number is None:
        return f"exit code {exit_code}"
    try:
        return signal.Signals(signal_number).name
    except ValueError:
        return f"signal {signal_number}"
