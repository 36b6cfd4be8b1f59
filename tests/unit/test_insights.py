"""What a trace means in sentences, on traces small enough to check by eye."""

from typing import Any

import pytest

from ratchet.insights import INSIGHTS_MAX, duration, insights
from ratchet.models import Span
from ratchet.trace import build

MS = 1_000_000


def span(name: str, start: float, end: float, parent: str | None = "task", **fields: Any) -> Span:
    span_id = fields.pop("span_id", name)
    times = {"start_ns": round(start * MS), "end_ns": round(end * MS)}
    return Span.model_validate(
        {"sequence": 1, "span_id": span_id, "parent_id": parent, "name": name, "status": "ok", **times, **fields}
    )


def http(start: float, end: float, *, host: str = "api.test", path: str = "/items", status: int = 200) -> Span:
    attributes = {
        "http.request.method": "GET",
        "url.full": f"https://{host}{path}",
        "server.address": host,
        "http.response.status_code": status,
    }
    return span("GET", start, end, span_id=f"{host}{start}", kind="client", attributes=attributes)


def told(*spans: Span) -> list[str]:
    return insights(build(spans))


def test_a_trace_without_spans_says_nothing():
    assert told() == []


def test_the_innermost_failing_span_is_named_with_what_it_said():
    error = {"status": "error", "status_message": "ValueError: bad row"}

    found = told(span("task", 0, 100, None, **error), span("read", 0, 20), span("parse", 20, 60, **error))

    assert found[0] == "The failing span is `parse`, 40 ms long (ValueError: bad row)."


def test_spans_that_failed_one_beside_the_other_are_counted():
    error = {"status": "error"}

    found = told(span("task", 0, 100, None), span("a", 0, 20, **error), span("b", 30, 60, **error))

    assert found[0] == "2 of 3 spans failed by themselves; the last is `b`."


def test_where_the_time_went_is_said_with_its_share_of_the_whole():
    found = told(span("task", 0, 1200, None), span("load", 100, 1060))

    assert found == ["80 % of 1.2 s is spent in `load` itself."]


def test_time_that_a_span_spends_in_its_children_is_theirs():
    found = told(span("task", 0, 1000, None), span("load", 0, 1000), span("parse", 50, 950, "load"))

    assert found == ["90 % of 1.0 s is spent in `parse` itself."]


def test_time_outside_every_span_is_the_tasks_own():
    (found,) = told(span("task", 0, 1000, None), span("load", 0, 100))

    assert found.startswith("90 % of 1.0 s is spent in `task` itself, outside any span that it opens")


def test_calls_of_a_host_are_summed_and_their_failures_counted():
    found = told(span("task", 0, 1000, None), http(0, 300), http(300, 500, status=503), http(500, 600, status=404))

    assert (
        "3 HTTP calls to api.test took 600 ms together, the longest 300 ms; 1 failed with 4xx; 1 failed with 5xx."
        in (found)
    )


def test_a_call_that_nobody_answered_is_a_failure_too():
    attributes = {"http.request.method": "GET", "url.full": "http://down.test/x"}
    call = span("GET", 0, 100, kind="client", status="error", attributes=attributes)

    assert "1 HTTP call to down.test took 100 ms; 1 failed with no answer." in told(span("task", 0, 400, None), call)


def test_many_calls_that_differ_in_an_id_only_are_one_pattern():
    calls = [http(40 * number, 40 * number + 40, path=f"/items/{number}") for number in range(12)]

    found = told(span("task", 0, 500, None), *calls)

    assert any(
        one.startswith("12 calls of `GET` ran one after the other, 40 ms each and 480 ms together") for one in found
    )


def test_calls_that_overlap_are_no_such_pattern():
    calls = [http(number, number + 40, path=f"/items/{number}") for number in range(12)]

    assert not any("one after the other" in one for one in told(span("task", 0, 500, None), *calls))


def test_two_waits_in_a_row_could_overlap():
    found = told(span("task", 0, 1000, None), http(0, 400, host="a.test"), http(400, 780, host="b.test"))

    assert found[-1] == (
        "`GET` (400 ms) and `GET` (380 ms) ran one after the other: if neither needs the other's result, running them "
        "at the same time could save 380 ms."
    )


def test_work_in_a_row_is_no_wait():
    found = told(span("task", 0, 1000, None), span("read", 0, 500), span("parse", 500, 1000))

    assert not any("one after the other" in one for one in found)


def test_there_are_never_more_than_a_few_sentences():
    calls = [http(40 * n, 40 * n + 40, host=f"h{n % 4}.test", status=500) for n in range(20)]

    found = told(span("task", 0, 900, None, status="error"), *calls)

    assert 3 <= len(found) <= INSIGHTS_MAX
    assert insights(build([span("task", 0, 900, None, status="error"), *calls]), limit=1) == found[:1]


def test_the_order_in_which_spans_come_changes_nothing():
    spans = [span("task", 0, 1000, None), http(0, 400, host="a.test"), http(400, 780, host="b.test", status=500)]

    assert told(*spans) == told(*reversed(spans))


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0.04, "0.0 ms"), (83.4, "83 ms"), (1234, "1.2 s"), (270_000, "4.5 min")]
)
def test_durations_are_written_with_the_unit_that_fits(milliseconds: float, text: str):
    assert duration(milliseconds) == text
