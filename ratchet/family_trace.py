"""One tree of an execution and all that it called, and what that called: spans of several executions made one page.

Pure. A task knows under which span it called what; the runner, who called whom. Only the second is believed.
"""

from collections.abc import Iterable, Sequence

from ratchet.bodies.telemetry import SpanPage, StoredSpan
from ratchet.models import Execution

EXECUTIONS_MAX = 50  # below one, whose spans are shown beside its own
SPANS_EACH_MAX = 1_000  # of each of those
SPANS_MAX = 10_000  # of all of them

_CALLED = "ratchet.execution_id"  # of a span that calls; what it names is looked for, and not believed


def calls_others(page: SpanPage) -> bool:
    """Whether there may be executions below the one whose spans these are."""
    return any(_CALLED in span.attributes for span in page.spans)


def root_of(execution: Execution) -> str:
    """The execution that a client asked for, at the top of all that called one another."""
    return execution.lineage.root_id if execution.lineage is not None else execution.execution_id


def below(execution: Execution, family: Iterable[Execution]) -> list[Execution]:
    """Those of a family that the execution called, or that one of those called, in their order."""
    ordered = list(family)
    found = {execution.execution_id}
    for one in sorted(ordered, key=lambda member: member.lineage.depth if member.lineage is not None else 0):
        if one.lineage is not None and one.lineage.parent_id in found:
            found.add(one.execution_id)
    return [one for one in ordered if one.execution_id in found and one.execution_id != execution.execution_id]


def joined(own: SpanPage, others: Sequence[tuple[Execution, SpanPage]]) -> SpanPage:
    """One page: the roots of each other execution hang below the span that called it, and say whose they are."""
    spans = list(own.spans)
    total = own.total
    for execution, page in others:
        caller = execution.lineage.span_id if execution.lineage is not None else None
        ids = {span.span_id for span in page.spans}
        room = max(0, SPANS_MAX - len(spans))
        spans += [_hung(span, caller, execution, ids) for span in page.spans[:room]]
        total += page.total
    return SpanPage(spans=spans, total=total)


def _hung(span: StoredSpan, caller: str | None, execution: Execution, ids: set[str]) -> StoredSpan:
    if span.parent_id in ids:
        return span
    attributes = {**span.attributes, "ratchet.execution_id": execution.execution_id}
    return span.model_copy(update={"parent_id": caller, "attributes": attributes})
