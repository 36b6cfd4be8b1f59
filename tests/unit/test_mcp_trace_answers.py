"""Traces as answers: failures and the critical path first, everything left out counted."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import jsonschema_rs
import pytest

from actors.mcp_front.answers import trace_answers
from actors.mcp_front.answers.answer import TEXT_CHARACTERS_MAX, Answer
from actors.mcp_front.answers.trace_answers import View
from actors.mcp_front.tools.table import TOOLS
from ratchet.bodies.telemetry import SpanPage, StoredSpan
from ratchet.errors import RequestError
from ratchet.models import JsonObject, Status
from tests.unit.mcp_examples import WORDING, execution, span


def answer(
    spans: Sequence[StoredSpan], view: View | None = None, *, total: int | None = None, **changes: Any
) -> Answer:
    page = SpanPage(spans=list(spans), total=len(spans) if total is None else total)
    made = trace_answers.trace(execution(**changes), page, view or View(), WORDING)
    jsonschema_rs.validate(TOOLS["get_execution_trace"].output_schema, made.structured)
    if view is None or view.max_spans <= 100:
        assert len(made.text) <= TEXT_CHARACTERS_MAX
        assert len(json.dumps(made.structured)) <= TEXT_CHARACTERS_MAX
    return made


def rows(spans: Sequence[JsonObject]) -> Iterator[JsonObject]:
    for row in spans:
        yield row
        yield from rows(row["children"])


def names(made: Answer) -> list[str]:
    return [row["name"] for row in rows(made.structured["trace"]["spans"])]


SMALL = [
    span("a", 0, 100, name="root"),
    span("b", 10, 40, "a", name="read", attributes={"file": "a.csv", "rows": 7}),
    span("c", 40, 90, "a", name="parse", status="error", status_message="row 7 is bad"),
]


def test_a_small_trace_is_shown_whole() -> None:
    made = answer(SMALL)
    [root] = made.structured["trace"]["spans"]
    assert [child["name"] for child in root["children"]] == ["read", "parse"]
    assert root["self_ms"] == 20
    assert root["children"][0]["attributes"] == {"file": "a.csv", "rows": 7}
    assert root["children"][1]["offset_ms"] == 40
    assert made.structured["trace"]["total_spans"] == made.structured["trace"]["shown_spans"] == 3
    assert made.structured["next"] is None
    assert made.text.splitlines()[-3:] == [
        "root  100 ms at +0",
        "  read  30 ms at +10",
        "  parse  50 ms at +40 ERROR: row 7 is bad",
    ]


def test_insights_are_sentences_with_numbers() -> None:
    made = answer(SMALL)
    assert made.structured["insights"] == [
        "The failing span is `parse`, 50 ms long (row 7 is bad).",
        "50 % of 100 ms is spent in `parse` itself.",
    ]


def test_a_large_trace_keeps_failures_and_the_critical_path() -> None:
    spans = [
        span("root", 0, 10_000, name="root"),
        *(span(f"s{n}", n * 5, n * 5 + 1, "root", name=f"step {n}") for n in range(2_000)),
        span("deep", 9_000, 9_900, "root", name="slow"),
        span("bad", 9_100, 9_101, "deep", name="tiny failure", status="error"),
    ]
    made = answer(spans)
    assert {"root", "slow", "tiny failure"} <= set(names(made))
    shown = made.structured["trace"]["shown_spans"]
    assert shown < 100
    root = made.structured["trace"]["spans"][0]
    assert root["omitted_children"] + len(root["children"]) == 2_001
    assert '"span_id": "root"' in made.structured["next"]
    assert "not shown" in made.text


def test_more_spans_are_shown_to_who_asks_for_them() -> None:
    spans = [span("root", 0, 1_000), *(span(f"s{n}", n, n + 1, "root") for n in range(400))]
    made = answer(spans, View(max_spans=401))
    assert made.structured["trace"]["shown_spans"] > 300
    assert answer(spans, View(max_spans=3)).structured["trace"]["shown_spans"] == 3


def test_a_deep_trace_is_cut_where_it_is_too_deep_to_read() -> None:
    spans = [span(f"s{n}", n, 3_000 - n, f"s{n - 1}" if n else None) for n in range(1_000)]
    made = answer(spans)
    assert len(names(made)) == 12
    assert '"span_id": "s11"' in made.structured["next"]
    zoomed = answer(spans, View(span_id="s11"))
    assert names(zoomed)[0] == "span s11"
    assert len(names(zoomed)) == 12


def test_http_calls_can_be_left_out_and_what_they_hold_moves_up() -> None:
    spans = [
        span("a", 0, 100, name="root"),
        span("b", 10, 90, "a", name="GET", kind="client", attributes={"http.request.method": "GET"}),
        span("c", 20, 30, "b", name="retry", kind="client", attributes={"http.request.method": "GET"}),
        span("d", 40, 50, "c", name="decode"),
        span("e", 60, 70, "a", name="query", kind="client"),
        span("f", 80, 85, "a", name="download", attributes={"url.full": "https://h/"}),
    ]
    assert names(answer(spans)) == ["root", "GET", "retry", "decode", "query", "download"]
    made = answer(spans, View(include_http_calls=False))
    assert names(made) == ["root", "decode", "query", "download"]
    assert any(step["name"] == "GET" for step in made.structured["trace"]["critical_path"])


def test_a_span_that_is_not_there_is_refused() -> None:
    with pytest.raises(RequestError, match="'x'"):
        answer(SMALL, View(span_id="x"))


def test_long_names_attributes_and_messages_are_cut() -> None:
    wide = span(
        "a",
        0,
        1,
        name="n" * 10_000,
        status="error",
        status_message="m" * 10_000,
        attributes={f"k{n}": "v" * 1_000 for n in range(50)},
    )
    made = answer([wide])
    [row] = made.structured["trace"]["spans"]
    assert len(json.dumps(row)) < 2_000


def test_what_is_missing_is_said() -> None:
    assert any("Only 3 of 9 spans" in one for one in answer(SMALL, total=9).structured["insights"])
    running = answer(SMALL, status=Status.RUNNING)
    assert any("not ended" in one for one in running.structured["insights"])
    assert "get_execution_status" in running.structured["next"]
    untraced = answer([], trace=False)
    assert any("trace: false" in one for one in untraced.structured["insights"])
    assert answer([]).structured["trace"]["spans"] == []
