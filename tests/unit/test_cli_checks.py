"""What `ratchet doctor` finds in an installation and in a project."""

import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ratchet.cli.app import run_command
from ratchet.cli.checks import (
    PACKAGES,
    Imports,
    check_modules,
    check_packages,
    check_python,
    check_system,
    probe_imports,
    requirements,
)
from ratchet.cli.doctor import check_blocks
from ratchet.cli.project_checks import (
    check_data_dir,
    check_port,
    check_provider_package,
    check_python_of_tasks,
    check_task_folders,
)
from ratchet.cli.render import plain
from ratchet.config import Config
from ratchet.config.model import TasksConfig

HOME = Path("/opt/ratchet/lib")
PLACES = {name: str(HOME / name / "__init__.py") for name in ("ratchet", "ipc", "actors")} | {
    "supervisor": str(HOME / "supervisor.py")
}


def imports(errors: Mapping[str, str] | None = None, **versions: str) -> Imports:
    found = {name: versions.get(name, "99") for name in PACKAGES if name not in (errors or {})}
    return Imports(found, PLACES, errors or {})


def test_an_old_python_fails() -> None:
    assert check_python((3, 11, 0)).outcome == "ok"
    old = check_python((3, 10, 12))
    assert (old.outcome, old.found) == ("failed", "3.10.12")
    assert "3.11" in old.advice


def test_packages_are_one_line_if_all_is_well() -> None:
    (one,) = check_packages(imports(), {"mcp": ">=2.3,<100"})
    assert one.outcome == "ok"
    assert "pydantic 99" in one.found


@pytest.mark.parametrize(
    ("version", "outcome"),
    [("2.3.0", "ok"), ("2.3", "ok"), ("2.2.9", "failed"), ("2.4.0", "failed"), ("2.10", "failed")],
)
def test_a_version_must_be_in_its_range(version: str, outcome: str) -> None:
    (one,) = check_packages(imports(mcp=version), {"mcp": ">=2.3,<2.4"})
    assert one.outcome == outcome


def test_a_package_that_cannot_be_imported_says_how_to_install_it() -> None:
    (one,) = check_packages(imports({"pyzmq": "ImportError: libzmq"}), {"pyzmq": ">=27"})
    assert (one.name, one.outcome, one.found) == ("package pyzmq", "failed", "ImportError: libzmq")
    assert 'pip install "pyzmq>=27"' in one.advice


def test_requirements_cover_every_package() -> None:
    assert set(PACKAGES) <= set(requirements())


def test_own_modules_must_lie_where_ratchet_lies() -> None:
    (one,) = check_modules(imports(), HOME)
    assert one.outcome == "ok"


def test_a_foreign_module_of_our_name_is_found_out() -> None:
    places = PLACES | {"supervisor": "/usr/lib/python3/supervisor/__init__.py", "ipc": ""}
    found = check_modules(Imports({}, places, {}), HOME)
    assert [check.name for check in found] == ["module ipc", "module supervisor"]
    assert found[0].found == "cannot be found"
    assert "/usr/lib/python3/supervisor/__init__.py" in found[1].found
    assert "environment of its own" in found[1].advice


def test_a_fresh_interpreter_is_asked_what_it_imports(tmp_path: Path) -> None:
    found = probe_imports(packages={"msgpack": "msgpack", "nothing": "no_such_module"}, own=("json", "no_such_module"))
    assert set(found.versions) == {"msgpack"}
    assert "ModuleNotFoundError" in found.errors["nothing"]
    assert found.places["json"].endswith("json/__init__.py")
    assert found.places["no_such_module"] == ""


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux offers")
def test_this_system_has_what_is_needed() -> None:
    assert [(check.name, check.outcome) for check in check_system()] == [
        ("pidfd", "ok"),
        ("subreaper", "ok"),
        ("/proc", "ok"),
    ]


def test_a_data_dir_that_is_missing_is_fine_where_it_can_be_made(tmp_path: Path) -> None:
    assert check_data_dir(tmp_path / "a" / "b", None).outcome == "ok"
    assert not (tmp_path / "a").exists()


def test_a_data_dir_below_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = check_data_dir(tmp_path / "file" / "data", None)
    assert found.outcome == "failed"
    assert str(tmp_path / "file") in found.found


def config(tmp_path: Path, **mcp_server: object) -> Config:
    return Config.model_validate({"data_dir": str(tmp_path), "mcp": {"server": mcp_server}})


def test_a_port_in_use_fails_and_a_free_one_is_fine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        taken = check_port(config(tmp_path, bind_address=address), None)
    assert taken.outcome == "failed"
    assert "in use" in taken.found
    assert check_port(config(tmp_path, bind_address="127.0.0.1:0"), None).outcome == "ok"
    assert check_port(config(tmp_path, enabled=False), None).outcome == "skipped"


def test_task_folders_must_be_there(tmp_path: Path) -> None:
    tasks = TasksConfig(paths=(tmp_path, tmp_path / "missing"))
    found = check_task_folders(config(tmp_path).model_copy(update={"tasks": tasks}))
    assert [check.outcome for check in found] == ["ok", "failed"]


@pytest.mark.parametrize(("python", "words"), [("/no/python", "does not start"), ("/bin/false", "does not start")])
def test_an_interpreter_for_tasks_must_start(tmp_path: Path, python: str, words: str) -> None:
    tasks = TasksConfig(python=Path(python))
    found = check_python_of_tasks(config(tmp_path).model_copy(update={"tasks": tasks}))
    assert found.outcome == "failed"
    assert words in found.found


def test_our_own_interpreter_needs_no_look(tmp_path: Path) -> None:
    assert check_python_of_tasks(config(tmp_path)).outcome == "ok"


def test_what_asks_providers_must_be_installed() -> None:
    assert check_provider_package().outcome == "ok"
    missing = check_provider_package("no_such_package")
    assert (missing.outcome, missing.advice) == ("failed", "install ratchet-mcp[llm]")


def test_a_check_is_a_line_and_what_to_do_below_it() -> None:
    old = check_python((3, 9, 1))
    text = plain(check_blocks(old))
    assert text.splitlines()[0] == "✗ python: 3.9.1"
    assert text.splitlines()[1].startswith("  → install")


def test_the_doctor_fails_with_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ratchet.yaml").write_text("worker:\n  count: 2\n")
    assert run_command(["doctor", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    failed = {check["name"]: check for check in told["checks"] if check["outcome"] == "failed"}
    assert set(failed) == {"configuration"}
    assert "workers" in failed["configuration"]["found"]


def test_the_doctor_is_content_with_a_fresh_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_command(["init"])
    (tmp_path / "ratchet.yaml").write_text(
        f"data_dir: {tmp_path}/data\nmcp: {{server: {{bind_address: '127.0.0.1:0'}}}}\n"
    )
    capsys.readouterr()
    assert run_command(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "✓ modules" in text
    assert "- supervisor: none runs" in text
    assert text.endswith("all is well\n")
