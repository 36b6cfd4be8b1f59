"""What the supervisor must have before it starts anything: a data directory of its own, and its ports."""

import errno
import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path

from ratchet.config import Config
from ratchet.errors import StartupError

# What stands in for a wildcard when somebody asks where to connect.
_WILDCARDS: dict[str, str] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a table of addresses, not a bind
_BACKLOG = 256


def prepare_data_dir(path: Path) -> int:
    """Create the data directory where it is missing, and lock it.

    Returns:
        The descriptor that holds the lock until it is closed.

    Raises:
        StartupError: It cannot be created or written, or another supervisor uses it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartupError(
            f"the data directory {path} cannot be used: {error.strerror}; set data_dir, or pass --data-dir, to a "
            "directory that this user may write"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _prove_writable(path)
    except BlockingIOError as error:
        os.close(lock)
        raise StartupError(
            f"another supervisor uses the data directory {path}: stop it, or set another data_dir for this project"
        ) from error
    except OSError as error:
        os.close(lock)
        raise StartupError(f"the data directory {path} cannot be written: {error.strerror}") from error
    return lock


def _prove_writable(path: Path) -> None:
    """Write a file: permission bits do not tell of a read-only file system, or of a full one."""
    probe = path / f".probe-{os.getpid()}"
    try:
        probe.write_bytes(b"x" * 4096)
    finally:
        with suppress(FileNotFoundError):
            probe.unlink()


def bind_http(config: Config) -> socket.socket:
    """The listening socket of the HTTP front; it outlives the front's processes, so no connection is refused.

    Raises:
        StartupError: The address cannot be bound; the message says which key to change.
    """
    host, port = config.mcp.server.address.host, config.mcp.server.address.port
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartupError(f"mcp.server.bind_address {host}:{port} cannot be used: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            message = (
                f"port {port} on {host} is in use; set mcp.server.bind_address to another one, or stop the program "
                f"that listens there (`ss -ltnp 'sport = :{port}'` names it)"
            )
        else:
            message = f"mcp.server.bind_address {host}:{port} cannot be bound: {error.strerror}"
        raise StartupError(message) from error
    return listener


def http_url(listener: socket.socket) -> str:
    """Where an MCP client connects to the HTTP front: the port as bound, which the configuration may have left open."""
    bound, port = listener.getsockname()[:2]
    host = _WILDCARDS.get(str(bound), str(bound))
    return f"http://[{host}]:{port}/mcp" if ":" in host else f"http://{host}:{port}/mcp"


def http_addresses(listener: socket.socket, config: Config) -> list[str]:
    """Every address that an MCP client may use, the one to prefer first."""
    url = http_url(listener)
    older = [url.removesuffix("/mcp") + "/sse"] if config.mcp.server.transport == "sse" else []
    return [url, *older]
