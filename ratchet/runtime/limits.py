"""Resource limits of a child, by setrlimit. Where a system lacks one (macOS: RLIMIT_DATA), it stays unlimited."""

import os
import resource
from contextlib import suppress

from ratchet.process import LINUX

_DATA_BYTES_SPARE = 32 * 1024 * 1024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_DATA_FIELD = 5  # of /proc/PID/statm


def data_bytes() -> int:
    """Private writable memory of this process, as RLIMIT_DATA counts it. Elsewhere than on Linux: 0."""
    if not LINUX:
        return 0
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - read after every run
        return int(file.read().split()[_DATA_FIELD]) * _PAGE_BYTES


def limit_resources(memory_bytes: int, file_bytes: int, open_files: int) -> None:
    """Limit this process.

    Only soft limits: a task that lifts them has its worker's sampling and wall time above it, and the runtime needs
    to lift the one that was hit in order to report it.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_memory(memory_bytes)
    _set_soft(resource.RLIMIT_FSIZE, file_bytes)
    _set_soft(resource.RLIMIT_NOFILE, open_files)


def lift_limits() -> None:
    """Undo `limit_resources`, for the time in which what was hit is described and cleaned up."""
    for limit in (resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
        _set_soft(limit, resource.RLIM_INFINITY)


def limit_memory(memory_bytes: int) -> None:
    """Limit RLIMIT_DATA, never below what is mapped already and a little to work with."""
    if LINUX:
        _set_soft(resource.RLIMIT_DATA, max(memory_bytes, data_bytes() + _DATA_BYTES_SPARE))


def limit_cpu(seconds: float | None) -> None:
    """Have SIGXCPU sent after so much more CPU time of this process, and every second from then on. None: no limit."""
    if seconds is None:
        _set_soft(resource.RLIMIT_CPU, resource.RLIM_INFINITY)
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _set_soft(resource.RLIMIT_CPU, max(1, round(usage.ru_utime + usage.ru_stime + seconds + 0.5)))


def _set_soft(limit: int, soft: int) -> None:
    _, hard = resource.getrlimit(limit)
    if hard != resource.RLIM_INFINITY and (soft == resource.RLIM_INFINITY or soft > hard):
        soft = hard
    with suppress(ValueError, OSError):  # the system has a tighter bound than the hard limit it shows
        resource.setrlimit(limit, (soft, hard))


def prefer_for_oom() -> None:
    """When memory runs out, the kernel takes this process first. Elsewhere than on Linux: nothing."""
    if LINUX:
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
            file.write("1000")


def resident_bytes_max(maxrss: int) -> int:
    """`ru_maxrss` in bytes."""
    return maxrss * 1024 if LINUX else maxrss
