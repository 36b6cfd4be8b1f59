"""Spans of executions that called one another, as one page."""

from ratchet.bodies.telemetry import SpanPage, StoredSpan
from ratchet.family_trace import below, calls_others, joined
from ratchet.models import Execution, Lineage, Source, Status


def execution(execution_id: str, parent: str | None = None, depth: int = 0, span: str | None = None) -> Execution:
    lineage = parent and Lineage(parent_id=parent, parent_attempt=1, root_id="top", depth=depth, span_id=span)
    return Execution(
        execution_id=execution_id,
        task_id="t",
        version="v",
        status=Status.COMPLETED,
        input={},
        source=Source(kind="task"),
        lineage=lineage or None,
        created_ns=depth,
    )


def span(span_id: str, parent: str | None = None, **attributes: str) -> StoredSpan:
    return StoredSpan(
        sequence=0,
        attempt=1,
        span_id=span_id,
        parent_id=parent,
        name=span_id,
        start_ns=0,
        end_ns=1,
        attributes=attributes,
    )


def test_what_an_execution_called_hangs_below_the_span_that_called_it():
    own = SpanPage(spans=[span("root"), span("call", "root", **{"ratchet.execution_id": "child"})], total=2)
    assert calls_others(own)
    other = SpanPage(spans=[span("a"), span("b", "a")], total=3)
    page = joined(own, [(execution("child", "top", 1, "call"), other)])
    assert {one.span_id: one.parent_id for one in page.spans} == {"root": None, "call": "root", "a": "call", "b": "a"}
    assert page.spans[2].attributes == {"ratchet.execution_id": "child"}
    assert page.total == 5


def test_only_what_is_below_an_execution_counts_and_not_its_siblings():
    family = [
        execution("one", "top", 1),
        execution("two", "top", 1),
        execution("three", "one", 2),
        execution("four", "three", 3),
    ]
    assert [found.execution_id for found in below(execution("one", "top", 1), family)] == ["three", "four"]
    assert below(execution("other"), family) == []
