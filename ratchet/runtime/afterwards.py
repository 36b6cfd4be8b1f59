"""After a run: ends what the task left running and puts the process back, or says that it cannot be used again."""

import logging
import os
import random
import signal
import sys
import threading
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ratchet import process
from ratchet.runtime.limits import data_bytes

_THREAD_SECONDS = 0.1
_KILL_SECONDS_MAX = 2.0
_KILL_PAUSE_SECONDS = 0.001
_DESCRIPTORS_MAX_SHARE = 0.5
_MEMORY_MAX_SHARE = 0.5
_KEPT_SIGNALS = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU),
)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What a task had not ended when it returned."""

    threads: list[str]
    processes: list[int]

    def __bool__(self) -> bool:
        return bool(self.threads or self.processes)

    def __str__(self) -> str:
        parts: list[str] = []
        if self.threads:
            parts.append(f"{len(self.threads)} thread(s) running ({', '.join(self.threads[:5])})")
        if self.processes:
            parts.append(f"{len(self.processes)} process(es) running, which were killed")
        return "the task left " + " and ".join(parts)


def end_leftovers(*, spare: threading.Thread | None = None) -> Leftovers:
    """Kill the processes that the task left, and name the threads; `spare` is the runtime's own."""
    return Leftovers(_threads(spare), _end_processes())


def _threads(spare: threading.Thread | None) -> list[str]:
    kept = (threading.main_thread(), spare)
    deadline = time.monotonic() + _THREAD_SECONDS
    found: list[str] = []
    for thread in threading.enumerate():
        if thread in kept:
            continue
        thread.join(max(0.0, deadline - time.monotonic()))  # most are just ending, like a pool's that was shut down
        if thread.is_alive():
            found.append(thread.name)
    return found


def _end_processes() -> list[int]:
    """Kill and reap until there is nothing. What has ended already, and was only never waited for, does not count."""
    killed: set[int] = set()
    deadline = time.monotonic() + _KILL_SECONDS_MAX
    while _reap():  # a process without children is without descendants too: it is their subreaper
        alive = process.descendants_of(os.getpid())
        if not alive or time.monotonic() > deadline:  # one that cannot even be killed is left to the zygote
            break
        for pid in alive:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(_KILL_PAUSE_SECONDS)
    return sorted(killed)


def _reap() -> bool:
    """Reap what has ended. Returns whether there are children left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


class Baseline:
    """How the process was before its first run, to be restored after each."""

    def __init__(self, memory_bytes: int, open_files: int) -> None:
        self._memory_bytes = memory_bytes
        self._open_files = open_files
        self._folder = os.getcwd()  # noqa: PTH109 - given back to chdir as it is
        self._environ = dict(_raw_environ())
        self._path = list(sys.path)
        self._umask = _umask()
        self._filters = list(warnings.filters)
        self._signals = {number: signal.getsignal(number) for number in _KEPT_SIGNALS}
        self._handlers = list(logging.getLogger().handlers)

    def restore(self) -> bool:
        """Put everything back. Returns whether the process may be used again."""
        try:
            self._restore()
            return not self._worn_out()
        except OSError:  # the folder is gone, or there is no descriptor left to look with
            return False

    def _restore(self) -> None:
        os.chdir(self._folder)
        os.umask(self._umask)
        if _raw_environ() != self._environ:
            os.environb.clear()
            os.environb.update(self._environ)
        sys.path[:] = self._path
        warnings.filters[:] = self._filters  # pyright: ignore[reportIndexIssue]
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for number, handler in self._signals.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        logging.getLogger().handlers[:] = self._handlers
        logging.disable(logging.NOTSET)
        random.seed()
        _seed_numpy()

    def _worn_out(self) -> bool:
        return (
            data_bytes() > self._memory_bytes * _MEMORY_MAX_SHARE
            or process.count_fds() > self._open_files * _DESCRIPTORS_MAX_SHARE
        )


def _raw_environ() -> dict[bytes, bytes]:
    """What is behind os.environ: reading that decodes every name and value, which costs more than the rest of this."""
    data: dict[bytes, bytes] = vars(os.environ)["_data"]
    return data


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _seed_numpy() -> None:
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
