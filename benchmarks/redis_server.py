"""A Redis of its own for a comparison: on loopback, in a folder that is gone afterwards, as durable as Ratchet is."""

import shutil
import socket
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import free_port, running

_START_SECONDS = 10.0
_POLL_SECONDS = 0.05


@contextmanager
def running_redis() -> Generator[str]:
    """A running server that answers a write once it is on the disk; gives its URL.

    Raises:
        RuntimeError: There is none on this machine.
    """
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise RuntimeError("skipped: there is no redis-server on the PATH")
    port = free_port()
    durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-redis-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "redis.log"
        place = ["--bind", "127.0.0.1", "--port", str(port), "--dir", folder]
        with running([program, *place, *durable], log=log) as process:
            deadline = time.monotonic() + _START_SECONDS
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"skipped: redis-server does not run: {log.read_text()[-1000:]}")
                time.sleep(_POLL_SECONDS)
            yield f"redis://127.0.0.1:{port}/0"


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
    except OSError:
        return False
