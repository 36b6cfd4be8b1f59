"""Logs as answers: counted templates, the first error wherever it is, pages that lose nothing."""

import json
from collections.abc import Sequence
from typing import Any

import jsonschema_rs
import pytest

from actors.mcp_front.answers import log_answers
from actors.mcp_front.answers.answer import TEXT_CHARACTERS_MAX, Answer
from actors.mcp_front.answers.log_answers import DETAILED_CHARACTERS_MAX, Fetched, Format, room
from actors.mcp_front.tools.table import TOOLS
from ratchet.bodies.telemetry import LogPage, StoredLogRecord
from ratchet.models import LEVELS, Attempt, ExceptionInfo, Status
from tests.unit.mcp_examples import START_NS, WORDING, execution, record

FRAME = {"file": "/tasks/csv.py", "line": 12, "function": "parse", "in_task": True}


def page(records: Sequence[StoredLogRecord], *, more: bool = False, **counts: int) -> LogPage:
    counted = {level: sum(one.level == level for one in records) for level in LEVELS}
    cursor = f"1.{records[-1].sequence}" if records else None
    return LogPage(records=list(records), counts={**counted, **counts}, next_cursor=cursor, more=more)


def answer(fetched: Fetched, form: Format = "concise", **changes: Any) -> Answer:
    made = log_answers.logs(execution(**changes), fetched, WORDING, form)
    jsonschema_rs.validate(TOOLS["get_execution_logs"].output_schema, made.structured)
    characters_max = TEXT_CHARACTERS_MAX if form == "concise" else DETAILED_CHARACTERS_MAX
    assert len(made.text) <= characters_max
    return made


def fetched(records: Sequence[StoredLogRecord], form: Format = "concise", **more: Any) -> Fetched:
    return Fetched(page(records), room(records, form), **more)


def test_a_record_is_given_with_its_context_and_error() -> None:
    error = ExceptionInfo(type="ValueError", message="bad")
    records = [
        record(1, "reading", context={"file": "a.csv"}),
        record(2, "failed", "error", error=error, stack_trace="Traceback …\nValueError: bad"),
    ]
    made = answer(fetched(records, first_error=records[1], preceding=records[:1]))
    first, second = made.structured["logs"]
    assert first["timestamp"] == "2026-07-28T09:30:00.001Z"
    assert first["context"] == {"file": "a.csv"}
    assert second["error_info"] == {
        "type": "ValueError",
        "message": "bad",
        "stack_trace": "Traceback …\nValueError: bad",
    }
    assert made.structured["summary"]["first_error"]["type"] == "ValueError"
    assert made.structured["summary"]["first_error"]["preceding"] == ["info: reading"]
    assert "First error" in made.text.splitlines()[1]


def test_repeated_lines_are_counted_once() -> None:
    records = [record(n, f"row {n} read in {n} ms") for n in range(500)]
    made = answer(fetched(records))
    [line] = made.structured["logs"]
    assert line["message"] == "row <number> read in <number> ms"
    assert (line["count"], line["example"]) == (500, "row 0 read in 0 ms")
    assert "[500 times until 2026-07-28T09:30:00.499Z" in made.text


def test_distinct_lines_take_what_fits_and_the_rest_is_another_page() -> None:
    records = [record(n, f"{chr(97 + n % 26) * 5}{chr(97 + n // 26) * 3} happened {'x' * 60}") for n in range(200)]
    shown = room(records, "concise")
    assert 10 < shown < 60
    made = answer(Fetched(page(records[:shown]), shown))
    assert len(made.structured["logs"]) == shown
    assert len(json.dumps(made.structured)) <= TEXT_CHARACTERS_MAX
    more = answer(Fetched(page(records), shown))
    assert more.structured["more"]
    assert "cursor" in more.structured["next"]


