"""Opening a store's file: creating, migrating, and refusing what must not be touched."""

import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from ratchet.errors import StoreError
from ratchet.stores.connection import reader
from ratchet.stores.database import Database
from ratchet.stores.group_commit import Statement
from ratchet.stores.migrations import Migration, migrations

FIRST = Migration(1, "0001_notes.sql", "CREATE TABLE notes (text TEXT NOT NULL) STRICT;")
SECOND = Migration(2, "0002_marks.sql", "ALTER TABLE notes ADD COLUMN mark TEXT; UPDATE notes SET mark = 'old';")
BROKEN = Migration(2, "0002_broken.sql", "ALTER TABLE notes ADD COLUMN mark TEXT; INSERT INTO nowhere VALUES (1);")


async def note(path: Path, *steps: Migration, text: str = "kept") -> None:
    async with Database.open(path, store="notes", steps=steps) as database:
        await database.write(Statement("INSERT INTO notes (text) VALUES (?)", [(text,)]))


async def notes(path: Path, *steps: Migration, columns: str = "text") -> list[tuple[object, ...]]:
    async with Database.open(path, store="notes", steps=steps) as database:
        return await database.rows(f"SELECT {columns} FROM notes ORDER BY text")


async def refusal(path: Path, *steps: Migration) -> str:
    with pytest.raises(StoreError) as caught:
        async with Database.open(path, store="notes", steps=steps):
            pass
    return caught.value.message


def backups(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if "backup" in entry.name)


@pytest.mark.parametrize("store", ["executions", "logs", "spans"])
async def test_every_store_opens_twice(tmp_path: Path, store: str):
    for _ in range(2):
        async with Database.open(tmp_path / "deep" / "down" / "x.db", store=store) as database:
            assert database.schema_version == len(migrations(store)) > 0

    assert backups(tmp_path / "deep" / "down") == []


async def test_a_new_file_is_for_its_owner_only(tmp_path: Path):
    await note(tmp_path / "data" / "notes.db", FIRST)

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "data" / "notes.db").stat().st_mode) == 0o600


async def test_what_was_written_is_there_after_opening_again(tmp_path: Path):
    await note(tmp_path / "notes.db", FIRST)

    assert await notes(tmp_path / "notes.db", FIRST) == [("kept",)]


async def test_an_older_file_is_migrated_after_a_copy_was_made(tmp_path: Path):
    path = tmp_path / "notes.db"
    await note(path, FIRST)

    assert await notes(path, FIRST, SECOND, columns="text, mark") == [("kept", "old")]

    assert backups(tmp_path) == ["notes.db.v1.backup"]
    assert await notes(tmp_path / "notes.db.v1.backup", FIRST) == [("kept",)]
    assert stat.S_IMODE((tmp_path / "notes.db.v1.backup").stat().st_mode) == 0o600


async def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path):
    path = tmp_path / "notes.db"
    await note(path, FIRST)

    assert "nowhere" in await refusal(path, FIRST, BROKEN)

    assert await notes(path, FIRST) == [("kept",)]
    assert await notes(path, FIRST, SECOND, columns="text, mark") == [("kept", "old")]


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "notes.db"
    await note(path, FIRST, SECOND)
    before = path.read_bytes()

    message = await refusal(path, FIRST)

    assert "schema version 2" in message
    assert "versions up to 1" in message
    assert "Upgrade Ratchet" in message
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [b"name,age\nalice,3\n", b"\x00" * 4096, b"SQLite format 3\x00", b"SQLite format 3\x00" + b"\xff" * 8192],
    ids=["a CSV file", "zeros", "a header cut short", "garbage after the magic"],
)
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes):
    path = tmp_path / "notes.db"
    path.write_bytes(content)

    message = await refusal(path, FIRST)

    assert str(path) in message
    assert "cannot be used as a database" in message
    assert "move it away" in message
    assert path.read_bytes() == content


async def test_damage_that_appears_under_an_open_database_is_recognised(tmp_path: Path):
    path = tmp_path / "notes.db"
    await note(path, FIRST, text="x" * 100_000)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)  # all but the page with the schema

    async with Database.open(path, store="notes", steps=[FIRST]) as database:
        path.write_bytes(content)
        with pytest.raises(StoreError, match="restore a backup"):
            await database.rows("SELECT * FROM notes")
        with pytest.raises(StoreError, match="restore a backup"):
            await database.write(Statement("INSERT INTO notes VALUES (?)", [("more",)]))

    assert "was left as it is" in await refusal(path, FIRST)


@pytest.mark.parametrize("mark", [0, 4711])
async def test_a_database_of_another_application_is_refused(tmp_path: Path, mark: int):
    path = tmp_path / "notes.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE contacts (name TEXT)")
        other.execute(f"PRAGMA application_id = {mark}")
    other.close()

    assert "not a Ratchet notes store" in await refusal(path, FIRST)


async def test_one_store_does_not_open_the_file_of_another(tmp_path: Path):
    async with Database.open(tmp_path / "x.db", store="logs"):
        pass

    with pytest.raises(StoreError, match="not a Ratchet spans store"):
        async with Database.open(tmp_path / "x.db", store="spans"):
            pass


async def test_a_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")

    message = await refusal(tmp_path / "file" / "notes.db", FIRST)

    assert "check data_dir" in message
    assert "Not a directory" in message or "File exists" in message


async def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path):
    (tmp_path / "notes.db").mkdir()

    assert "Is a directory" in await refusal(tmp_path / "notes.db", FIRST)


async def test_errors_of_whoever_uses_the_database_pass_unchanged(tmp_path: Path):
    with pytest.raises(sqlite3.OperationalError, match="mine"):
        async with Database.open(tmp_path / "notes.db", store="notes", steps=[FIRST]):
            raise sqlite3.OperationalError("mine")


async def test_readers_cannot_write(tmp_path: Path):
    async with Database.open(tmp_path / "notes.db", store="notes", steps=[FIRST]) as database:
        with pytest.raises(StoreError, match="readonly"):
            await database.rows("INSERT INTO notes VALUES ('x')")


async def test_health_tells_the_size_on_disk(tmp_path: Path):
    async with Database.open(tmp_path / "notes.db", store="notes", steps=[FIRST]) as database:
        before = database.health(0).bytes
        await database.write(Statement("INSERT INTO notes VALUES (?)", [("x" * 100_000,)]))

        after = database.health(1)

    assert after.bytes >= before + 100_000
    assert (after.path, after.rows, after.schema_version) == (str(tmp_path / "notes.db"), 1, 1)


async def test_a_file_that_vanishes_before_it_is_opened_leaves_no_thread_behind(tmp_path: Path):
    before = {*threading.enumerate()}

    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        async with reader(tmp_path / "nowhere.db"):
            pass

    assert {*threading.enumerate()} <= before


async def test_who_reads_from_a_store_that_has_been_closed_is_told_so(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "a.db", store="notes", steps=[FIRST]) as database:
        pass
    with pytest.raises(StoreError, match="is closed"):
        await database.rows("SELECT text FROM notes")
