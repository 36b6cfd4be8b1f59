"""The whole of an analysis: what is said first, whether to try again, the next call, and that it stays short."""

import json
from pathlib import Path
from typing import Any

import pytest

from ratchet.analysis import CHARACTERS_MAX, TAXONOMY, Analysis, analyze, apply_patch
from ratchet.analysis.size import size_of
from ratchet.errors import RequestError
from ratchet.models import Attempt, Category, ExceptionInfo, Failure, Frame, ProcessEnd, Status
from tests.unit.failing import SECOND, TaskFile, completed, failed, logged, raised, task_of

BILLING = """
class OrderError(Exception):
    pass

def invoice(order):
    return order["total"] * 2

def f(order="A-2"):
    try:
        return invoice({})
    except KeyError as error:
        raise OrderError(f"order {order} has no {error}") from error
"""


def analyzed(failure: Failure | None, given: dict[str, Any] | None = None, **options: Any) -> Analysis:
    execution = failed(failure, given, **options.pop("changes", {}))
    return analyze(execution, task=task_of(execution), **options)


def test_the_cause_comes_first_and_where_it_is(tmp_path: Path):
    analysis = TaskFile(tmp_path, BILLING).analysis("f", {"order": "A-2"}, logs=[logged("billing", order="A-2")])

    assert analysis.summary == (
        "KeyError: 'total' (demo.py:6 in invoice), which surfaced as OrderError: "
        "the task's code did something that Python cannot do."
    )
    assert analysis.error_type == "OrderError"
    assert (analysis.root_cause.type, analysis.root_cause.message) == ("KeyError", "'total'")
    assert analysis.failing_frame is not None
    assert '>    6 |     return order["total"] * 2' in analysis.failing_frame.source_lines
    assert [(one.type, one.relation, one.where) for one in analysis.chain] == [
        ("OrderError", None, "demo.py:12 in f"),
        ("KeyError", "cause", "demo.py:6 in invoice"),
    ]
    assert analysis.last_log_lines == ['info ctx: billing {"order": "A-2"}']
    assert analysis.suggestions[0].kind == "fix_task"
    assert "demo.py:6 in invoice" in analysis.suggestions[0].text
    assert json.loads(analysis.model_dump_json())["category"] == "bug"


def test_the_patched_call_names_the_execution_it_retries():
    analysis = analyzed(raised("retries must be at most 5, got 9"), {"retries": 9, "file": "a"})

    assert analysis.next is not None
    assert analysis.next.tool == "execute_task"
    assert analysis.next.arguments == {
        "task_id": "demo",
        "input": {"retries": 5, "file": "a"},
        "metadata": {"retry_reason": "ValueError", "original_execution": analysis.execution_id},
    }


def test_tools_are_named_as_the_reader_knows_them():
    analysis = analyzed(raised("gone", "ConnectionError"), tool_name="ratchet_{}".format)

    assert analysis.next is not None
    assert analysis.next.tool == "ratchet_execute_task"


def test_an_input_too_long_to_repeat_is_named_instead():
    given = {"retries": 9, "text": "x" * 3_000}

    analysis = analyzed(raised("retries must be at most 5, got 9"), given)

    assert analysis.next is not None
    assert analysis.next.tool == "get_execution_status"
    assert analysis.next.arguments == {"execution_id": analysis.execution_id}
    assert "execute_task" in analysis.next.why
    assert analysis.suggestions[0].patch is not None
    assert apply_patch(given, analysis.suggestions[0].patch)["retries"] == 5


@pytest.mark.parametrize(
    ("failure", "tool", "arguments"),
    [
        (raised("x", "KeyError"), "get_execution_logs", {"level": "warn"}),
        (raised("x"), "list_available_tasks", {"filter": "demo", "include_schemas": True}),
        (raised("x", "Timeout", Category.TIMEOUT), "get_execution_trace", {}),
        (raised("x", "ProcessDied", Category.CRASHED), "get_execution_logs", {}),
        (raised("x", "SyntaxError", Category.TASK_BROKEN), "list_available_tasks", {"filter": "demo"}),
        (raised("x", "WorkerDied", Category.WORKER_LOST), "execute_task", None),
        (raised("x", "VersionChanged", Category.TASK_BROKEN), "execute_task", None),
    ],
)
def test_the_next_call_fits_the_class_of_the_error(failure: Failure, tool: str, arguments: dict[str, Any] | None):
    analysis = analyzed(failure)

    assert analysis.next is not None
    assert analysis.next.tool == tool
    if arguments is not None:
        rest = {name: value for name, value in analysis.next.arguments.items() if name != "execution_id"}
        assert rest == arguments