@pytest.mark.parametrize("form", ["concise", "detailed"])
def test_one_record_is_shown_however_large_it_is(form: Format) -> None:
    huge = record(1, "m" * 60_000, context={"k": "c" * 5_000}, stack_trace="s" * 60_000)
    assert room([huge], form) == 1
    made = answer(Fetched(page([huge]), 1), form)
    assert len(json.dumps(made.structured)) <= DETAILED_CHARACTERS_MAX


def test_the_first_error_is_told_even_where_the_page_does_not_reach_it() -> None:
    records = [record(n, f"row {n}") for n in range(100)]
    found = record(70_000, "the disk is full", "error")
    last = [record(99_999, "bye")]
    made = answer(Fetched(page(records, more=True, error=1, info=99_999), 100, found, last))
    assert "the disk is full" in made.text
    assert made.structured["summary"]["last"] == ["info: bye"]
    assert made.structured["summary"]["total"] == 100_000
    assert made.structured["more"]


def test_detailed_collapses_nothing() -> None:
    records = [record(n, f"row {n}") for n in range(50)]
    made = answer(fetched(records, "detailed"), "detailed")
    assert [line["message"] for line in made.structured["logs"]] == [f"row {n}" for n in range(50)]


def test_what_comes_next_depends_on_the_execution() -> None:
    running = answer(fetched([record(1, "a")]), status=Status.RUNNING)
    assert "get_execution_status" in running.structured["next"]
    assert answer(fetched([record(1, "a")])).structured["next"] is None
    nothing_matches = answer(Fetched(page([], info=7), 0))
    assert "none matches" in nothing_matches.structured["next"]
    assert answer(Fetched(page([]), 0)).text == "validate-csv (completed): 0 log records."


def test_lost_records_are_not_hidden() -> None:
    attempt = Attempt(number=1, fence=1, started_ns=START_NS, telemetry="incomplete")
    made = answer(fetched([record(1, "a")]), attempts=[attempt])
    assert made.structured["summary"]["incomplete"]
    assert "were lost" in made.text


def test_what_preceded_the_first_error_is_told_where_the_page_does_not_show_it() -> None:
    error = record(9, "the disk is full", "error")
    made = answer(Fetched(page([error]), 1, error, preceding=[record(8, "writing row 8")]))
    assert made.structured["summary"]["first_error"]["preceding"] == ["info: writing row 8"]
    assert "writing row 8" not in made.text
    elsewhere = answer(Fetched(page([record(20, "bye")], error=1), 1, error, preceding=[record(8, "writing row 8")]))
    assert "Before it:\n  info: writing row 8" in elsewhere.text


@pytest.mark.parametrize(
    ("status", "error", "advice"),
    [
        (
            Status.COMPLETED,
            {"type": "KeyError", "message": "no 'colour', did you mean 'color'?"},
            "whether color was meant",
        ),
        (Status.COMPLETED, {"type": "ValueError", "message": "choose from 'a' or 'b'"}, "lists what is right: a, b."),
        (Status.COMPLETED, {"type": "Busy", "message": "later", "facts": {"retry_after": "7"}}, "Retry-After 7."),
        (Status.COMPLETED, {"type": "ConnectionRefusedError", "message": "refused"}, None),
        (Status.FAILED, {"type": "ConnectionRefusedError", "message": "refused"}, "check the host, the port"),
        (
            Status.FAILED,
            {"type": "ZeroDivisionError", "message": "by zero", "frames": [FRAME]},
            "It is csv.py:12 in parse.",
        ),
        (Status.FAILED, {"type": "ZeroDivisionError", "message": "by zero"}, None),
        (Status.FAILED, {"type": "RowError", "message": "row 7 is bad"}, None),
    ],
)
def test_an_error_has_suggestions_where_it_says_what_to_do(status: Status, error: Any, advice: str | None) -> None:
    one = record(1, "failed", "error", error=ExceptionInfo.model_validate(error))
    made = answer(fetched([one], first_error=one), status=status)
    [entry] = made.structured["logs"]
    said = entry["error_info"].get("suggestions", [])
    assert bool(said) is (advice is not None)
    if advice is not None:
        assert advice in said[0]
        assert f"Suggestion: {said[0]}" in made.text
