"""Whether a store's file is whole, and what is done where it is not: it is never overwritten.

SQLite survives a kill and a power cut by itself; what it does not survive is a disk that loses pages, a copy that was
cut short, or another program's hands. A file is looked at whenever it is opened, page by page, for a bounded time: a
moment where it was closed well, longer where it was not, and as good as to the end where damage was met in it.
"""

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

MAGIC = b"SQLite format 3\x00"
CLOSED_SECONDS_MAX = 0.1
KILLED_SECONDS_MAX = 2.0  # an actor that restarts must be back soon
SUSPECT_SECONDS_MAX = 60.0  # after damage was met
BACKUPS_KEPT = 3

# What a store of these holds is observed, and nobody was promised anything with it: Ratchet goes on with an empty one.
# An execution was accepted, its id handed out, its idempotency key used: forgetting that is for a person to decide.
REPLACED = frozenset({"logs", "spans"})

_PAGE_SIZE_AT, _PAGE_COUNT_AT = 16, 28  # of the header; big-endian, 2 and 4 bytes
_CHANGED_AT, _VALID_FOR_AT = 24, 92  # the count of pages is true where these agree
_HEADER_BYTES = 100
_LARGEST_PAGE = 65_536  # stored as 1

log = structlog.stdlib.get_logger("stores")


def damage(path: Path) -> str | None:
    """What is wrong with the file, in a few words; None where it is whole, empty or not there. It is not changed.

    Raises:
        OSError: It cannot be read.
        sqlite3.Error: It could not be looked at, for another reason than damage.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header.startswith(MAGIC):
        return "its content is not SQLite's"
    killed = _was_killed(path)  # in the middle of its growth, perhaps: the rest is in the log of writes
    if not killed and (missing := _missing_bytes(header, path.stat().st_size)) > 0:
        return f"its last {missing} bytes are missing"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return _first_fault(connection, path, killed=killed)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return str(error)
        raise


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is wrong."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def set_aside(path: Path) -> Path:
    """Rename a damaged file, with what SQLite keeps beside it, to a name with the time; returns that name."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    trust(path)
    return aside


def were_set_aside(path: Path) -> list[Path]:
    """The files that were set aside in the place of this one and are still there, oldest first."""
    found = path.parent.glob(f"{path.name}.damaged-*")
    return sorted(one for one in found if not one.name.endswith(("-wal", "-shm")))


def suspect(path: Path) -> None:
    """Have the next one who opens the file look at every page of it."""
    _mark(path).touch()


def trust(path: Path) -> None:
    """Take back `suspect`."""
    _mark(path).unlink(missing_ok=True)


def backups(path: Path) -> Sequence[Path]:
    """The copies that were made of this file before it was migrated, oldest version first."""

    def version(copy: Path) -> int:
        number = copy.name.removeprefix(f"{path.name}.v").removesuffix(".backup")
        return int(number) if number.isdecimal() else -1

    found = [copy for copy in path.parent.glob(f"{path.name}.v*.backup") if version(copy) >= 0]
    return sorted(found, key=version)


def _missing_bytes(header: bytes, size: int) -> int:
    if len(header) < _HEADER_BYTES:
        return _HEADER_BYTES - len(header)
    if header[_CHANGED_AT : _CHANGED_AT + 4] != header[_VALID_FOR_AT : _VALID_FOR_AT + 4]:
        return 0
    page = int.from_bytes(header[_PAGE_SIZE_AT : _PAGE_SIZE_AT + 2])
    pages = int.from_bytes(header[_PAGE_COUNT_AT : _PAGE_COUNT_AT + 4])
    return pages * (_LARGEST_PAGE if page == 1 else page) - size


def _was_killed(path: Path) -> bool:
    """Whether the last one who had the file did not close it: who does leaves no log of writes behind."""
    writes = path.with_name(f"{path.name}-wal")
    return writes.exists() and writes.stat().st_size > 0


def _first_fault(connection: sqlite3.Connection, path: Path, *, killed: bool) -> str | None:
    """Look at one page after the other, for as long as there is reason to."""
    if _mark(path).exists():
        found = _check(connection, path, "integrity_check", SUSPECT_SECONDS_MAX)
        if found is None:
            trust(path)
        return found
    return _check(connection, path, "quick_check", KILLED_SECONDS_MAX if killed else CLOSED_SECONDS_MAX)


def _check(connection: sqlite3.Connection, path: Path, pragma: str, seconds: float) -> str | None:
    alarm = threading.Timer(seconds, connection.interrupt)
    alarm.start()
    try:
        found = str(connection.execute(f"PRAGMA {pragma}(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
            raise
        log.info("a store is too large to be looked at completely", store=path.name, seconds=seconds)
        return None
    finally:
        alarm.cancel()
    return None if found == "ok" else " ".join(found.split())[:200]


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")
