"""One supervisor per project: whoever holds the flock on the project's lock file is it, or starts it.

The holder binds the project's socket at once, so that everybody else has something to connect to; the lock and the
listening socket are then handed to the supervisor by descriptor. The lock file itself stays for ever: unlinking it
would let two processes hold locks on two files of one name. Light, because `ratchet stdio` comes through here.
"""

# pathlib would double what the shim imports:
# ruff: noqa: PTH101, PTH108

import fcntl
import os
import socket
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ratchet.project import Project

BACKLOG = 256
PAUSE_SECONDS = 0.01


def claim(project: "Project") -> tuple[int, socket.socket] | None:
    """Become responsible for the project's supervisor.

    Returns:
        The descriptor that holds the lock and the listening socket, or None where somebody else is responsible.
        Neither is inherited over exec.
    """
    fd = os.open(project.lock_address, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd, _listen(project.control_address)


def _listen(address: str) -> socket.socket:
    """Listen in the place of whoever held the lock before."""
    with suppress(FileNotFoundError):
        os.unlink(address)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    os.chmod(address, 0o600)
    listener.listen(BACKLOG)
    return listener


def connect(project: "Project") -> socket.socket | None:
    """A connection to the project's supervisor, or None where none listens now."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(project.control_address)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def is_claimed(project: "Project") -> bool:
    """Whether somebody is responsible for the project now."""
    try:
        fd = os.open(project.lock_address, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # A shared lock, given back at once: two processes that look at the same time do not mistake each other.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def holder(project: "Project") -> str:
    """What the one who holds the lock wrote about itself, for people: `pid 4711, up, version 0.1.0`."""
    try:
        fd = os.open(project.lock_address, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        return os.read(fd, 200).decode(errors="replace").strip()
    finally:
        os.close(fd)


def sign(lock_fd: int, text: str) -> None:
    """Write into the lock file what `holder` reads."""
    os.ftruncate(lock_fd, 0)
    os.pwrite(lock_fd, text.encode() + b"\n", 0)


def pause(deadline: float, seconds: float = PAUSE_SECONDS) -> bool:
    """Wait a moment before the next try; False when `deadline` (monotonic) has passed."""
    if time.monotonic() >= deadline:
        return False
    time.sleep(seconds)
    return True
