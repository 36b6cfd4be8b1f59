"""A Redis of its own for a comparison: on loopback, in a folder that is gone afterwards, as durable as Ratchet is."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import await_start, free_port, listens, running


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
            await_start(process, "redis-server", lambda: listens(port), log=log)
            yield f"redis://127.0.0.1:{port}/0"
