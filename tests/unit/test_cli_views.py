"""How executions, failures, tasks, log records and the supervisor look."""

from pathlib import Path
from typing import Any

from ratchet.bodies.executions import Catalogue
from ratchet.bodies.health import Health
from ratchet.cli.execution_view import execution_details, execution_list, outcome
from ratchet.cli.failure_view import failure_blocks
from ratchet.cli.log_view import counts_line, record_blocks
from ratchet.cli.render import plain
from ratchet.cli.status_view import status_blocks
from ratchet.cli.task_view import catalogue_blocks
from ratchet.models import (
    Attempt,
    BrokenFile,
    Category,
    ExceptionInfo,
    Execution,
    Failure,
    Frame,
    LogRecord,
    ProcessEnd,
    Progress,
    Source,
    Status,
    Task,
)
from ratchet.supervision.states import State
from ratchet.supervision.status import ChildStatus, LastExit, SupervisorStatus

NOW = 1_780_000_000 * 10**9
SECOND = 10**9

FAILURE = Failure(
    category=Category.EXCEPTION,
    type="shop.OrderError",
    message="order A-2 has no total",
    chain=[
        ExceptionInfo(
            type="shop.OrderError",
            message="order A-2 has no total",
            frames=[
                Frame(file="/lib/runtime.py", line=10, function="call"),
                Frame(file="/tasks/shop.py", line=31, function="bill", source="  raise OrderError(1)", in_task=True),
            ],
            notes=["seen while billing"],
        ),
        ExceptionInfo(type="KeyError", message="'total'", relation="cause"),
    ],
)


def execution(**changes: Any) -> Execution:
    facts: dict[str, Any] = {
        "execution_id": "aaaa1111",
        "task_id": "bill-order",
        "version": "v1",
        "status": Status.COMPLETED,
        "input": {"order": "A-1"},
        "output": {"owed": 12.5},
        "source": Source(kind="cli"),
        "created_ns": NOW - 10 * SECOND,
        "started_ns": NOW - 9 * SECOND,
        "ended_ns": NOW - 5 * SECOND,
    }
    return Execution(**{**facts, **changes})


def test_a_failure_is_shown_before_everything_else() -> None:
    attempt = Attempt(number=1, fence=1, worker="worker:1", pid=7, started_ns=NOW, failure=FAILURE, stopped_by="kill")
    text = plain(
        execution_details(execution(status=Status.FAILED, output=None, failure=FAILURE, attempts=[attempt]), now_ns=NOW)
    )
    lines = text.splitlines()
    assert lines[0] == "bill-order  aaaa1111  failed  4.00 s"
    assert lines[2] == "shop.OrderError: order A-2 has no total"
    assert text.index("order A-2 has no total") < text.index("version") < text.index("input")
    assert "output" not in text
    assert "worker:1 pid 7  exception  stopped by kill" in text
    assert lines[-1] == "ratchet logs aaaa1111  ratchet trace aaaa1111"


def test_an_end_that_came_too_late_is_told_of() -> None:
    late = Attempt(number=1, fence=1, worker="worker:gpu.1", started_ns=NOW, late_ns=NOW, late_end="it completed")
    text = plain(execution_details(execution(attempts=[late]), now_ns=NOW))
    assert "worker:gpu.1  its end came too late and was refused: it completed" in text


def test_an_attempt_in_another_version_names_it() -> None:
    first, second = (
        Attempt(number=number, fence=number, version=version, started_ns=NOW)
        for number, version in ((1, "0123456789abcdef"), (2, execution().version))
    )
    text = plain(execution_details(execution(attempts=[first, second]), now_ns=NOW))
    assert text.count("  version 0123456789ab") == 1
    assert [one for one in text.splitlines() if one.startswith("  2 ") and "version" in one] == []


def test_a_completed_execution_has_its_input_and_output() -> None:
    text = plain(execution_details(execution(metadata={"build": "7"}, priority=3), now_ns=NOW))
    assert '"order": "A-1"' in text
    assert '"owed": 12.5' in text
    assert "build=7" in text
    assert "attempts" not in text


def test_a_running_execution_says_how_to_go_on() -> None:
    running = execution(
        status=Status.RUNNING,
        ended_ns=None,
        progress=Progress(current=3, total=10, message="rows", at_ns=NOW),
        cancel_requested="enough",
    )
    text = plain(execution_details(running, now_ns=NOW))
    assert "3/10 30% rows" in text
    assert "enough" in text
    assert "ratchet cancel aaaa1111" in text


