"""The command line as a whole: what it refuses, how errors look, what it loads."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ipc.errors import ExpiredError
from ratchet.cli import exits
from ratchet.cli.app import COMMANDS, run_command
from ratchet.cli.exits import ExitCode
from ratchet.errors import ConfigError, InvalidInputError, NotRunningError, QueueFullError, RatchetError
from ratchet.models import Execution, Source, Status
from ratchet.version import VERSION

SECONDS_MAX = 60


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which no supervisor runs, and nothing of the environment that matters."""
    monkeypatch.chdir(tmp_path)
    for name in ("RATCHET_CONFIG", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["down"],
        ["tasks"],
        ["executions"],
        ["show", "last"],
        ["logs", "last"],
        ["trace", "last"],
        ["cancel", "last"],
        ["run", "hello"],
        ["run", "hello", "--no-wait"],
    ],
)
def test_without_a_supervisor_every_command_says_how_to_start_one(
    nowhere: Path, capsys: pytest.CaptureFixture[str], arguments: Sequence[str]
) -> None:
    assert run_command(arguments) == ExitCode.NOT_RUNNING
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: no supervisor runs")
    assert "`ratchet up`" in printed.err

    assert run_command([*arguments, "--json"]) == ExitCode.NOT_RUNNING
    printed = capsys.readouterr()
    assert printed.out == ""
    assert json.loads(printed.err)["error"]["code"] == "not_running"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rum"], "No such command 'rum'"),
        (["run"], "Missing argument 'TASK'"),
        (["run", "hello", "--imput", "{}"], "No such option: --imput"),
        (["run", "hello", "--input", "{oops"], "--input is not JSON"),
        (["run", "hello", "--input", "[]"], "is a JSON object"),
        (["run", "hello", "--wait", "soon"], "is no duration"),
        (["run", "hello", "--metadata", "x"], "KEY=VALUE"),
        (["executions", "--status", "dead"], "completed"),
        (["executions", "--since", "yesterday"], "1h"),
        (["executions", "--limit", "0"], "greater than or equal to 1"),
        (["logs", "last", "--level", "loud"], "warn"),
    ],
)
def test_wrong_arguments_are_usage_errors(
    nowhere: Path, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], words: str
) -> None:
    assert run_command(arguments) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert words in printed.err
    assert "Traceback" not in printed.err


def test_a_usage_error_names_the_help_and_is_json_where_asked(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command(["run"])
    assert "see `ratchet run --help`" in capsys.readouterr().err
    assert run_command(["run", "--json"]) == ExitCode.USAGE
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "usage"


@pytest.mark.parametrize("before", [True, False])
def test_config_is_taken_before_and_after_the_command(
    nowhere: Path, capsys: pytest.CaptureFixture[str], before: bool
) -> None:
    option = ["--config", "missing.yaml"]
    assert run_command([*option, "status"] if before else ["status", *option]) == ExitCode.FAILED
    assert "missing.yaml" in capsys.readouterr().err


def test_what_stands_after_the_command_wins(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(["--config", "before.yaml", "status", "--config", "after.yaml"])
    assert "after.yaml" in capsys.readouterr().err


def test_json_is_taken_before_the_command_too(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--json", "version"]) == 0
    assert json.loads(capsys.readouterr().out)["ratchet"] == VERSION


def test_without_a_command_the_help_lists_them_all(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name, _ in COMMANDS)
    assert "..." not in text.partition("Commands:")[2]


@pytest.mark.parametrize("name", [name for name, _ in COMMANDS])
def test_every_command_takes_config_and_data_dir(nowhere: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run_command([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "--config" in text
    assert "--data-dir" in text
    assert ("--json" in text) == (name not in {"up", "stdio", "worker"})


def test_the_version_is_printed(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out.strip() == VERSION
    assert run_command(["version"]) == 0
    assert f"ratchet {VERSION} (Python " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInputError("x"), ExitCode.USAGE),
        (ConfigError("x"), ExitCode.USAGE),
        (NotRunningError("x"), ExitCode.NOT_RUNNING),
        (QueueFullError("x"), ExitCode.UNAVAILABLE),
        (ExpiredError("x"), ExitCode.UNAVAILABLE),
        (RatchetError("x"), ExitCode.FAILED),
    ],
)
def test_exit_codes_tell_errors_apart(error: RatchetError | ExpiredError, code: ExitCode) -> None:
    assert exits.of_error(error) is code


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.COMPLETED, 0),
        (Status.FAILED, 1),
        (Status.CANCELLED, 130),
        (Status.RUNNING, 124),
        (Status.QUEUED, 124),
    ],
)
def test_exit_codes_tell_how_an_execution_ended(status: Status, code: int) -> None:
    execution = Execution(
        execution_id="a", task_id="t", version="v", status=status, input={}, source=Source(kind="cli"), created_ns=0
    )
    assert exits.of_execution(execution) == code


def python(code: str, folder: Path, **environ: str) -> str:
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS_MAX,
    ).stdout


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("version", {"mcp", "rich", "zmq", "structlog", "uvicorn", "aiosqlite", "yaml"}),
        ("executions", {"mcp", "uvicorn", "aiosqlite", "yaml"}),
    ],
)
def test_a_command_loads_only_what_it_needs(nowhere: Path, command: str, unwanted: set[str]) -> None:
    code = (
        f"import sys; from ratchet.cli.app import run_command; run_command([{command!r}]);"
        f"print(sorted({unwanted!r} & set(sys.modules)))"
    )
    assert python(code, nowhere).splitlines()[-1] == "[]"


def test_a_reader_that_has_enough_is_no_error(nowhere: Path) -> None:
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m ratchet version --json | head -c 1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_completion_is_silent_where_no_supervisor_runs(nowhere: Path) -> None:
    environ = {
        **os.environ,
        "_RATCHET_COMPLETE": "complete_bash",
        "COMP_WORDS": "ratchet run ",
        "COMP_CWORD": "2",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "ratchet"], env=environ, capture_output=True, text=True, check=False, timeout=SECONDS_MAX
    )
    assert (ran.stdout.strip(), ran.stderr) == ("", "")