def test_after_a_cancel_nothing_is_proposed():
    analysis = analyzed(None, changes={"status": Status.CANCELLED, "cancel_requested": "not needed"})

    assert (analysis.category, analysis.next) == ("cancelled", None)
    assert analysis.root_cause.message == "not needed"


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.RUNNING, Status.QUEUED])
def test_without_a_failure_there_is_nothing_to_analyse(status: Status):
    with pytest.raises(RequestError, match="there is no error to analyse"):
        analyzed(None, changes={"status": status})


def test_of_an_execution_that_runs_again_the_last_attempts_failure_is_analysed():
    lost = raised("worker:1 died", "WorkerDied", Category.WORKER_LOST)
    attempts = [Attempt(number=1, fence=1, started_ns=1, failure=lost), Attempt(number=2, fence=2, started_ns=2)]

    analysis = analyzed(None, changes={"status": Status.RUNNING, "attempts": attempts})

    assert analysis.category == "worker_lost"


# --- whether to try again -----------------------------------------------------------------------------------------


def test_every_class_says_whether_to_try_again_and_why():
    for row in TAXONOMY.values():
        assert row.reason.endswith(".")
        assert row.suggestion.endswith(".")


def test_a_task_that_is_not_idempotent_is_not_repeated_without_a_thought():
    once = analyzed(raised("gone", "ConnectionError"))
    harmless = analyzed(raised("gone", "ConnectionError"), changes={"idempotent": True})

    assert once.retryable.value
    assert harmless.retryable.value
    assert "not declared idempotent" in once.retryable.reason
    assert "idempotent" not in harmless.retryable.reason


def test_a_task_that_was_mended_since_is_worth_another_try():
    execution = failed(raised("x", "KeyError"))
    mended = task_of(execution).model_copy(update={"version": "b" * 64})

    analysis = analyze(execution, task=mended)

    assert analysis.retryable.value
    assert "code has changed since" in analysis.retryable.reason
    assert analysis.next is not None
    assert analysis.next.tool == "execute_task"


def test_a_task_that_is_gone_cannot_be_tried_again():
    analysis = analyze(failed(raised("gone", "ConnectionError")), task=None)

    assert not analysis.retryable.value
    assert analysis.next is not None
    assert analysis.next.tool != "execute_task"


def test_what_failed_although_nothing_changed_is_not_the_codes_fault():
    earlier = [completed({"n": 1}, created_ns=1, execution_id="exec_good")]

    analysis = analyzed(raised("flaky", "RuntimeError"), {"n": 1}, earlier=earlier)

    assert analysis.retryable.value
    assert analysis.retryable.reason == (
        "exec_good completed with the same code and input, so the cause lies outside of both."
    )


def test_the_service_says_how_long_to_wait(tmp_path: Path):
    file = TaskFile(
        tmp_path,
        """
        import httpx

        def f():
            request = httpx.Request("GET", "http://api.test/x")
            httpx.Response(429, request=request, headers={"Retry-After": "30"}).raise_for_status()
        """,
    )

    analysis = file.analysis("f")

    assert analysis.category == "rate_limited"
    assert any("Retry-After 30 seconds" in one.text for one in analysis.suggestions)


# --- what ended from outside --------------------------------------------------------------------------------------


def test_of_a_timeout_the_line_where_it_was_is_shown(tmp_path: Path):
    source = "def f():\n    raise InterruptedError('stop')\n"
    stopped = (
        TaskFile(tmp_path, source)
        .failure("f")
        .model_copy(update={"category": Category.TIMEOUT, "message": "it ran longer than 2 s", "type": "Cancelled"})
    )

    analysis = analyzed(stopped)

    assert analysis.category == "timeout"
    assert analysis.root_cause.message == "it ran longer than 2 s"
    assert analysis.root_cause.where == "demo.py:2 in f"


def test_a_death_shows_how_the_process_ended_and_what_that_means():
    end = ProcessEnd(
        process="child", pid=7, signal=9, signal_name="SIGKILL", memory_bytes_max=10**9, last_lines=["loading", "more"]
    )

    analysis = analyzed(raised("killed by SIGKILL", "ProcessDied", Category.CRASHED, process=end))

    assert analysis.process is not None
    assert analysis.process["memory_bytes_max"] == 10**9
    assert analysis.process["last_lines"] == ["loading", "more"]
    assert "when memory runs out" in analysis.suggestions[0].text


def test_a_limit_is_named_as_the_configuration_knows_it():
    details = {"limit": "memory_bytes", "value": 1024}

    analysis = analyzed(raised("", "MemoryError", Category.LIMIT, details=details))

    assert "`limits.memory_bytes` in the configuration, now 1024" in analysis.suggestions[0].text


def test_a_broken_file_is_named_with_its_line():
    details = {"path": "/tasks/demo.py", "line": 3}

    analysis = analyzed(raised("invalid syntax", "SyntaxError", Category.TASK_BROKEN, details=details))

    assert analysis.root_cause.where == "/tasks/demo.py:3"