def test_a_cancel_without_a_reason_is_shown_too() -> None:
    assert "requested" in plain(execution_details(execution(cancel_requested=""), now_ns=NOW))


def test_a_failure_names_frames_causes_and_notes() -> None:
    text = plain(failure_blocks(FAILURE))
    assert "  /tasks/shop.py:31 in bill" in text
    assert "raise OrderError(1)" in text
    assert "caused by KeyError: 'total'" in text
    assert "seen while billing" in text


def test_a_dead_process_is_described_with_its_last_words() -> None:
    end = ProcessEnd(
        process="child",
        pid=99,
        signal=9,
        signal_name="SIGKILL",
        cpu_seconds=1.5,
        memory_bytes_max=2**30,
        last_lines=["about to die"],
    )
    failure = Failure(category=Category.CRASHED, type="ProcessDied", message="killed by SIGKILL", process=end)
    text = plain(failure_blocks(failure))
    assert "child (pid 99) killed by SIGKILL (not sent by Ratchet), CPU 1.50 s, memory at most 1.0 GiB" in text
    assert "  about to die" in text


def test_our_own_kill_names_its_rung() -> None:
    end = ProcessEnd(process="child", pid=99, signal=15, signal_name="SIGTERM", sent_by="term")
    failure = Failure(category=Category.TIMEOUT, type="Timeout", message="over", process=end)
    assert "killed by SIGTERM (sent by Ratchet: term)" in plain(failure_blocks(failure))


def test_an_exit_code_is_shown_and_an_unknown_end_admitted() -> None:
    by_code = ProcessEnd(process="child", pid=1, exit_code=3)
    unknown = ProcessEnd(process="zygote", pid=1)
    for end, words in ((by_code, "exited with code 3"), (unknown, "ended in an unknown way")):
        failure = Failure(category=Category.CRASHED, type="X", message="", process=end)
        assert words in plain(failure_blocks(failure))
        assert "(no message)" in plain(failure_blocks(failure))


def test_problems_of_an_input_are_listed_and_odd_details_ignored() -> None:
    problems = {"problems": [{"path": "input.rows", "message": "is required"}]}
    failure = Failure(category=Category.INVALID_INPUT, type="InvalidInput", message="1 problem", details=problems)
    assert "  input.rows is required" in plain(failure_blocks(failure))
    odd = failure.model_copy(update={"details": {"problems": "none of your business"}})
    assert plain(failure_blocks(odd)).count("\n") == 1


def test_a_stack_trace_stands_in_for_a_missing_chain() -> None:
    failure = Failure(category=Category.TASK_BROKEN, type="SyntaxError", message="bad", stack_trace="line 1\nline 2")
    assert "  line 2" in plain(failure_blocks(failure))


def test_the_list_has_a_row_an_execution_with_its_detail() -> None:
    rows = [
        execution(),
        execution(execution_id="bbbb", status=Status.FAILED, failure=FAILURE),
        execution(execution_id="cccc", status=Status.QUEUED, started_ns=None, ended_ns=None, waiting_for="slots busy"),
        execution(execution_id="dddd", status=Status.RUNNING, ended_ns=None, progress=Progress(current=5, at_ns=NOW)),
    ]
    lines = plain(execution_list(rows, now_ns=NOW)).splitlines()
    assert [line.split()[0] for line in lines] == ["ID", "aaaa1111", "bbbb", "cccc", "dddd"]
    assert lines[2].endswith("shop.OrderError: order A-2 has no total")
    assert lines[3].endswith("slots busy")
    assert lines[4].endswith("  5")
    assert "9.00 s" in lines[4]


def test_an_empty_list_says_so() -> None:
    assert plain(execution_list([], now_ns=NOW)) == "no executions"


def test_an_outcome_is_one_line() -> None:
    assert plain([outcome(execution())]) == "completed after 4.00 s"
    assert plain([outcome(execution(status=Status.CANCELLED, started_ns=None))]) == "cancelled"


def test_a_log_record_has_time_level_message_and_context() -> None:
    record = LogRecord(sequence=1, at_ns=NOW, level="warn", logger="ctx", message="careful\nnow", context={"row": 7})
    first, second = plain(record_blocks([record])).splitlines()
    assert first[12:] == " WARN  careful  row=7"
    assert second == "    now"


