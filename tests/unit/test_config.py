"""From a project to its configuration: defaults, places, the environment, and everything that is wrong at once."""

import json
import os
import pickle
import sys
from pathlib import Path

import pytest

from ratchet.config import Config, load_config
from ratchet.errors import ConfigError
from ratchet.project import find_project

KEY = "an-api-key-of-sufficient-length"


class Place:
    """A project folder to write a configuration into."""

    def __init__(self, base: Path) -> None:
        self.folder = base / "my project"
        self.folder.mkdir()
        (base / "run").mkdir(mode=0o700)
        self.file = self.folder / "ratchet.yaml"
        self.environ = {"HOME": str(base / "home"), "XDG_RUNTIME_DIR": str(base / "run"), "PATH": os.defpath}

    def load(self, content: str | None = None, data_dir: str | None = None, **environ: str) -> Config:
        if content is not None:
            self.file.write_text(content)
        project = find_project(None, data_dir, self.environ, self.folder)
        return load_config(project, environ={**self.environ, **environ})

    def refusal(self, content: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            self.load(content, **environ)
        return [line.removeprefix(f"{self.folder}/") for line in caught.value.message.splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_a_file_everything_has_a_default(place: Place, tmp_path: Path) -> None:
    config = place.load()

    assert config.tasks.paths == (place.folder / "tasks",)
    assert config.tasks.python == Path(sys.executable)
    assert config.data_dir.parent == tmp_path / "home/.local/share/ratchet"
    assert config.data_dir.name.startswith("my-project-")
    assert (config.workers.count, config.workers.children) == (2, 4)
    assert config.limits.memory_bytes == 2**30
    assert config.mcp.server.address == ("127.0.0.1", 8090)
    assert config.mcp.server.serves_http


def test_a_missing_task_folder_is_a_warning_and_an_existing_one_is_none(place: Place) -> None:
    assert ["ratchet init" in warning for warning in place.load().warnings] == [True]
    (place.folder / "tasks").mkdir()
    assert place.load().warnings == ()


def test_a_section_left_empty_has_its_defaults(place: Place) -> None:
    assert place.load("workers:\nlimits:\n  cpu_seconds:\nmcp:\n  server:\n") == place.load("")


def test_the_data_directory_is_named_in_this_order(place: Place, tmp_path: Path) -> None:
    assert place.load("data_dir: ./data", data_dir="other").data_dir == place.folder / "other"
    assert place.load("data_dir: ./data").data_dir == place.folder / "data"
    assert place.load("data_dir: ~/data").data_dir == tmp_path / "home" / "data"
    assert place.load("", XDG_DATA_HOME="/xdg").data_dir.parent == Path("/xdg/ratchet")
    assert place.load("", XDG_DATA_HOME="not/absolute").data_dir.is_relative_to(tmp_path / "home")


def test_projects_of_one_name_have_different_data_directories(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()

    assert Place(tmp_path / "a").load().data_dir.name != Place(tmp_path / "b").load().data_dir.name


def test_units_are_understood(place: Place) -> None:
    config = place.load("limits: {memory_bytes: 128 MiB, cpu_seconds: 2m}\nmcp: {server: {wait_seconds_max: 90s}}")

    assert (config.limits.memory_bytes, config.limits.cpu_seconds) == (128 * 2**20, 120.0)
    assert config.mcp.server.wait_seconds_max == 90.0


def test_paths_are_relative_to_the_file_and_named_once(place: Place, tmp_path: Path) -> None:
    config = place.load("tasks: {paths: [./jobs, jobs, ../shared/, /abs/../srv]}")

    assert config.tasks.paths == (place.folder / "jobs", tmp_path / "shared", Path("/srv"))


def test_files_where_folders_belong_are_refused(place: Place) -> None:
    (place.folder / "file").write_text("")

    assert place.refusal("data_dir: file\ntasks:\n  paths:\n    - .\n    - file\n") == [
        f"ratchet.yaml:1: data_dir: must be a folder; {place.folder}/file is a file",
        f"ratchet.yaml:5: tasks.paths[1]: must be a folder; {place.folder}/file is a file",
    ]


def test_the_interpreter_is_a_path_or_a_name_on_the_search_path(place: Place) -> None:
    python = place.folder / "venv" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)

    # A virtual environment's python is a link, and works only by its own name.
    assert place.load("tasks: {python: venv/python}").tasks.python == python
    assert place.load("tasks: {python: sh}").tasks.python.name == "sh"
    assert "python is not there" in place.refusal("tasks: {python: gone/python}")[0]
    (place.folder / "plain").write_text("")
    assert "plain is not executable" in place.refusal("tasks: {python: ./plain}")[0]
    assert "is a folder" in place.refusal("tasks: {python: ./venv}")[0]


def test_the_environment_fills_in_any_value(place: Place) -> None:
    content = 'workers: {count: "${N}", children: "${M:-7}"}\nmcp: {server: {bind_address: "localhost:${PORT}"}}'
    config = place.load(content, N="3", PORT="99")

    assert (config.workers.count, config.workers.children) == (3, 7)
    assert config.mcp.server.bind_address == "localhost:99"


def test_an_unset_variable_names_itself_the_key_and_the_line(place: Place) -> None:
    said = place.refusal("\nworkers:\n  count: ${WORKERS}\n")

    assert len(said) == 1
    assert said[0].startswith("ratchet.yaml:3: workers.count: the environment variable WORKERS is not set")


def test_everything_that_is_wrong_is_said_at_once_in_the_files_order(place: Place) -> None:
    said = place.refusal(
        "workers:\n  children: 0\n  cuont: 3\nlimits:\n  open_files: 2.5\n  cpu_seconds: yes\n  file_bytes: lots\n"
        "logging: {level: inof}\nbind_address: x\nsupervisor: 5\ntasks:\n  env: [A-B]\n"
        "mcp:\n  server:\n    bind_address: 8090\n    enabled: perhaps\n"
    )

    assert "\n".join(said) == (
        "ratchet.yaml:2: workers.children: must be at least 1; given 0\n"
        "ratchet.yaml:3: workers.cuont: unknown key; did you mean count?\n"
        "ratchet.yaml:5: limits.open_files: must be a whole number; given 2.5\n"
        "ratchet.yaml:6: limits.cpu_seconds: must be a number, not yes or no; given true\n"
        "ratchet.yaml:7: limits.file_bytes: must be a number of bytes such as 1048576, or an amount such as 512 MiB; "
        "given 'lots'\n"
        "ratchet.yaml:8: logging.level: must be 'debug', 'info', 'warning' or 'error' (did you mean info?); "
        "given 'inof'\n"
        "ratchet.yaml:9: bind_address: unknown key here; it belongs at mcp.server.bind_address\n"
        "ratchet.yaml:10: supervisor: must be a mapping, its keys indented below it; given 5\n"
        "ratchet.yaml:12: tasks.env[0]: must be the name of an environment variable: letters, digits, underscores; "
        "given 'A-B'\n"
        "ratchet.yaml:15: mcp.server.bind_address: must be text (put it in quotes); given 8090\n"
        "ratchet.yaml:16: mcp.server.enabled: must be true or false; given 'perhaps'"
    )


def test_problems_are_listed_for_programs_too(place: Place) -> None:
    with pytest.raises(ConfigError) as caught:
        place.load("workers: {count: 99}")

    assert caught.value.details["problems"] == [
        {"file": str(place.file), "line": 1, "key": "workers.count", "message": "must be at most 64; given 99"}
    ]


@pytest.mark.parametrize("content", ["limits: {timeout_seconds: 0}", "limits: {timeout_seconds: .nan}", "data_dir: ''"])
def test_useless_values_are_refused(content: str, place: Place) -> None:
    assert "must" in place.refusal(content)[0]


def test_two_names_of_one_limit_agree(place: Place) -> None:
    server = "mcp: {server: {security: {max_execution_time: 60}, performance: {execution_queue_size: 7}}}\n"
    config = place.load(server)

    assert (config.limits.timeout_seconds, config.executions.queue_size) == (60.0, 7)
    assert place.load("limits: {timeout_seconds: 60}").mcp.server.security.max_execution_time == 60.0
    assert place.load(server + "limits: {timeout_seconds: 1m}") == config
    assert "contradicts limits.timeout_seconds: 61" in place.refusal(server + "limits: {timeout_seconds: 61}")[0]


def test_a_configuration_can_be_pickled_and_dumped(place: Place) -> None:
    config = place.load()

    assert pickle.loads(pickle.dumps(config)) == config
    assert pickle.loads(pickle.dumps(config)).warnings == config.warnings
    assert json.loads(config.model_dump_json())["logging"] == {"level": "info"}
