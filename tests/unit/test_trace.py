"""What spans mean together, on traces small enough to check by eye."""

from ratchet.models import Span
from ratchet.trace import Bottleneck, bottlenecks, build, critical_path, waterfall

MS = 1_000_000


def span(name: str, start: float, end: float, parent: str | None = None, **fields: object) -> Span:
    """A span whose id is its name, with times in milliseconds."""
    times = {"start_ns": round(start * MS), "end_ns": round(end * MS)}
    return Span.model_validate({"sequence": 1, "span_id": name, "parent_id": parent, "name": name, **times, **fields})


def tree(*spans: Span) -> list[tuple[int, str]]:
    return [(node.depth, node.span.name) for node in build(spans)]


def self_times(*spans: Span) -> dict[str, float]:
    return {node.span.name: node.self_ms for node in build(spans)}


def path(*spans: Span) -> list[tuple[str, float]]:
    return [(step.name, step.contribution_ms) for step in critical_path(build(spans))]


def test_no_spans_are_an_empty_trace():
    trace = build([])

    assert (trace.roots, trace.total_ms) == ((), 0)
    assert critical_path(trace) == bottlenecks(trace) == waterfall(trace) == []


def test_spans_form_their_tree_whatever_order_they_come_in():
    root, a, b, leaf = span("root", 0, 9), span("a", 1, 2, "root"), span("b", 3, 8, "root"), span("leaf", 4, 5, "b")

    expected = [(0, "root"), (1, "a"), (1, "b"), (2, "leaf")]
    assert tree(root, a, b, leaf) == expected
    assert tree(leaf, b, a, root) == expected


def test_a_span_whose_parent_is_missing_is_a_root():
    assert tree(span("root", 0, 9), span("lost", 2, 3, "cut off")) == [(0, "root"), (0, "lost")]


def test_spans_that_are_each_others_ancestors_still_appear_once():
    assert tree(span("b", 2, 9, "a"), span("a", 1, 9, "b"), span("leaf", 3, 4, "b")) == [
        (0, "a"),
        (1, "b"),
        (2, "leaf"),
    ]
    assert tree(span("own", 1, 9, "own")) == [(0, "own")]


def test_of_two_spans_with_one_id_the_first_gets_the_children():
    assert tree(span("twin", 0, 9), span("twin", 5, 6), span("child", 1, 2, "twin")) == [
        (0, "twin"),
        (1, "child"),
        (0, "twin"),
    ]


def test_a_very_deep_trace_is_no_problem():
    chain = [span(str(depth), depth, 20_000, str(depth - 1)) for depth in range(10_000)]

    trace = build(chain)

    assert max(node.depth for node in trace) == 9_999
    assert len(critical_path(trace)) == 10_000


def test_self_time_counts_overlapping_children_once():
    found = self_times(
        span("root", 0, 100), span("a", 10, 50, "root"), span("b", 30, 70, "root"), span("c", 35, 40, "root")
    )

    assert found == {"root": 40, "a": 40, "b": 40, "c": 5}


def test_self_time_ignores_what_a_child_does_outside_its_parent():
    assert self_times(span("root", 10, 20), span("early", 0, 12, "root"), span("late", 18, 50, "root"))["root"] == 6


def test_a_clock_that_was_set_back_makes_no_negative_durations():
    found = self_times(span("root", 0, 10), span("back", 5, 1, "root"))

    assert found == {"root": 10, "back": 0}


def test_the_critical_path_of_a_sequence_is_the_sequence():
    spans = [span("root", 0, 100), span("a", 10, 40, "root"), span("b", 50, 90, "root")]

    assert path(*spans) == [("root", 30), ("a", 30), ("b", 40)]


def test_of_concurrent_children_the_one_that_ended_last_counts():
    spans = [span("root", 0, 100), span("short", 0, 60, "root"), span("long", 0, 95, "root")]

    assert path(*spans) == [("long", 95), ("root", 5)]


def test_what_was_not_over_when_the_next_began_is_not_what_it_waited_for():
    spans = [span("root", 0, 100), span("beside", 0, 80, "root"), span("last", 60, 100, "root")]

    assert path(*spans) == [("root", 60), ("last", 40)]


def test_the_critical_path_goes_down_into_the_child_that_counts():
    spans = [
        span("root", 0, 100),
        span("fetch", 10, 80, "root"),
        span("query", 20, 70, "fetch"),
        span("cached", 20, 30, "fetch"),
        span("render", 80, 100, "root"),
    ]

    assert path(*spans) == [("root", 10), ("fetch", 20), ("query", 50), ("render", 20)]


def test_a_child_that_outlives_its_parent_counts_up_to_the_parents_end():
    assert path(span("root", 0, 50), span("detached", 20, 500, "root"), span("after", 500, 600)) == [
        ("root", 20),
        ("detached", 30),
        ("after", 100),
    ]


def test_attempts_follow_one_another_on_the_path():
    assert path(span("first", 0, 10), span("second", 30, 50)) == [("first", 10), ("second", 20)]


def test_bottlenecks_are_names_by_time_spent_outside_their_children():
    spans = [
        span("root", 0, 100),
        *(span("get", start, start + 20, "root", span_id=f"g{start}") for start in (0, 20)),
        span("parse", 40, 95, "root"),
    ]

    assert bottlenecks(build(spans)) == [
        Bottleneck("parse", "parse", 1, 55, 0.55),
        Bottleneck("get", "g0", 2, 40, 0.4),
        Bottleneck("root", "root", 1, 5, 0.05),
    ]
    assert [entry.name for entry in bottlenecks(build(spans), limit=1)] == ["parse"]


def test_a_waterfall_has_a_row_a_span_relative_to_the_first_start():
    spans = [
        span("root", 1_000, 1_100),
        span("a", 1_010, 1_040, "root", status="error"),
        span("b", 1_000, 1_020, "root"),
    ]

    rows = waterfall(build(spans))

    assert [(row.depth, row.name, row.offset_ms, row.duration_ms, row.status, row.critical) for row in rows] == [
        (0, "root", 0, 100, "unset", True),
        (1, "b", 0, 20, "unset", False),
        (1, "a", 10, 30, "error", True),
    ]
