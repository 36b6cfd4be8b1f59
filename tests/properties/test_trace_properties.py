"""What holds of every trace, however its spans are linked."""

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.models import Span
from ratchet.trace import Node, bottlenecks, build, critical_path, waterfall

MS = 1_000_000
MOMENT = st.integers(0, 30)


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    """Spans with small times, so that they overlap and coincide, and any links: missing, circular, to themselves."""
    ids = draw(st.lists(st.integers(0, 9), min_size=1, max_size=12))
    parents = st.one_of(st.none(), st.integers(0, 12))
    return [
        Span(
            sequence=sequence,
            span_id=str(span_id),
            parent_id=None if (parent := draw(parents)) is None else str(parent),
            name=f"n{span_id % 3}",
            start_ns=draw(MOMENT) * MS,
            end_ns=draw(MOMENT) * MS,
        )
        for sequence, span_id in enumerate(ids)
    ]


def moments(node: Node) -> set[int]:
    """The milliseconds in which a span ran: brute force is possible because times are small whole numbers."""
    return set(range(node.span.start_ns // MS, node.span.end_ns // MS))


@given(spans())
def test_every_span_is_in_the_tree_exactly_once(given_spans: list[Span]):
    assert sorted(node.span.sequence for node in build(given_spans)) == [*range(len(given_spans))]


@given(spans(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(given_spans: list[Span], shuffler: random.Random):
    shuffled = [*given_spans]
    shuffler.shuffle(shuffled)

    assert waterfall(build(shuffled)) == waterfall(build(given_spans))
    assert critical_path(build(shuffled)) == critical_path(build(given_spans))
    assert bottlenecks(build(shuffled)) == bottlenecks(build(given_spans))


@settings(max_examples=1000)
@given(spans())
def test_self_time_is_what_no_child_covers(given_spans: list[Span]):
    for node in build(given_spans):
        covered = set[int]().union(*(moments(child) for child in node.children))
        assert node.self_ms == len(moments(node) - covered)
        assert 0 <= node.self_ms <= node.duration_ms


@given(spans())
def test_a_child_is_deeper_than_its_parent_and_siblings_are_ordered_by_start(given_spans: list[Span]):
    for node in build(given_spans):
        assert all(child.depth == node.depth + 1 for child in node.children)
        assert all(a.span.start_ns <= b.span.start_ns for a, b in itertools.pairwise(node.children))


def brute_force_path(nodes: list[Node], start: int, end: int, owner: int | None, owned: dict[int, int | None]) -> None:
    """Walk back millisecond by millisecond, noting in `owned` which span accounts for each."""
    now = end
    while now > start:
        ended = [(node, max(node.span.start_ns // MS, start), min(node.span.end_ns // MS, end)) for node in nodes]
        candidates = [entry for entry in ended if entry[1] < entry[2] == now]
        if candidates:
            node, began, _ = min(candidates, key=lambda entry: entry[1])
            brute_force_path([*node.children], began, now, node.span.sequence, owned)
            now = began
        else:
            now -= 1
            owned[now] = owner


@settings(max_examples=1000)
@given(spans())
def test_the_critical_path_is_what_walking_back_moment_by_moment_finds(given_spans: list[Span]):
    trace = build(given_spans)
    owned: dict[int, int | None] = {}
    brute_force_path([*trace.roots], trace.start_ns // MS, trace.end_ns // MS, None, owned)
    by_sequence = {span.sequence: span for span in given_spans}

    steps = critical_path(trace)

    accounted = [sequence for sequence in owned.values() if sequence is not None]
    expected = sorted((by_sequence[one].span_id, float(accounted.count(one))) for one in set(accounted))
    assert sorted((step.span_id, step.contribution_ms) for step in steps) == expected


@given(spans())
def test_the_critical_path_is_never_longer_than_the_trace(given_spans: list[Span]):
    trace = build(given_spans)
    steps = critical_path(trace)
    total = sum(step.contribution_ms for step in steps)

    assert all(step.contribution_ms > 0 for step in steps)
    assert [step.offset_ms for step in steps] == sorted(step.offset_ms for step in steps)
    assert total <= trace.total_ms
    if len(trace.roots) == 1 and trace.roots[0].duration_ms == trace.total_ms:
        assert total == trace.total_ms


@given(spans())
def test_shares_of_all_bottlenecks_sum_to_one(given_spans: list[Span]):
    found = bottlenecks(build(given_spans), limit=100)
    total = sum(entry.share for entry in found)

    assert total == 0 or abs(total - 1) < 1e-9
    assert sum(entry.count for entry in found) == len(given_spans)
