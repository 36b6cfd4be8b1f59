"""Damaged files: found when they are opened, set aside or refused, and never overwritten."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ratchet.bodies.telemetry import AppendLogs, ReadLogs
from ratchet.errors import StoreError
from ratchet.models import LogRecord
from ratchet.stores import recovery
from ratchet.stores.database import Database
from ratchet.stores.logs import LogStore
from ratchet.stores.migrations import migrations

PAGE = 4096

KILLED = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA wal_autocheckpoint = 0")
connection.execute("UPDATE log_total SET rows = rows + 1")
os.kill(os.getpid(), signal.SIGKILL)
"""


async def filled(path: Path) -> None:
    records = [LogRecord(sequence=n, at_ns=n, level="info", logger="l", message="x" * 900) for n in range(100)]
    async with Database.open(path, store="logs") as database:
        await LogStore(database).append(AppendLogs(execution_id="e", attempt=1, records=records))


async def kept(path: Path) -> int:
    async with Database.open(path, store="logs") as database:
        return len((await LogStore(database).read(ReadLogs(execution_id="e"))).records)


def killed_in_the_middle(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert path.with_name("logs.db-wal").stat().st_size > 0


def spoil(path: Path, page: int = 8) -> bytes:
    content = bytearray(path.read_bytes())
    assert len(content) > (page + 1) * PAGE
    content[page * PAGE : (page + 1) * PAGE] = b"\xa5" * PAGE
    path.write_bytes(content)
    return bytes(content)


async def test_a_file_cut_short_is_set_aside_as_it_is_for_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "logs.db"
    await filled(path)
    cut = path.read_bytes()[: -3 * PAGE]
    path.write_bytes(cut)

    assert recovery.damage(path) == f"its last {3 * PAGE} bytes are missing"
    assert await kept(path) == 0

    [aside] = recovery.were_set_aside(path)
    assert aside.read_bytes() == cut
    async with Database.open(path, store="logs") as database:
        assert database.health(0).set_aside == [str(aside)]
        assert database.remarks() == {"set_aside": [str(aside)]}


async def test_after_a_kill_every_page_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "logs.db"
    await filled(path)
    killed_in_the_middle(path)
    content = spoil(path)
    writes = path.with_name("logs.db-wal").read_bytes()

    assert await kept(path) == 0

    [aside] = recovery.were_set_aside(path)
    assert (aside.read_bytes(), aside.with_name(f"{aside.name}-wal").read_bytes()) == (content, writes)


async def test_a_kill_alone_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "logs.db"
    await filled(path)
    killed_in_the_middle(path)

    assert recovery.damage(path) is None
    assert await kept(path) == 100
    assert recovery.were_set_aside(path) == []


async def test_damage_met_while_it_runs_is_told_and_the_next_one_starts_afresh(tmp_path: Path) -> None:
    path = tmp_path / "logs.db"
    await filled(path)
    content = path.read_bytes()
    content = content[: 2 * PAGE] + b"\xa5" * (len(content) - 2 * PAGE)

    async with Database.open(path, store="logs") as database:
        path.write_bytes(content)
        with pytest.raises(StoreError, match="cannot be used as a database"):
            await database.rows("SELECT * FROM logs")
        with pytest.raises(StoreError, match="met damage"):
            await database.until_damaged()
        assert database.health(0).damaged

    assert await kept(path) == 0
    [aside] = recovery.were_set_aside(path)
    assert aside.read_bytes() == content
    assert await kept(path) == 0
    assert recovery.were_set_aside(path) == [aside]


async def test_two_files_set_aside_in_one_second_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "logs.db"
    for content in (b"one", b"two", b"three"):
        path.write_bytes(content)
        assert await kept(path) == 0

    found = [one.read_bytes() for one in recovery.were_set_aside(path)]
    assert sorted(found) == [b"one", b"three", b"two"]


async def test_executions_are_never_forgotten_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "executions.db"
    async with Database.open(path, store="executions"):
        pass
    shutil.copy(path, tmp_path / "executions.db.v2.backup")
    cut = path.read_bytes()[:-PAGE]
    path.write_bytes(cut)

    with pytest.raises(StoreError, match="was left as it is") as refused:
        async with Database.open(path, store="executions"):
            pass

    assert "executions.db.v2.backup" in refused.value.message
    assert path.read_bytes() == cut
    assert recovery.were_set_aside(path) == []


async def test_a_store_of_every_earlier_version_is_migrated_and_the_newest_copies_are_kept(tmp_path: Path) -> None:
    steps = migrations("executions")
    path = tmp_path / "executions.db"
    for count in range(1, len(steps) + 1):
        async with Database.open(path, store="executions", steps=steps[:count]) as database:
            assert database.schema_version == count

    newest = list(range(1, len(steps)))[-recovery.BACKUPS_KEPT :]
    assert [copy.name for copy in recovery.backups(path)] == [f"executions.db.v{number}.backup" for number in newest]
    with sqlite3.connect(recovery.backups(path)[-1]) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("PRAGMA user_version").fetchone() == (len(steps) - 1,)
    copy.close()
