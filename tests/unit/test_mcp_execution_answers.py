"""Executions as answers: cause first, small, whole for programs, with the next call."""

import json
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
from mcp_types import TextContent

from actors.mcp_front.answers import execution_answers, listing_answers
from actors.mcp_front.answers.answer import STRUCTURED_BYTES_MAX, TEXT_CHARACTERS_MAX, Answer
from actors.mcp_front.answers.failures import internal, refusal, unanswered
from actors.mcp_front.links import Links
from actors.mcp_front.naming import ToolNames
from actors.mcp_front.tools.table import TOOLS
from actors.mcp_front.wording import Wording
from ipc.errors import ExpiredError, TooLargeError
from ratchet.errors import ForbiddenError, InvalidInputError, QueueFullError, UnknownExecutionError
from ratchet.models import Attempt, Category, ExceptionInfo, NextAttempt, ProcessEnd, Progress, Status
from tests.unit.mcp_examples import MS, START_NS, WORDING, execution, failure

RESULT_BYTES_MAX = 256 * 1024


def checked(tool: str, answer: Answer) -> Answer:
    """The answer, which fits the tool's schema, a context window and the wire."""
    jsonschema_rs.validate(TOOLS[tool].output_schema, answer.structured)
    result = answer.result()
    [content] = result.content
    assert isinstance(content, TextContent)
    assert len(content.text) <= TEXT_CHARACTERS_MAX
    assert len(json.dumps(result.model_dump(mode="json"))) <= RESULT_BYTES_MAX
    return answer


def ran(**changes: Any) -> Answer:
    return checked("execute_task", execution_answers.ran(execution(**changes), WORDING))


def status(output_offset: int = 0, **changes: Any) -> Answer:
    answer = execution_answers.status(execution(**changes), WORDING, output_offset=output_offset)
    return checked("get_execution_status", answer)


@pytest.mark.parametrize("output", [None, 0, "", [], {"rows": 3}, "ü", [None, {"a": None}]])
def test_an_output_is_given_as_it_is(output: object) -> None:
    answer = ran(output=output)
    assert answer.structured["output"] == output
    assert json.dumps(output, ensure_ascii=False) in answer.text
    assert answer.structured["next"] is None
    assert not answer.failed


def test_addresses_are_given_only_where_something_answers_there() -> None:
    assert ran().structured["trace_url"] == "http://127.0.0.1:8090/traces/exec_1"
    alone = Wording(ToolNames(), Links(), 55)
    answer = checked("execute_task", execution_answers.ran(execution(), alone))
    assert answer.structured["trace_url"] is None
    assert answer.structured["logs_url"] is None


def test_a_failure_names_cause_and_frame_before_anything_else() -> None:
    answer = ran(status=Status.FAILED, failure=failure())
    assert answer.failed
    headline, cause, category, place, because, *_ = answer.text.splitlines()
    assert headline == "validate-csv failed after 1500 ms (execution exec_1)"
    assert cause == "RowError: row 7 is bad"
    assert category == "Category: exception (the task raised an exception)"
    assert place == "At /tasks/csv.py:12 in parse: return int(cell)"
    assert because == "Because of ValueError: invalid literal"
    assert answer.structured["error"]["location"]["line"] == 12


@pytest.mark.parametrize("category", list(Category))
def test_every_category_has_a_meaning_and_a_next_step(category: Category) -> None:
    answer = ran(status=Status.FAILED, failure=failure(category))
    assert f"Category: {category.value} (" in answer.text
    lost = category in (Category.WORKER_LOST, Category.SHUTDOWN)
    assert ("ratchet_execute_task" if lost else "ratchet_analyze_execution_error") in answer.structured["next"]
    assert answer.structured["next"] in answer.text


@pytest.mark.parametrize("category", list(Category))
def test_the_next_step_after_a_failure_is_one_that_the_caller_may_make(category: Category) -> None:
    withheld = {"analyze_execution_error", "get_execution_logs", "get_execution_trace", "execute_task"}
    names = replace(WORDING.names, withheld=frozenset(withheld))
    failed = execution(Status.FAILED, failure=failure(category))
    advice = execution_answers.ran(failed, replace(WORDING, names=names)).structured["next"]
    assert [name for name in withheld if name in (advice or "")] == []
    if category in (Category.INVALID_INPUT, Category.INVALID_OUTPUT, Category.TASK_BROKEN):
        assert "ratchet_list_available_tasks" in advice


def test_a_dead_process_is_told_with_signal_and_last_lines() -> None:
    end = ProcessEnd(process="child", pid=7, signal=11, signal_name="SIGSEGV", last_lines=["about to crash"])
    crashed = failure(Category.CRASHED, type="Crashed", message="killed by SIGSEGV", chain=[], process=end)
    answer = ran(status=Status.FAILED, failure=crashed)
    assert answer.structured["error"]["process"]["signal_name"] == "SIGSEGV"
    assert "about to crash" in answer.text
    assert "location" not in answer.structured["error"]


