"""How full a store's file is, and how free pages go back to the file system."""

import sqlite3
from pathlib import Path

from ratchet.bodies.retention import Usage

STEP_PAGES = 256  # moved in one go: about 1 MB, a few milliseconds
_INCREMENTAL = 2  # of `PRAGMA auto_vacuum`
_REBUILD_BYTES_MAX = 64 * 1024 * 1024  # an older file up to this size is rebuilt when it is opened: half a second


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Have the file able to shrink. An empty one simply is; an older one has to be rebuilt."""
    if _integer(connection, "PRAGMA auto_vacuum") == _INCREMENTAL:
        return
    connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
    if _integer(connection, "SELECT count(*) FROM sqlite_master") and path.stat().st_size <= _REBUILD_BYTES_MAX:
        connection.execute("VACUUM")


def rebuild(connection: sqlite3.Connection) -> None:
    """Rebuild an older file of any size, so that it can shrink; nothing where it can already."""
    if _integer(connection, "PRAGMA auto_vacuum") != _INCREMENTAL:
        connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
        connection.execute("VACUUM")


def usage(connection: sqlite3.Connection, path: Path) -> Usage:
    """How full the file is."""
    page = _integer(connection, "PRAGMA page_size")
    free = _integer(connection, "PRAGMA freelist_count")
    used = _integer(connection, "PRAGMA page_count") - free
    return Usage(used_bytes=used * page, free_bytes=free * page, file_bytes=file_bytes(path))


def file_bytes(path: Path) -> int:
    """What the file and its log of writes take on the disk."""
    names = (path, path.with_name(f"{path.name}-wal"))
    return sum(name.stat().st_size for name in names if name.exists())


def release(connection: sqlite3.Connection) -> bool:
    """Take up to `STEP_PAGES` free pages out of the file. Returns whether to go on."""
    before = _integer(connection, "PRAGMA freelist_count")
    # `execute` takes one step of a statement without columns, which here is one page; a script is run to its end.
    connection.executescript(f"PRAGMA incremental_vacuum({STEP_PAGES})")
    return 0 < _integer(connection, "PRAGMA freelist_count") < before


def checkpoint(connection: sqlite3.Connection) -> None:
    """Bring the log of writes into the file and empty it, if nobody reads; otherwise the next checkpoint does."""
    waits = _integer(connection, "PRAGMA busy_timeout")
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {waits}")


def _integer(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])
