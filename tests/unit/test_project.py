"""Which project a command belongs to, and the private directory of its sockets."""

import os
import pickle
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratchet.errors import ProjectError
from ratchet.project import CONFIG_BYTES_MAX, SOCKET_PATH_BYTES_MAX, find_project

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment whose runtime directory has a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="run-") as runtime:
        yield {"XDG_RUNTIME_DIR": runtime, "HOME": str(tmp_path / "home")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "project"
    place.mkdir()
    return place


def test_without_a_file_the_working_directory_is_the_project(folder: Path, environ: dict[str, str]) -> None:
    project = find_project(None, None, environ, folder)

    assert (project.folder, project.config_path, project.data_dir_override) == (folder, None, None)


def test_a_ratchet_yaml_in_the_working_directory_is_found(folder: Path, environ: dict[str, str]) -> None:
    (folder / "ratchet.yaml").write_text("")

    assert find_project(None, None, environ, folder).config_path == folder / "ratchet.yaml"


def test_a_named_file_goes_before_the_variable_and_the_variable_before_the_default(
    folder: Path, environ: dict[str, str]
) -> None:
    for name in ("ratchet.yaml", "named.yaml", "variable.yaml"):
        (folder / name).write_text("")
    environ["RATCHET_CONFIG"] = "variable.yaml"

    assert find_project("named.yaml", None, environ, folder).config_path == folder / "named.yaml"
    assert find_project(None, None, environ, folder).config_path == folder / "variable.yaml"


def test_paths_resolve_against_the_file_not_the_working_directory(
    folder: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    (folder / "ratchet.yaml").write_text("")

    assert find_project("project/ratchet.yaml", None, environ, tmp_path).folder == folder


def test_a_tilde_is_expanded_because_agents_use_no_shell(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine.yaml").write_text("")

    assert find_project("~/mine.yaml", "~/data", environ, tmp_path).config_path == tmp_path / "home" / "mine.yaml"
    assert find_project(None, "~/data", environ, tmp_path).data_dir_override == tmp_path / "home" / "data"


def test_an_empty_variable_counts_as_unset(folder: Path, environ: dict[str, str]) -> None:
    environ["RATCHET_CONFIG"] = ""

    assert find_project(None, None, environ, folder).config_path is None


@pytest.mark.parametrize("by", ["--config", "RATCHET_CONFIG"])
def test_a_named_file_that_is_missing_says_who_named_it_and_where_it_was_looked_for(
    by: str, folder: Path, environ: dict[str, str]
) -> None:
    named = "nowhere.yaml" if by == "--config" else None
    environ["RATCHET_CONFIG"] = "nowhere.yaml"

    with pytest.raises(ProjectError) as caught:
        find_project(named, None, environ, folder)

    assert by in caught.value.message
    assert str(folder / "nowhere.yaml") in caught.value.message


def test_what_is_no_regular_file_is_refused(folder: Path, environ: dict[str, str], tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe.yaml")
    (folder / "ratchet.yaml").symlink_to(folder / "gone.yaml")

    with pytest.raises(ProjectError, match="is a directory"):
        find_project(".", None, environ, folder)
    with pytest.raises(ProjectError, match="not a regular file"):
        find_project("pipe.yaml", None, environ, folder)
    with pytest.raises(ProjectError, match="cannot be read"):
        find_project(None, None, environ, folder)
    with pytest.raises(ProjectError, match="--config is empty"):
        find_project("", None, environ, folder)
    with pytest.raises(ProjectError, match="--data-dir is empty"):
        find_project(None, "", environ, tmp_path)


def test_a_huge_file_is_not_read_whole(folder: Path, environ: dict[str, str]) -> None:
    with (folder / "ratchet.yaml").open("wb") as file:
        file.truncate(10**12)

    assert find_project(None, None, environ, folder).config_digest
    assert CONFIG_BYTES_MAX < 10**12


def test_a_folder_is_the_same_project_before_and_after_it_gets_a_ratchet_yaml(
    folder: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(folder)
    before = find_project(None, None, environ, folder)
    (folder / "ratchet.yaml").write_text("workers: {count: 1}")
    after = find_project(None, None, environ, folder)

    assert before.key == after.key == find_project("link/ratchet.yaml", None, environ, tmp_path).key
    assert before.config_digest != after.config_digest


def test_another_folder_file_or_data_directory_is_another_project(
    folder: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    for name in ("ratchet.yaml", "dev.yaml"):
        (folder / name).write_text("")
    projects = [
        find_project(None, None, environ, folder),
        find_project("dev.yaml", None, environ, folder),
        find_project(None, "elsewhere", environ, folder),
        find_project(None, None, environ, tmp_path),
    ]

    assert len({project.key for project in projects}) == len(projects)
    assert len({project.runtime_dir for project in projects}) == len(projects)


def test_the_digest_tells_contents_and_data_directories_apart(folder: Path, environ: dict[str, str]) -> None:
    (folder / "ratchet.yaml").write_text("a")
    one = find_project(None, None, environ, folder).config_digest
    other_data_dir = find_project(None, "b", environ, folder).config_digest
    (folder / "ratchet.yaml").write_text("b")
    other_content = find_project(None, None, environ, folder).config_digest

    assert len({one, other_data_dir, other_content}) == 3


def test_the_runtime_directory_is_ours_alone(folder: Path, environ: dict[str, str]) -> None:
    project = find_project(None, None, environ, folder)

    assert project.runtime_dir == Path(environ["XDG_RUNTIME_DIR"], "ratchet", project.key)
    for place in (project.runtime_dir, project.runtime_dir.parent):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert project.control_path.parent == project.lock_path.parent == project.runtime_dir
    assert project.hub_endpoint == f"ipc://{project.runtime_dir}/hub.sock"
    assert find_project(None, None, environ, folder) == project


@pytest.mark.parametrize("base", ["", "relative", "/nonexistent/ratchet-runtime"])
def test_a_useless_xdg_runtime_dir_is_passed_over(base: str, folder: Path, environ: dict[str, str]) -> None:
    project = find_project(None, None, {**environ, "XDG_RUNTIME_DIR": base}, folder)

    assert project.runtime_dir.is_relative_to("/tmp") or project.runtime_dir.is_relative_to("/run/user")
    project.runtime_dir.rmdir()


def test_socket_paths_fit_even_under_a_long_runtime_directory(
    folder: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    base = tmp_path / ("x" * 100)
    base.mkdir(mode=0o700)
    project = find_project(None, None, {**environ, "XDG_RUNTIME_DIR": str(base)}, folder)

    assert len(os.fsencode(project.control_path)) <= SOCKET_PATH_BYTES_MAX
    project.runtime_dir.rmdir()


def test_a_runtime_directory_that_others_may_enter_is_refused(folder: Path, environ: dict[str, str]) -> None:
    parent = Path(environ["XDG_RUNTIME_DIR"], "ratchet")
    parent.mkdir()
    parent.chmod(0o755)

    with pytest.raises(ProjectError, match="0700"):
        find_project(None, None, environ, folder)


def test_a_runtime_directory_that_is_a_symbolic_link_is_refused(
    folder: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    Path(environ["XDG_RUNTIME_DIR"], "ratchet").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ProjectError, match="symbolic link"):
        find_project(None, None, environ, folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_runtime_directory_of_somebody_else_is_refused(folder: Path, environ: dict[str, str]) -> None:
    parent = Path(environ["XDG_RUNTIME_DIR"], "ratchet")
    parent.mkdir(mode=0o700)
    os.chown(parent, 65534, 65534)

    with pytest.raises(ProjectError, match="owns"):
        find_project(None, None, environ, folder)


def test_a_project_survives_pickling(folder: Path, environ: dict[str, str]) -> None:
    project = find_project(None, "data", environ, folder)

    assert pickle.loads(pickle.dumps(project)) == project


def test_importing_it_loads_none_of_the_slow_modules() -> None:
    # The stdio shim imports this module before it may answer anything.
    code = (
        f"import sys; before = set(sys.modules); sys.path.insert(0, {str(ROOT)!r}); import ratchet.project;"
        "print(*(set(sys.modules) - before))"
    )
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)

    assert not {"pathlib", "typing", "re", "dataclasses", "pydantic", "socket"} & set(ran.stdout.split())
