"""`ratchet init`: a folder that works, and nothing overwritten."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ratchet.cli.app import run_command
from ratchet.cli.exits import ExitCode
from ratchet.cli.init import FILES
from ratchet.config import load_config
from ratchet.project import find_project

SECONDS_MAX = 60


def test_a_new_folder_has_a_configuration_that_loads_and_finds_the_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "project"
    assert run_command(["init", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert f"cd {folder}" in printed
    assert "ratchet run hello" in printed
    assert all((folder / name).is_file() for name in FILES)
    config = load_config(find_project(str(folder / "ratchet.yaml"), None, {}, tmp_path), environ={})
    assert [path.resolve() for path in config.tasks.paths] == [(folder / "tasks").resolve()]


def test_the_working_directory_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["init", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["created"] == [str(tmp_path / name) for name in FILES]


def test_nothing_is_written_where_one_file_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tasks").mkdir()
    mine = tmp_path / "tasks" / "hello.py"
    mine.write_text("# mine")
    assert run_command(["init", str(tmp_path)]) == ExitCode.FAILED
    assert str(mine) in capsys.readouterr().err
    assert mine.read_text() == "# mine"
    assert [path.name for path in tmp_path.iterdir()] == ["tasks"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run_command(["init", str(tmp_path / "file" / "project")]) == ExitCode.FAILED
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_the_first_task_passes_its_test(tmp_path: Path) -> None:
    run_command(["init", str(tmp_path)])
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout
