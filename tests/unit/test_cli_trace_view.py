"""The waterfall in the terminal."""

from typing import Any

import pytest

from ratchet.bodies.telemetry import SpanPage, StoredSpan
from ratchet.cli.render import plain
from ratchet.cli.trace_view import bar, trace_blocks
from ratchet.models import Execution, Source, Status

MS = 1_000_000


def span(name: str, start: float, end: float, *, parent: str | None = None, **more: Any) -> StoredSpan:
    return StoredSpan(
        sequence=int(start * 10),
        span_id=name,
        parent_id=parent,
        name=name,
        start_ns=int(start * MS),
        end_ns=int(end * MS),
        attempt=1,
        **more,
    )


def execution(*, trace: bool = True, status: Status = Status.COMPLETED) -> Execution:
    return Execution(
        execution_id="abc",
        task_id="validate-csv",
        version="v",
        status=status,
        input={},
        source=Source(kind="cli"),
        trace=trace,
        created_ns=0,
    )


SPANS = [
    span("root", 0, 100, status="ok"),
    span("read", 0, 30, parent="root", status="ok"),
    span("check", 30, 95, parent="root", status="error"),
    span("side", 35, 45, parent="root"),
]


def waterfall(width: int | None) -> list[str]:
    return plain(trace_blocks(execution(), SpanPage(spans=SPANS, total=4), width=width)).splitlines()


def test_a_row_a_span_with_its_bar_where_its_time_was() -> None:
    head, _, root, read, check, side, *_ = waterfall(None)
    assert head == "validate-csv  abc  completed  100.0 ms  4 spans"
    assert root.count("█") == 40
    assert read.index("█") == root.index("█")
    assert read.count("█") == 12
    assert check.index("█") == root.index("█") + 12
    assert root.endswith("100.0 ms")
    assert check.endswith("65.0 ms ✗")
    assert side.count("▒") == 4


def test_the_critical_path_is_marked_and_listed() -> None:
    lines = waterfall(None)
    assert [line[0] for line in lines[2:6]] == ["◆", "◆", "◆", " "]
    path = lines[lines.index("critical path") + 1 : lines.index("critical path") + 4]
    assert [line.split()[-1] for line in path] == ["read", "check", "root"]
    assert path[1].split()[:3] == ["65.0", "ms", "65%"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_rows_fit_the_terminal(width: int) -> None:
    rows = waterfall(width)[2:6]
    assert all(len(row) <= max(width, 50) for row in rows)


def test_long_names_are_shortened_in_a_terminal_only() -> None:
    page = SpanPage(spans=[span("n" * 100, 0, 1)], total=1)
    assert "n" * 100 in plain(trace_blocks(execution(), page, width=None))
    assert "n" * 100 not in plain(trace_blocks(execution(), page, width=80)).splitlines()[2]


def test_what_is_not_shown_is_counted() -> None:
    text = plain(trace_blocks(execution(), SpanPage(spans=SPANS, total=12_004), width=None))
    assert "12,000 more spans are not shown" in text


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (execution(trace=False), "was not traced"),
        (execution(), "has no spans"),
        (execution(status=Status.RUNNING), "runs"),
    ],
)
def test_an_empty_trace_says_why(given: Execution, why: str) -> None:
    assert plain(trace_blocks(given, SpanPage(spans=[], total=0), width=80)).endswith(why)


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [(0, 100, (0, 10)), (0, 0, (0, 1)), (100, 0, (9, 1)), (50, 50, (5, 5)), (99.9, 0.1, (9, 1)), (0, 500, (0, 10))],
)
def test_a_bar_is_at_least_one_column_and_never_beyond_the_end(
    offset: float, length: float, expected: tuple[int, int]
) -> None:
    assert bar(offset, length, 100, 10) == expected


def test_a_bar_of_a_trace_without_duration_is_full() -> None:
    assert bar(0, 0, 0, 10) == (0, 10)
