"""Bring a store's file to the newest schema: numbered SQL files, each one transaction that also records it.

The version is SQLite's `user_version`, the kind of store its `application_id`; both live in the file's header and
take part in transactions, so a migration and its record are committed together or not at all.
"""

import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ratchet.errors import StoreError
from ratchet.stores.recovery import BACKUPS_KEPT, backups


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: `sql` takes a store from version `number - 1` to `number`."""

    number: int
    name: str
    sql: str


def migrations(store: str) -> list[Migration]:
    """The migrations of a store (`ratchet/stores/sql/STORE/NNNN_name.sql`), in order."""
    folder = resources.files("ratchet.stores") / "sql" / store
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    found = [Migration(int(file.name[:4]), file.name, file.read_text(encoding="utf-8")) for file in files]
    assert [step.number for step in found] == list(range(1, len(found) + 1)), f"gap in the migrations of {store}"
    return found


def application_id(store: str) -> int:
    """The mark that tells the files of one kind of store from all others."""
    return zlib.crc32(f"ratchet.{store}".encode()) & 0x7FFF_FFFF


def migrate(connection: sqlite3.Connection, path: Path, store: str, steps: Sequence[Migration]) -> int:
    """Apply the steps that `path` does not have yet; return its schema version.

    A file that already holds data is copied to `NAME.vOLD.backup` first; of such copies the newest few are kept.

    Raises:
        StoreError: The file is another application's, or of a newer Ratchet.
    """
    version = _integer(connection, "PRAGMA user_version")
    empty = _integer(connection, "SELECT count(*) FROM sqlite_master") == 0
    _check_owner(connection, path, store, version, empty=empty, newest=len(steps))
    pending = [step for step in steps if step.number > version]
    if pending and not empty:
        _back_up(connection, path, version)
    for step in pending:
        _apply(connection, step, application_id(store))
    return len(steps)


def _check_owner(
    connection: sqlite3.Connection, path: Path, store: str, version: int, *, empty: bool, newest: int
) -> None:
    if not empty and _integer(connection, "PRAGMA application_id") != application_id(store):
        raise StoreError(
            f"{path} is a database, but not a Ratchet {store} store: move it away, or use another data_dir"
        )
    if version > newest:
        raise StoreError(
            f"{path} has schema version {version}; this Ratchet knows versions up to {newest}. "
            f"Upgrade Ratchet, or put back {path.name}.v{newest}.backup, made when it was upgraded"
        )


def _apply(connection: sqlite3.Connection, step: Migration, application: int) -> None:
    marks = f"PRAGMA application_id = {application};\nPRAGMA user_version = {step.number};"
    try:
        # executescript commits whatever is open: the transaction has to be inside the script.
        connection.executescript(f"BEGIN IMMEDIATE;\n{step.sql}\n{marks}\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _back_up(connection: sqlite3.Connection, path: Path, version: int) -> None:
    copy = path.with_name(f"{path.name}.v{version}.backup")
    partial = path.with_name(f"{copy.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    target = sqlite3.connect(partial)
    try:
        connection.backup(target)
    finally:
        target.close()
    partial.replace(copy)
    for older in backups(path)[:-BACKUPS_KEPT]:
        older.unlink()


def _integer(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])