# --- other executions ---------------------------------------------------------------------------------------------


def test_failures_of_the_same_kind_are_counted_and_named(tmp_path: Path):
    file = TaskFile(tmp_path, BILLING)
    earlier = [
        failed(file.failure("f", order=f"B-{n}"), {"order": f"B-{n}"}, task_id="f", created_ns=n * SECOND)
        for n in range(1, 8)
    ]
    other_task = failed(file.failure("f"), {}, task_id="another", created_ns=1)
    other_bug = failed(raised("quite another"), {}, task_id="f", created_ns=2)

    analysis = file.analysis("f", {"order": "A-2"}, earlier=[*earlier, other_task, other_bug], created_ns=100 * SECOND)

    assert analysis.similar_failures.count == 7
    assert analysis.similar_failures.first_seen == "1970-01-01T00:00:01.000Z"
    assert analysis.similar_failures.execution_ids == [one.execution_id for one in reversed(earlier)][:5]
    assert analysis.similar_failures.same_input == 0


def test_what_was_tried_in_vain_is_not_proposed_again():
    failure = raised("reset", "ConnectionError")
    in_vain = [failed(failure, {"n": 1}, created_ns=number) for number in range(1, 4)]

    analysis = analyzed(failure, {"n": 1}, earlier=in_vain)

    assert analysis.similar_failures.same_input == 3
    assert analysis.next is not None
    assert analysis.next.tool == "get_execution_logs"
    assert any("trying again is not enough" in one.text for one in analysis.suggestions)
    assert analyzed(failure, {"n": 2}, earlier=in_vain).next != analysis.next


def test_a_retry_that_worked_is_named():
    worked = completed({"n": 1}, execution_id="exec_retry", created_ns=10**18)

    analysis = analyzed(raised("reset", "ConnectionError"), {"n": 1}, earlier=[worked])

    assert analysis.similar_failures.later_success == "exec_retry"
    assert "exec_retry completed with the same input" in analysis.retryable.reason


def test_what_changed_since_the_last_success_is_said():
    earlier = [
        completed({"n": 1, "deep": {"a": 1, "b": 2}}, created_ns=2, execution_id="exec_good", version="c" * 64),
        completed({"n": 2}, created_ns=1),
    ]

    analysis = analyzed(raised("x", "KeyError"), {"n": 1, "deep": {"a": 9}}, earlier=earlier)

    changes = analysis.changed_since_last_success
    assert changes is not None
    assert changes.execution_id == "exec_good"
    assert changes.task_version is not None
    assert (changes.task_version.then, changes.task_version.now) == ("c" * 12, "a" * 12)
    assert [(one.path, one.then, one.now) for one in changes.input] == [("/deep/a", 1, 9), ("/deep/b", 2, None)]
    assert changes.summary == (
        "Since exec_good completed, the task's code changed; the input differs at /deep/a (then 1, now 9) and 1 more."
    )
    assert changes.worker is None


def test_a_success_that_came_later_is_not_the_last_one():
    assert analyzed(raised("x"), {}, earlier=[completed({}, created_ns=10**18)]).changed_since_last_success is None


# --- size ---------------------------------------------------------------------------------------------------------


def huge(text: str) -> Failure:
    frames = [Frame(file=f"/tasks/{text}.py", line=n, function=text, source=text, in_task=True) for n in range(50)]
    info = ExceptionInfo(type=text, message=text, frames=frames, notes=[text] * 20, relation="cause")
    end = ProcessEnd(process="child", pid=1, signal=9, last_lines=[text] * 50)
    return Failure(
        category=Category.EXCEPTION, type=text, message=text, chain=[info] * 12, stack_trace=text, process=end
    )


@pytest.mark.parametrize("text", ["x" * 8_000, "é" * 8_000, "\n" * 8_000, '"' * 8_000])
def test_an_analysis_stays_short_whatever_it_is_about(text: str):
    given = {f"key{n}": text for n in range(20)}
    earlier = [completed({f"key{n}": text + "y" for n in range(20)}, created_ns=1)]

    analysis = analyzed(huge(text), given, earlier=earlier, log_tail=[logged(text)] * 100)

    assert size_of(analysis) <= CHARACTERS_MAX
    assert analysis.note is not None
    assert "get_execution_status" in analysis.note


def test_what_fits_is_whole(tmp_path: Path):
    assert TaskFile(tmp_path, BILLING).analysis("f", {"order": "A-2"}).note is None


def test_suggestions_can_be_left_out():
    analysis = analyzed(raised("retries must be at most 5, got 9"), {"retries": 9}, include_suggestions=False)

    assert analysis.suggestions == []
    assert analysis.next is not None