def test_a_log_record_of_another_logger_names_it_and_its_error() -> None:
    error = ExceptionInfo(type="ValueError", message="bad")
    record = LogRecord(sequence=1, at_ns=NOW, level="error", logger="httpx", message="failed", error=error)
    text = plain(record_blocks([record]))
    assert "ERROR httpx: failed" in text
    assert "    ValueError: bad" in text
    traced = record.model_copy(update={"stack_trace": "Traceback\n  here"})
    assert "      here" in plain(record_blocks([traced]))


def test_the_rest_of_a_log_is_counted_by_level() -> None:
    counts = {"trace": 0, "debug": 0, "info": 5, "warn": 2, "error": 0}
    assert plain([counts_line(counts, 3)]) == "3 of 7 records (5 info, 2 warn)"


def task(**changes: Any) -> Task:
    facts: dict[str, Any] = {
        "task_id": "bill-order",
        "function": "bill_order",
        "path": "/work/tasks/shop.py",
        "version": "0123456789abcdef",
        "description": "Bill an order.\n\nLonger.",
        "input_schema": {"type": "object"},
        "tags": ["shop", "money"],
    }
    return Task(**{**facts, **changes})


BROKEN = BrokenFile(path="/work/tasks/bad.py", error_type="SyntaxError", message="invalid syntax", line=3)


def test_tasks_are_listed_and_broken_files_with_their_error() -> None:
    text = plain(catalogue_blocks(Catalogue(tasks=[task()], broken=[BROKEN]), folder=Path("/work")))
    assert "bill-order  Bill an order.  shop, money  tasks/shop.py" in text
    assert "✗ tasks/bad.py:3  SyntaxError: invalid syntax" in text


def test_only_broken_files_are_worth_a_list_too() -> None:
    text = plain(catalogue_blocks(Catalogue(tasks=[], broken=[BROKEN]), folder=Path("/elsewhere")))
    assert text.startswith("broken files\n✗ /work/tasks/bad.py:3")


def test_schemas_are_shown_on_request() -> None:
    found = Catalogue(tasks=[task(output_schema={"type": "string"})], broken=[])
    text = plain(catalogue_blocks(found, folder=Path("/work"), schemas=True))
    assert '"type": "object"' in text
    assert '"type": "string"' in text


def test_no_tasks_at_all_says_what_to_do() -> None:
    assert "ratchet init" in plain(catalogue_blocks(Catalogue(tasks=[], broken=[]), folder=Path("/work")))


def supervisor(**changes: Any) -> SupervisorStatus:
    exit_ = LastExit(
        pid=5, incarnation="x", exit_code=None, signal=9, cpu_seconds=0.1, memory_bytes_max=1000, at_ns=NOW
    )
    facts: dict[str, Any] = {
        "project": "/work",
        "config_path": None,
        "config_digest": "d",
        "data_dir": "/data",
        "version": "0.1.0",
        "pid": 42,
        "mode": "up",
        "uptime_seconds": 61,
        "draining": False,
        "busy": False,
        "addresses": ["http://127.0.0.1:8090/mcp"],
        "children": [
            ChildStatus(
                name="task-runner", state=State.RUNNING, pid=43, uptime_seconds=60, restarts=1, last_exit=exit_
            ),
            ChildStatus(name="worker:1", state=State.FAILED, error="no such interpreter"),
        ],
        "clients": 2,
        "warnings": ["mcp.servers are not used yet"],
    }
    return SupervisorStatus(**{**facts, **changes})


def test_the_status_names_every_actor_and_what_is_wrong_with_it() -> None:
    health = Health(
        name="task-runner",
        version="0.1.0",
        pid=43,
        uptime_seconds=60,
        memory_bytes=1,
        executions={"running": 2, "input_required": 1, "queued": 0},
        slots=8,
        slots_busy=3,
        tasks=4,
        broken_files=1,
    )
    text = plain(status_blocks(supervisor(), health))
    assert text.startswith("Ratchet 0.1.0 up  pid 42  for 1 m 01 s")
    assert "http://127.0.0.1:8090/mcp" in text
    assert "mcp.servers are not used yet" in text
    assert "2 running, 1 input required; 3 of 8 slots busy" in text
    assert "4, 1 broken files" in text
    assert "SIGKILL" in text
    assert "no such interpreter" in text


def test_a_runner_that_does_not_answer_is_part_of_the_status() -> None:
    text = plain(status_blocks(supervisor(draining=True, addresses=[]), None))
    assert "draining" in text
    assert "the task-runner does not answer" in text
    assert "no port is open" in text