def test_an_enormous_failure_keeps_its_cause_and_fits() -> None:
    chain = [ExceptionInfo(type="E", message="m" * 50_000) for _ in range(50)]
    huge = failure(
        message="the cause " + "x" * 100_000,
        chain=chain,
        stack_trace="start" + "y" * 100_000 + "RowError: the end",
        details={"problems": [{"path": f"p{n}", "message": "z" * 100} for n in range(100)]},
    )
    answer = ran(status=Status.FAILED, failure=huge)
    assert answer.text.splitlines()[1].startswith("RowError: the cause")
    assert answer.structured["error"]["stack_trace"].endswith("RowError: the end")
    assert len(json.dumps(answer.structured)) < 12_000


def test_a_running_execution_says_how_far_it_is_and_how_to_follow_it() -> None:
    progress = Progress(current=3, total=4, message="reading", at_ns=START_NS)
    answer = ran(status=Status.RUNNING, progress=progress)
    assert answer.structured["progress"] == {"percent": 75.0, "current": 3, "total": 4, "message": "reading"}
    assert "75 %, reading" in answer.text
    assert '"wait_seconds": 30' in answer.structured["next"]
    assert not answer.failed


def test_the_advice_to_wait_never_exceeds_what_is_allowed() -> None:
    short = Wording(ToolNames("dotted"), Links(), 10)
    answer = execution_answers.ran(execution(Status.QUEUED), short)
    assert "ratchet.get_execution_status with" in answer.structured["next"]
    assert '"wait_seconds": 10' in answer.structured["next"]


@pytest.mark.parametrize("text", ["x" * 30_000, "ü" * 30_000, "🦆" * 30_000])
def test_a_long_output_is_cut_for_reading_and_can_be_read_on(text: str) -> None:
    answer = ran(output=text)
    whole = json.dumps(text, ensure_ascii=False)
    shown = answer.structured["output_text"]
    assert whole.startswith(shown)
    assert answer.structured["output_characters"] == len(whole)
    offset = len(shown)
    while answer.structured["next"] is not None:
        answer = status(output_offset=offset, output=text)
        shown += answer.structured["output_text"]
        offset = len(shown)
    assert shown == whole


def test_an_offset_beyond_the_end_shows_nothing_and_says_so() -> None:
    answer = status(output_offset=10_000, output="short")
    assert answer.structured["output_text"] == ""
    assert answer.structured["output_characters"] == 7
    assert answer.structured["next"] is None


@pytest.mark.parametrize("text", ["x" * 300_000, "ü" * 60_000, "🦆" * 40_000])
def test_an_output_too_large_for_the_wire_is_left_out_and_said_to_be(text: str) -> None:
    for answer in (ran(output=text), status(output=text)):
        assert "output" not in answer.structured
        assert answer.structured["output_truncated"]
        assert "output_offset" in answer.structured["next"]


def test_everything_large_at_once_still_fits() -> None:
    answer = status(
        output="o" * (STRUCTURED_BYTES_MAX - 100), input={"text": "i" * 47_000}, metadata={"text": "m" * 100_000}
    )
    assert "input" not in answer.structured or "output" not in answer.structured


def test_a_status_tells_when_why_and_by_whom() -> None:
    answer = status(
        status=Status.QUEUED,
        started_ns=None,
        attempts=[],
        waiting_for="all 8 slots are busy",
        metadata={"retry_reason": "timeout"},
        cancel_requested="too slow",
    ).structured
    assert answer["created_at"] == "2026-07-28T09:30:00.000Z"
    assert answer["started_at"] is None
    assert answer["waiting_for"] == "all 8 slots are busy"
    assert answer["cancel_requested"] == "too slow"
    assert answer["metadata"] == {"retry_reason": "timeout"}
    assert answer["source"] == {"kind": "mcp", "client": "local"}


def test_an_end_that_came_too_late_is_told_of() -> None:
    late = Attempt(number=1, fence=1, started_ns=START_NS, late_ns=START_NS + 10**9, late_end="it completed")
    [told] = status(attempts=[late]).structured["attempts"]
    assert told["late_end"] == {"at": "2026-07-28T09:30:01.000Z", "refused": "it completed"}


def test_only_the_last_attempts_are_listed() -> None:
    attempts = [
        Attempt(number=n, fence=n, worker="worker:1", started_ns=START_NS, failure=failure(Category.WORKER_LOST))
        for n in range(1, 10)
    ]
    listed = status(attempts=attempts).structured["attempts"]
    assert [one["number"] for one in listed] == [5, 6, 7, 8, 9]
    assert listed[0]["error"]["category"] == "worker_lost"


