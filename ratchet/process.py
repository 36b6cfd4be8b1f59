"""What the kernel offers to keep a family of processes together; Linux's part is a no-op elsewhere.

Only the standard library: the zygote loads this file too.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress

LINUX = sys.platform == "linux"
NAME_BYTES_MAX = 15
# Has a child tell what it is doing. One that authors have no use for; elsewhere than on Linux there is none such.
INSPECT_SIGNAL = signal.SIGRTMAX if LINUX else signal.SIGUSR2
STACK_FILE = "ratchet-stack"  # the file in memory in which it says so when it can say nothing else

_FDS = "/proc/self/fd" if LINUX else "/dev/fd"
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int | bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    argument = ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.c_ulong(value)
    if libc.prctl(option, argument, 0, 0, 0) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when the thread that forked it ends.

    Exits at once where the parent is gone already: the kernel would not tell any more. Elsewhere than on Linux the end
    of a channel has to do.
    """
    if LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def become_subreaper() -> None:
    """Make descendants that lose their parent children of this process (Linux only)."""
    if LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_name(name: str) -> None:
    """Show `name` (its first 15 bytes) in ps and top instead of the interpreter's (Linux only)."""
    if LINUX:
        _prctl(_PR_SET_NAME, name.encode()[:NAME_BYTES_MAX])


def forget_environment(names: Iterable[str]) -> None:
    """Take variables out of this process's environment, and out of what the kernel shows of it (Linux only)."""
    forgotten = [name for name in names if os.environ.pop(name, None) is not None]
    if not LINUX or not forgotten:
        return
    with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - as below
        stat = file.read()
    fields = stat[stat.rindex(b")") + 1 :].split()
    start, end = int(fields[47]), int(fields[48])  # env_start and env_end, the 50th and 51st of proc(5)
    block = ctypes.string_at(start, end - start)
    for name in forgotten:
        found = (b"\0" + block).find(b"\0" + os.fsencode(name) + b"=")
        if found >= 0:
            ctypes.memset(start + found, 0, block.index(b"\0", found) - found)


def parent_of(pid: int) -> int | None:
    """The parent of a process, or None where there is no such process (or no /proc)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib would triple what the zygote imports
            stat = file.read()
    except OSError:
        return None
    # The command's name is in parentheses and may hold anything, so the fields are counted from its end.
    return int(stat[stat.rindex(b")") + 1 :].split()[1])


def children_of(pid: int) -> list[int]:
    """The live and the zombie children of a process, those of all its threads; empty without /proc."""
    if not _HAS_CHILDREN_FILES:
        return [child for child, parent in _parents() if parent == pid]
    found: list[int] = []
    with suppress(OSError):  # the process has just ended
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - as above
            found += _children_of_thread(f"/proc/{pid}/task/{thread}/children")
    return found


def _children_of_thread(path: str) -> list[int]:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return [int(word) for word in file.read().split()]
    except OSError:  # the thread has just ended
        return []


# A kernel may be built without these files; reading all of /proc instead takes milliseconds where there is much of it.
_HAS_CHILDREN_FILES = LINUX and os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # noqa: PTH110 - as above


def descendants_of(pid: int) -> list[int]:
    """Children, their children and so on, parents first; a snapshot that may be stale when it is read."""
    found: list[int] = []
    pending = [pid]
    while pending:
        young = [child for child in children_of(pending.pop()) if child not in found]
        found += young
        pending += young
    return found


def _parents() -> Iterator[tuple[int, int]]:
    with suppress(FileNotFoundError):  # a system without /proc
        for entry in os.listdir("/proc"):  # noqa: PTH208 - as above
            if entry.isdigit() and (parent := parent_of(int(entry))) is not None:
                yield int(entry), parent


def open_fds() -> list[int]:
    """The descriptors this process has open."""
    found: list[int] = []
    for entry in os.listdir(_FDS):  # noqa: PTH208 - as above
        fd = int(entry)
        with suppress(OSError):  # the descriptor that listed the folder is closed again
            os.fstat(fd)
            found.append(fd)
    return found


def count_fds() -> int:
    """About how many descriptors this process has open: cheaper than naming them, and one too many."""
    return len(os.listdir(_FDS))  # noqa: PTH208 - as above


def close_fds_except(keep: set[int]) -> None:
    """Close every descriptor that is not in `keep`. Objects that own one must have been closed or detached before."""
    for fd in open_fds():
        if fd not in keep:
            with suppress(OSError):  # closed by an object's finalizer meanwhile
                os.close(fd)
