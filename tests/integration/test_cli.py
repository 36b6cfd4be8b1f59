"""Every command of the command line against a real supervisor, as scripts run it: in a pipe."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipc.credit import WINDOW_ITEMS
from ratchet.bodies.common import Empty
from ratchet.bodies.health import Health
from ratchet.cli.connection import connect
from ratchet.messages import GET_HEALTH
from tests.harness import eventually, started_project
from tests.integration.command_line import SECONDS_MAX, TASKS, CommandLine


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    folder = tmp_path_factory.mktemp("cli") / "project"
    with started_project(folder, tasks=TASKS, config={"executions": {"grace_seconds": 0.5}}) as project:
        yield CommandLine(project)


# --- run ---------------------------------------------------------------------------------------------------------


def test_the_output_alone_is_on_stdout_and_the_log_on_stderr(cli: CommandLine) -> None:
    ran = cli.run_process("run", "steps", "--input", '{"count": 3}')
    assert (ran.code, ran.json) == (0, {"steps": 3})
    assert [f"step {n}  of=3" in ran.err for n in (1, 2, 3)] == [True] * 3
    assert ran.err.index("step 1") < ran.err.index("step 3") < ran.err.index("completed after")
    assert "\x1b" not in ran.out + ran.err


def test_json_prints_the_whole_execution_and_nothing_else(cli: CommandLine) -> None:
    ran = cli.run("run", "add", "--input", '{"a": 1}', "--metadata", "build=7", "--priority", "2", "--json")
    assert (ran.code, ran.err) == (0, "")
    execution = ran.json
    assert (execution["status"], execution["output"]) == ("completed", 2)
    assert (execution["metadata"], execution["priority"]) == ({"build": "7"}, 2)
    assert execution["source"]["kind"] == "cli"


def test_a_failed_task_is_exit_code_1_with_its_cause_on_stderr(cli: CommandLine) -> None:
    ran = cli.run("run", "fail")
    assert (ran.code, ran.out) == (1, "")
    assert "this will not go well" in ran.err
    assert "RuntimeError: the order has no total" in ran.err
    assert "caused by KeyError: 'total'" in ran.err
    assert "basics.py" in ran.err
    told = cli.run("run", "fail", "--json")
    assert (told.code, told.json["failure"]["category"], told.err) == (1, "exception", "")


def test_a_dead_process_is_named(cli: CommandLine) -> None:
    ran = cli.run("run", "crash")
    assert ran.code == 1
    assert "last words" in ran.err
    assert "exited with code 3" in ran.err


def test_input_comes_from_a_file_or_standard_input(cli: CommandLine) -> None:
    (cli.project.folder / "input.json").write_text('{"a": 20, "b": 22}')
    assert cli.run("run", "add", "--input", "@input.json").json == 42
    assert cli.run("run", "add", "-i", "-", given='{"a": 4}').json == 5


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing"], "unknown_task", "`ratchet tasks`"),
        (["add", "--input", '{"a": "one"}'], "invalid_input", "input.a"),
        (["add"], "invalid_input", "input.a is required"),
    ],
)
def test_a_request_that_cannot_be_met_is_a_usage_error(
    cli: CommandLine, arguments: list[str], code: str, words: str
) -> None:
    ran = cli.run("run", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    told = cli.run("run", *arguments, "--json")
    assert (told.code, json.loads(told.err)["error"]["code"]) == (2, code)


def test_the_same_idempotency_key_is_the_same_execution(cli: CommandLine) -> None:
    first, second = (cli.run("run", "add", "-i", '{"a": 1}', "--idempotency-key", "once", "--json").json for _ in "12")
    assert first["execution_id"] == second["execution_id"]


def test_a_wait_that_is_over_leaves_the_execution_running(cli: CommandLine) -> None:
    ran = cli.run("run", "steps", "-i", '{"count": 400}', "--wait", "300ms")
    assert (ran.code, ran.out) == (124, "")
    assert "the execution goes on" in ran.err
    execution_id = cli.run("executions", "--status", "running", "--json").json["executions"][0]["execution_id"]
    cancelled = cli.run("cancel", execution_id[-8:], "--reason", "enough", "--json").json
    assert (cancelled["status"], cancelled["cancel_requested"]) == ("cancelled", "enough")
    assert "had ended before: cancelled" in cli.run("cancel", execution_id).out


def test_no_wait_prints_the_id_alone(cli: CommandLine) -> None:
    ran = cli.run("run", "add", "-i", '{"a": 1}', "--no-wait")
    execution_id = ran.out.strip()
    assert (ran.code, ran.err) == (0, "")
    shown = eventually(
        lambda: (found := cli.run("show", execution_id, "--json").json)["status"] == "completed" and found, "it ends"
    )
    assert shown["output"] == 2


def test_output_that_would_drive_a_terminal_does_not(cli: CommandLine) -> None:
    ran = cli.run("run", "shout")
    assert ran.json == "\x1b[31mred"
    assert "\x1b" not in ran.out + ran.err
    assert "\x07" not in ran.err
    assert "cleared" in ran.err


# --- reading -----------------------------------------------------------------------------------------------------


def test_tasks_are_listed_and_broken_files_with_their_error(cli: CommandLine) -> None:
    ran = cli.run("tasks")
    assert ran.code == 0
    assert "add       Add two numbers." in ran.out
    assert "✗ tasks/broken.py:1  SyntaxError" in ran.out
    told = cli.run("tasks", "sums", "--json").json
    assert [task["task_id"] for task in told["tasks"]] == ["add"]
    assert "input_schema" not in told["tasks"][0]
    assert told["broken"][0]["error_type"] == "SyntaxError"
    schemas = cli.run("tasks", "add", "--schemas", "--json").json["tasks"][0]
    assert schemas["input_schema"]["required"] == ["a"]
    assert '"required"' in cli.run("tasks", "add", "--schemas").out


def test_executions_are_filtered_and_never_cut(cli: CommandLine) -> None:
    failed = cli.run("run", "fail", "--json").json["execution_id"]
    cli.run("run", "add", "-i", '{"a": 1}')
    ran = cli.run("executions", "--status", "failed", "--task", "fail", "--since", "1h", "--limit", "1", COLUMNS="40")
    header, row = ran.out.splitlines()
    assert header.startswith("ID")
    assert row.startswith(f"{failed}  fail  failed")
    assert row.endswith("RuntimeError: the order has no total")
    assert cli.run("executions", "--since", "2100-01-01").out == "no executions\n"


def test_an_execution_is_shown_by_the_end_of_its_id_or_last(cli: CommandLine) -> None:
    execution_id = cli.run("run", "fail", "--json").json["execution_id"]
    lines = cli.run("show", execution_id[-9:]).out.splitlines()
    assert lines[0].startswith(f"fail  {execution_id}  failed")
    assert lines[2] == "RuntimeError: the order has no total"
    assert cli.run("show", "last").out.splitlines()[0].startswith(f"fail  {execution_id}")
    assert cli.run("show", "last", "--json").json["execution_id"] == execution_id


@pytest.mark.parametrize("command", ["show", "logs", "trace", "cancel"])
def test_an_unknown_execution_is_a_usage_error(cli: CommandLine, command: str) -> None:
    ran = cli.run(command, "zzzz")
    assert (ran.code, ran.out) == (2, "")
    assert "'zzzz'" in ran.err
    assert "`ratchet executions`" in ran.err


def test_a_log_is_filtered_searched_and_read_from_its_end(cli: CommandLine) -> None:
    cli.run("run", "chatter")
    whole = cli.run("logs", "last")
    assert [line.split()[-1] for line in whole.out.splitlines()] == [str(n) for n in range(1200)]
    assert whole.err == ""
    tail = cli.run("logs", "last", "--tail", "2")
    assert [line.split()[-1] for line in tail.out.splitlines()] == ["1198", "1199"]
    assert "2 of 1200 records (1200 info)" in tail.err
    assert len(cli.run("logs", "last", "--tail", "700").out.splitlines()) == 700
    found = cli.run("logs", "last", "--search", "ROW 77", "--json").json
    assert [record["message"] for record in found["records"]] == ["row 77", *(f"row 77{n}" for n in range(10))]
    assert found["counts"]["info"] == 1200
    assert cli.run("logs", "last", "--level", "warn").out == ""


def test_a_log_is_followed_live_until_the_execution_is_over(cli: CommandLine, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    submitted = cli.run("run", "talk", "-i", json.dumps({"until": str(gate)}), "--no-wait")
    with cli.start("logs", "-f", submitted.out.strip(), "--json") as following:
        assert following.stdout is not None
        first = json.loads(following.stdout.readline())
        assert (first["message"], first["context"]) == ("waiting", {"number": 1})
        gate.touch()
        out = following.stdout.read()
    assert [json.loads(line)["context"]["number"] for line in out.splitlines()] == [2, 3, 4]
    assert following.returncode == 0
    again = cli.run("logs", "--follow", "last", "--tail", "3", "--level", "warn")  # one that is over ends at once
    assert [line.split("number=")[1] for line in again.out.splitlines()] == ["2", "3", "4"]
    assert cli.run("logs", "-f", "last", "--search", "nothing like it").out == ""


def test_a_stopped_reader_of_a_log_slows_nobody_and_costs_bounded_memory(cli: CommandLine) -> None:
    lines = 12_000
    cli.run("run", "chatter", "-i", json.dumps({"lines": lines}))
    before = asyncio.run(health(cli))
    with cli.start("logs", "-f", "last") as stopped:
        assert stopped.stdout is not None
        first = stopped.stdout.readline()
        stopped.send_signal(signal.SIGSTOP)
        try:
            quick = cli.run("logs", "-f", "last").out.splitlines()
            assert [int(line.rsplit(" ", 1)[1]) for line in quick] == list(range(lines))
            assert cli.run("run", "add", "-i", '{"a": 1}').json == 2
            now = asyncio.run(health(cli))
            [queued] = [
                peer.queued_envelopes
                for peer in now["task-runner"].peers
                if peer.name.startswith(f"cli:{stopped.pid}-")
            ]
            assert queued <= WINDOW_ITEMS
            for actor in now:
                assert now[actor].memory_bytes - before[actor].memory_bytes < 16 * 1024 * 1024, actor
        finally:
            stopped.send_signal(signal.SIGCONT)
        rest = stopped.stdout.read()  # not `communicate`, which forgets what `readline` has read ahead
    assert stopped.returncode == 0
    assert [int(line.rsplit(" ", 1)[1]) for line in (first + rest).splitlines()] == list(range(lines))


async def health(cli: CommandLine) -> dict[str, Health]:
    async with connect(cli.project.project) as client:
        return {name: await client.call(GET_HEALTH, Empty(), target=name) for name in ("task-runner", "log-store")}


def test_an_empty_log_says_so_beside_the_output(cli: CommandLine) -> None:
    cli.run("run", "add", "-i", '{"a": 1}')
    ran = cli.run("logs", "last")
    assert (ran.code, ran.out) == (0, "")
    assert "no log records" in ran.err


def test_a_trace_is_a_waterfall_with_its_critical_path(cli: CommandLine) -> None:
    cli.run("run", "steps", "-i", '{"count": 3}')
    ran = cli.run("trace", "last")
    rows = ran.out.splitlines()[2:6]
    assert [row.split()[:2] for row in rows] == [["◆", "steps"], *[["◆", "step"]] * 3]
    assert all("█" in row for row in rows)
    assert "critical path" in ran.out
    told = cli.run("trace", "last", "--json").json
    assert len(told["spans"]) == told["spans_total"] == 4
    assert [step["name"] for step in told["critical_path"]].count("step") == 3
    assert told["bottlenecks"][0]["name"] == "step"


def test_an_untraced_execution_says_why_it_has_no_waterfall(cli: CommandLine) -> None:
    cli.run("run", "steps", "--no-trace")
    ran = cli.run("trace", "last")
    assert ran.code == 0
    assert "was not traced" in ran.out or "█" in ran.out  # the root span may be kept


# --- the supervisor ------------------------------------------------------------------------------------------------


def test_the_status_shows_every_actor(cli: CommandLine) -> None:
    ran = cli.run("status")
    assert ran.code == 0
    assert all(name in ran.out for name in ("task-runner", "log-store", "trace-store", "worker:1", "mcp-front"))
    assert "of 8 slots busy" in ran.out
    told = cli.run("status", "--json").json
    assert told["supervisor"]["mode"] == "up"
    assert {child["state"] for child in told["supervisor"]["children"]} == {"running"}
    assert told["health"]["slots"] == 8


def test_the_doctor_finds_the_broken_file_and_nothing_else(cli: CommandLine) -> None:
    ran = cli.run("doctor", "--json")
    assert ran.code == 1
    failed = [check for check in ran.json["checks"] if check["outcome"] == "failed"]
    assert [check["name"] for check in failed] == ["task file"]
    assert "broken.py:1: SyntaxError" in failed[0]["found"]
    text = cli.run("doctor").out
    assert "✓ supervisor" in text
    assert "(the supervisor's)" in text


def test_a_second_up_is_refused_with_what_to_do(cli: CommandLine) -> None:
    ran = cli.run_process("up")
    assert ran.code == 1
    assert "up already" in ran.err


def test_the_project_is_found_from_elsewhere_by_its_configuration(cli: CommandLine) -> None:
    elsewhere = cli.project.folder / "tasks"
    command = cli.command("--config", str(cli.project.config_path), "status", "--json")
    ran = subprocess.run(
        command, cwd=elsewhere, env=cli.environ({}), capture_output=True, text=True, check=True, timeout=SECONDS_MAX
    )
    assert json.loads(ran.stdout)["supervisor"]["pid"] == cli.project.pid


@pytest.mark.parametrize(
    ("words", "offered"), [("ratchet run a", ["add"]), ("ratchet show la", ["last"]), ("ratchet run zz", [])]
)
def test_the_shell_completes_tasks_and_executions(cli: CommandLine, words: str, offered: list[str]) -> None:
    count = len(words.split()) - 1
    ran = cli.run_process(_RATCHET_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(count))
    assert (ran.out.split(), ran.err) == (offered, "")