@pytest.mark.parametrize(
    ("rung", "said"),
    [("cooperative", "asked to stop and did"), ("term", "SIGTERM"), ("kill", "SIGKILL"), (None, "cancelled")],
)
def test_a_cancelled_execution_says_how_it_was_stopped(rung: str | None, said: str) -> None:
    attempts = [Attempt.model_validate({"number": 1, "fence": 1, "started_ns": START_NS, "stopped_by": rung})]
    cancelled = execution(Status.CANCELLED, attempts=attempts)
    answer = checked("cancel_execution", execution_answers.cancelled(cancelled, WORDING))
    assert said in answer.structured["message"]
    assert answer.structured["stopped_by"] == rung


def test_cancelling_what_has_ended_or_resists_is_told_apart() -> None:
    ended = execution_answers.cancelled(execution(), WORDING)
    assert ended.structured["message"] == "It had ended already: completed."
    resisting = checked("cancel_execution", execution_answers.cancelled(execution(Status.RUNNING), WORDING))
    assert "has not ended yet" in resisting.structured["message"]
    assert "get_execution_status" in resisting.structured["next"]


# --- lists --------------------------------------------------------------------------------------------------------


def test_a_page_takes_what_fits_and_the_rows_hold_what_a_retry_needs() -> None:
    many = [execution(execution_id=f"exec_{n}", input={"text": "x" * 900}) for n in range(50)]
    rows, lines = listing_answers.listed(many)
    assert 1 < len(rows) < 10
    assert len(rows) == len(lines)
    answer = listing_answers.listing(rows, lines, next_cursor="c", names=ToolNames())
    checked("list_executions", answer)
    assert len(json.dumps(answer.structured)) <= TEXT_CHARACTERS_MAX
    assert rows[0]["input"] == {"text": "x" * 900}


def test_one_row_is_shown_however_large_it_is() -> None:
    large = execution(Status.FAILED, input={"text": "x" * 100_000}, failure=failure(message="y" * 100_000))
    rows, lines = listing_answers.listed([large] * 3)
    assert rows[0]["input_truncated"]
    assert rows[0]["error_type"] == "RowError"
    assert len(lines[0]) < 500


def test_an_empty_list_says_what_to_do() -> None:
    answer = checked("list_executions", listing_answers.listing([], [], next_cursor=None, names=ToolNames()))
    assert "ratchet_execute_task" in answer.text


def test_who_may_run_nothing_is_not_told_to() -> None:
    names = ToolNames(withheld=frozenset({"execute_task"}))
    empty = listing_answers.listing([], [], next_cursor=None, names=names)
    refused = refusal(ForbiddenError("no"), names, task_id="t")
    assert empty.structured["next"] == "No execution matches."
    assert refused.structured["next"] is None


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", list(TOOLS))
def test_a_refusal_fits_the_schema_of_every_tool(tool: str) -> None:
    problems = [{"path": "input.a", "message": "is required"}]
    for answer in (
        refusal(InvalidInputError("no", details={"problems": problems}), ToolNames(), task_id="t"),
        refusal(UnknownExecutionError("no"), ToolNames()),
        refusal(QueueFullError("full"), ToolNames()),
        unanswered(ExpiredError("late"), ToolNames()),
        unanswered(ExpiredError("late"), ToolNames(), submitted="exec_1"),
        unanswered(TooLargeError("big"), ToolNames()),
        internal("1234"),
    ):
        assert checked(tool, answer).failed


def test_a_refusal_says_whether_trying_again_helps() -> None:
    assert refusal(QueueFullError("full"), ToolNames()).structured["error"]["retryable"]
    assert not refusal(UnknownExecutionError("no"), ToolNames()).structured["error"]["retryable"]


def test_a_submission_without_an_answer_names_the_execution_to_look_for() -> None:
    answer = unanswered(ExpiredError("late"), ToolNames(), submitted="exec_1")
    assert answer.structured["execution_id"] == "exec_1"
    assert 'ratchet_get_execution_status with {"execution_id": "exec_1"}' in answer.text


def test_durations_are_those_of_the_execution() -> None:
    assert ran(ended_ns=START_NS + 12 * MS).structured["duration_ms"] == 12


def test_an_execution_that_waits_for_its_next_attempt_says_which_when_and_why() -> None:
    following = NextAttempt(number=2, starts_ns=START_NS, failure=failure(), failed=1, max_attempts=3)
    answer = status(status=Status.QUEUED, next_attempt=following, waiting_for="attempt 2 starts soon")
    assert answer.structured["next_attempt"] == {
        "number": 2,
        "starts_at": answer.structured["created_at"],
        "failed": 1,
        "max_attempts": 3,
        "error": {"type": "RowError", "message": "row 7 is bad", "category": "exception"},
    }
    assert answer.text.count("attempt 2 starts soon") == 1


def test_a_failure_that_is_not_tried_again_says_why() -> None:
    answer = ran(status=Status.FAILED, failure=failure(gave_up="it failed 3 times, as often as it may"))
    assert answer.structured["error"]["gave_up"] == "it failed 3 times, as often as it may"
    assert "Not tried again: it failed 3 times" in answer.text
