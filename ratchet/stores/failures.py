"""What SQLite's errors mean to whoever runs Ratchet."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ratchet.errors import RequestError, StoreError

_NO_SPACE = {sqlite3.SQLITE_FULL}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_CORRUPT = "SQLITE_CORRUPT"
_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """The StoreError that says what happened to the store at `path` and what to do about it."""
    extended: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    name: str = getattr(error, "sqlite_errorname", type(error).__name__)
    details = {"path": str(path), "sqlite": name}
    primary = extended & 0xFF
    if primary in _NO_SPACE:
        advice = "the disk is full: free space and retry; nothing was recorded"
    elif primary == sqlite3.SQLITE_IOERR:
        advice = f"the disk refused to read or write ({name}): it may be full or failing; nothing was recorded"
    elif primary in _DAMAGED:
        return damaged(path, str(error), details)
    elif primary in _UNWRITABLE:
        advice = f"{error}: check the permissions of the file and of its folder"
    else:
        advice = f"{error} ({name}); nothing was recorded"
    return StoreError(f"{path}: {advice}", details=details)


def too_large() -> RequestError:
    """What to tell whoever gave a number that no column can hold."""
    return RequestError("a number is too large to be stored: integers have at most 64 bits")


def damaged(
    path: Path, what: str, details: dict[str, str] | None = None, *, backups: Sequence[Path] = ()
) -> StoreError:
    """The StoreError about a file that is no database (any more).

    Args:
        path: The file.
        what: What is wrong with it.
        details: For programs.
        backups: Copies of it that exist, oldest first.
    """
    copy = f" ({backups[-1].name} is from before its last upgrade)" if backups else ""
    return StoreError(
        f"{path} cannot be used as a database ({what}). It was left as it is: restore a backup of it{copy}, or move it "
        "away to start with an empty store, which knows nothing of what was accepted before",
        details=details or {"path": str(path), "sqlite": _CORRUPT},
    )


def is_damaged(error: StoreError) -> bool:
    """Whether the error says that the file itself is wrong."""
    return str(error.details.get("sqlite", "")).startswith((_CORRUPT, "SQLITE_NOTADB"))
