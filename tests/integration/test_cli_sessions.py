"""The command line in a terminal, under Ctrl-C, and when the supervisor goes."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import eventually, started_project
from tests.integration.command_line import SECONDS_MAX, TASKS, CommandLine


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    folder = tmp_path_factory.mktemp("sessions") / "project"
    with started_project(folder, tasks=TASKS, config={"executions": {"grace_seconds": 1}}) as project:
        yield CommandLine(project)


def test_a_run_in_a_terminal_has_a_bar_live_logs_and_coloured_output(cli: CommandLine) -> None:
    session = cli.terminal("run", "steps", "--input", '{"count": 3, "seconds": 0.3}')
    session.expect("step 1  of=3")
    session.expect("1/3 33% after 1")
    assert "completed" not in session.text
    assert session.end() == 0
    assert "\x1b[" in session.raw
    assert '{\n  "steps": 3\n}' in session.text
    assert "completed after" in session.text


def test_no_color_takes_the_colours(cli: CommandLine) -> None:
    cli.run("run", "add", "-i", '{"a": 1}')
    coloured, bare = cli.terminal("executions"), cli.terminal("executions", NO_COLOR="1")
    assert (coloured.end(), bare.end()) == (0, 0)
    assert "\x1b[32m" in coloured.raw
    assert not any(f"\x1b[{code}m" in bare.raw for code in (31, 32, 33, 36))


@pytest.mark.parametrize(("columns", "fits"), [(40, False), (100, True), (200, True)])
def test_tables_fit_the_terminal_where_they_can_and_keep_ids_whole(cli: CommandLine, columns: int, fits: bool) -> None:
    execution_id = cli.run("run", "fail", "--json").json["execution_id"]
    session = cli.terminal("executions", "--limit", "3", columns=columns)
    assert session.end() == 0
    assert execution_id in session.text
    assert (max(map(len, session.text.splitlines())) <= columns) == fits


def test_a_dumb_terminal_gets_plain_text(cli: CommandLine) -> None:
    session = cli.terminal("tasks", TERM="dumb")
    assert session.end() == 0
    assert "\x1b" not in session.raw


def test_ctrl_c_cancels_the_execution_and_says_so(cli: CommandLine) -> None:
    session = cli.terminal("run", "steps", "--input", '{"count": 400}')
    session.expect("step 1")
    session.press_ctrl_c()
    session.expect("cancelling")
    assert session.end() == 130
    assert "cancelled after" in session.text
    shown = cli.run("show", "last", "--json").json
    assert (shown["status"], shown["cancel_requested"]) == ("cancelled", "Ctrl-C at `ratchet run`")


def test_a_second_ctrl_c_leaves_an_execution_that_does_not_stop(cli: CommandLine) -> None:
    session = cli.terminal("run", "stubborn")
    session.expect("started")
    session.press_ctrl_c()
    session.expect("cancelling")
    session.press_ctrl_c()
    assert session.end() == 130
    assert "left " in session.text
    ended = eventually(
        lambda: (found := cli.run("show", "last", "--json").json)["status"] == "cancelled" and found, "it is killed"
    )
    assert ended["attempts"][-1]["stopped_by"] in {"term", "kill"}


def test_a_signal_in_a_pipe_does_the_same(cli: CommandLine) -> None:
    process = cli.start("run", "steps", "--input", '{"count": 400}', "--no-trace")
    assert process.stderr is not None
    with process:
        while "step 1" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS_MAX)
    assert (process.returncode, out) == (130, "")
    assert "cancelled after" in err


@pytest.fixture
def own(tmp_path: Path) -> Iterator[CommandLine]:
    """A supervisor that a test may end."""
    with started_project(tmp_path / "project", tasks=TASKS) as project:
        yield CommandLine(project)


def test_down_lets_a_run_finish_and_its_command_tell_the_output(own: CommandLine) -> None:
    process = own.start("run", "steps", "--input", '{"count": 10, "seconds": 0.2}')
    assert process.stderr is not None
    with process:
        while "step 1" not in process.stderr.readline():
            pass
        down = own.run("down")
        out, _ = process.communicate(timeout=SECONDS_MAX)
    assert (process.returncode, out) == (0, '{\n  "steps": 10\n}\n')
    assert down.code == 0
    assert "has stopped" in down.out
    assert "waiting for" in down.err
    assert own.run("status").code == 3


def test_a_run_whose_supervisor_is_killed_ends_and_says_what_to_do(own: CommandLine) -> None:
    process = own.start("run", "steps", "--input", '{"count": 400}')
    assert process.stderr is not None
    with process:
        while "step 1" not in process.stderr.readline():
            pass
        own.project.stop(signal.SIGKILL)
        out, err = process.communicate(timeout=SECONDS_MAX)
    assert (process.returncode, out) == (3, "")
    assert "has stopped meanwhile" in err
    assert "`ratchet up`" in err


def test_a_restarted_runner_or_log_store_is_not_noticed_by_who_follows(own: CommandLine) -> None:
    process = own.start("run", "steps", "--input", '{"count": 30, "seconds": 0.1}')
    assert process.stderr is not None
    with process:
        while "step 1" not in process.stderr.readline():
            pass
        own.project.kill("task-runner")
        own.project.kill("log-store")
        out, err = process.communicate(timeout=SECONDS_MAX)
    assert (process.returncode, out) == (0, '{\n  "steps": 30\n}\n'), err
    assert "step 30" in err
    assert err.count("step 20  ") <= 1


def test_a_changed_configuration_is_said(own: CommandLine) -> None:
    own.project.configure({"workers": {"count": 1}})
    assert "the configuration has changed" in own.run("status").err
    assert any("configuration has changed" in check["found"] for check in own.run("doctor", "--json").json["checks"])
