"""An execution's trace as an answer: where the time went, what failed, and as much of the tree as there is room for.

Pure. Errors and the critical path are shown before the rest; what is left out is counted where it was.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from actors.mcp_front.answers.answer import (
    LIST_CHARACTERS_MAX,
    MAX_SPANS,
    TEXT_CHARACTERS_MAX,
    Answer,
    clip,
    paragraphs,
)
from actors.mcp_front.tools.moments import iso
from actors.mcp_front.wording import Wording
from ratchet.bodies.telemetry import SpanPage
from ratchet.errors import RequestError
from ratchet.insights import insights
from ratchet.models import Execution, JsonObject, Span
from ratchet.trace import Bottleneck, Node, PathStep, Trace, bottlenecks, build, critical_path

_SPANS_CHARACTERS_MAX = LIST_CHARACTERS_MAX - 2_500  # the rest: path, bottlenecks, insights
_LONG_CHARACTERS_MAX = 100_000
_SPAN_CHARACTERS = 250
_SPAN_CHARACTERS_MIN = 150
_DEPTH_MAX = 12
_PATH_MAX = 10
_ATTEMPTS_MAX = 5
_ATTRIBUTES_CHARACTERS_MAX = 400
_VALUE_CHARACTERS_MAX = 160
_NAME_CHARACTERS_MAX = 120


@dataclass(frozen=True, slots=True)
class View:
    """What of the trace to show."""

    include_http_calls: bool = True
    span_id: str | None = None
    max_spans: int = MAX_SPANS

    @property
    def characters_max(self) -> int:
        """Room for the span tree."""
        if self.max_spans <= MAX_SPANS:
            return _SPANS_CHARACTERS_MAX
        return min(self.max_spans * _SPAN_CHARACTERS, _LONG_CHARACTERS_MAX)


def trace(execution: Execution, page: SpanPage, view: View, wording: Wording) -> Answer:
    """The answer of `get_execution_trace`.

    Raises:
        RequestError: There is no span with the id of the view.
    """
    whole = build(page.spans)
    path, slow = critical_path(whole), bottlenecks(whole)
    seen = whole if view.include_http_calls else build(_without_http(page.spans))
    roots = seen.roots if view.span_id is None else (_find(seen, view.span_id),)
    tree = _tree(roots, path, view)
    told = _insights(execution, page, whole)
    structured: JsonObject = {
        "execution_id": execution.execution_id,
        "status": execution.status.value,
        "trace": {
            "spans": tree.spans,
            "total_ms": round(whole.total_ms, 3),
            "total_spans": page.total,
            "shown_spans": tree.shown,
            "critical_path": [_step(one) for one in _main_steps(path)],
            "bottlenecks": [_bottleneck(one) for one in slow],
        },
        "insights": told,
        "visualization_url": wording.links.visualization(execution.execution_id),
        "next": _next(execution, tree, wording),
    }
    head = f"{execution.task_id} ({execution.status.value}): {page.total} spans, {whole.total_ms:.1f} ms"
    lines = [*(f"- {one}" for one in told), *(_line(row) for row in tree.rows)]
    text = paragraphs([head, *lines, structured["next"]])
    return Answer(structured, text, characters_max=max(TEXT_CHARACTERS_MAX, view.characters_max))


def _main_steps(path: Sequence[PathStep]) -> list[PathStep]:
    """The steps that account for the most, in the order of the path."""
    most = sorted(path, key=lambda step: -step.contribution_ms)[:_PATH_MAX]
    return sorted(most, key=lambda step: step.offset_ms)


def _without_http(spans: Sequence[Span]) -> list[Span]:
    """The other spans; what hung below an HTTP call hangs below its parent."""
    hidden = {
        one.span_id: one.parent_id for one in spans if one.kind == "client" and "http.request.method" in one.attributes
    }
    kept: list[Span] = []
    for span in spans:
        if span.span_id in hidden:
            continue
        parent, seen = span.parent_id, set[str]()
        while parent is not None and parent in hidden and parent not in seen:
            seen.add(parent)
            parent = hidden[parent]
        kept.append(span if parent == span.parent_id else span.model_copy(update={"parent_id": parent}))
    return kept


def _find(seen: Trace, span_id: str) -> Node:
    for node in seen:
        if node.span.span_id == span_id:
            return node
    raise RequestError(
        f"no span of this execution has the id {span_id!r}: leave span_id out to see the whole trace",
        details={"problems": [{"path": "span_id", "message": "is not a span of this execution", "given": span_id}]},
    )


# --- the tree ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tree:
    spans: list[JsonObject] = field(default_factory=list[JsonObject])
    rows: list[tuple[int, JsonObject]] = field(default_factory=list[tuple[int, JsonObject]])
    shown: int = 0
    omitted_span_id: str | None = None  # the shown span below which most is left out
    omitted: int = 0


def _tree(roots: Sequence[Node], path: Sequence[PathStep], view: View) -> _Tree:
    """The chosen spans, nested, with a count at every span that has children which are left out."""
    tree = _Tree()
    critical = {one.span_id for one in path}
    chosen = _chosen(roots, critical, view)
    base = roots[0].depth if roots else 0
    start_ns = min((root.span.start_ns for root in roots), default=0)
    containers: list[list[JsonObject]] = [tree.spans]
    for node in _walk(roots):
        if id(node) not in chosen:
            continue
        depth = node.depth - base
        row = _row(node, start_ns)
        if node.span.span_id in critical:
            row["critical"] = True
        del containers[depth + 1 :]
        containers[depth].append(row)
        containers.append(row["children"])
        hidden = sum(id(child) not in chosen for child in node.children)
        if hidden:
            row["omitted_children"] = hidden
            if hidden > tree.omitted:
                tree.omitted, tree.omitted_span_id = hidden, node.span.span_id
        tree.rows.append((depth, row))
    tree.shown = len(tree.rows)
    return tree


def _walk(roots: Sequence[Node]) -> Iterable[Node]:
    stack = [*reversed(roots)]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(node.children)


def _chosen(roots: Sequence[Node], critical: set[str], view: View) -> set[int]:
    """Identities of the nodes to show: roots, failures, the critical path, then the longest, with their ancestors."""
    parents: dict[int, Node] = {}
    nodes: list[Node] = []
    base = roots[0].depth if roots else 0
    for node in _walk(roots):
        parents |= {id(child): node for child in node.children}
        if node.depth - base < _DEPTH_MAX:
            nodes.append(node)

    def rank(node: Node) -> tuple[int, float]:
        if id(node) not in parents:
            return 0, 0.0
        kind = 1 if node.span.status == "error" else 2 if node.span.span_id in critical else 3
        return kind, -node.duration_ms

    chosen: set[int] = set()
    left = view.characters_max
    for node in sorted(nodes, key=rank):
        if left < _SPAN_CHARACTERS_MIN:
            break
        wanted = _lineage(node, parents, chosen)
        cost = sum(_cost(one) for one in wanted)
        if cost > left or len(chosen) + len(wanted) > view.max_spans:
            if not chosen:
                return {id(node)}
            continue
        chosen |= {id(one) for one in wanted}
        left -= cost
    return chosen


def _lineage(node: Node, parents: dict[int, Node], chosen: set[int]) -> list[Node]:
    found: list[Node] = []
    here: Node | None = node
    while here is not None and id(here) not in chosen:
        found.append(here)
        here = parents.get(id(here))
    return found


def _cost(node: Node) -> int:
    return len(json.dumps(_row(node, 0)))


def _row(node: Node, start_ns: int) -> JsonObject:
    span = node.span
    row: JsonObject = {
        "span_id": span.span_id,
        "name": clip(span.name, _NAME_CHARACTERS_MAX),
        "start_time": iso(span.start_ns),
        "offset_ms": round((span.start_ns - start_ns) / 1e6, 3),
        "duration_ms": round(node.duration_ms, 3),
        "self_ms": round(node.self_ms, 3),
        "status": span.status,
    }
    if span.status_message:
        row["status_message"] = clip(span.status_message, _VALUE_CHARACTERS_MAX)
    if attributes := _attributes(span):
        row["attributes"] = attributes
    row["children"] = []
    return row


def _attributes(span: Span) -> JsonObject:
    found: JsonObject = {}
    left = _ATTRIBUTES_CHARACTERS_MAX
    for name, value in span.attributes.items():
        text = json.dumps(value)
        shown = value if len(text) <= _VALUE_CHARACTERS_MAX else clip(text, _VALUE_CHARACTERS_MAX)
        left -= len(name) + min(len(text), _VALUE_CHARACTERS_MAX)
        if left < 0:
            break
        found[name] = shown
    return found


def _line(row: tuple[int, JsonObject]) -> str:
    depth, span = row
    status = f" {span['status'].upper()}" if span["status"] == "error" else ""
    message = f": {span['status_message']}" if "status_message" in span else ""
    hidden = f" (+{span['omitted_children']} not shown)" if "omitted_children" in span else ""
    attempt = span.get("attributes", {}).get("ratchet.attempt")
    which = f" (attempt {attempt})" if isinstance(attempt, int) and attempt > 1 else ""
    times = f"{span['duration_ms']:g} ms at +{span['offset_ms']:g}"
    return f"{'  ' * depth}{span['name']}{which}  {times}{status}{message}{hidden}"


# --- what it means ------------------------------------------------------------------------------------------------


def _step(step: PathStep) -> JsonObject:
    return {
        "span_id": step.span_id,
        "name": clip(step.name, _NAME_CHARACTERS_MAX),
        "offset_ms": round(step.offset_ms, 3),
        "contribution_ms": round(step.contribution_ms, 3),
    }


def _bottleneck(one: Bottleneck) -> JsonObject:
    return {
        "name": clip(one.name, _NAME_CHARACTERS_MAX),
        "span_id": one.span_id,
        "count": one.count,
        "self_ms": round(one.self_ms, 3),
        "share": round(one.share, 4),
    }


def _insights(execution: Execution, page: SpanPage, whole: Trace) -> list[str]:
    """What stands out, and what the figures are not made of."""
    found = insights(whole)
    if page.total > len(page.spans):
        found.append(f"Only {len(page.spans)} of {page.total} spans were read; the figures are of those.")
    failed = [one for one in execution.attempts if one.failure is not None]
    if len(execution.attempts) > 1:
        ends = ", ".join(f"{one.number}: {one.failure.type}" for one in failed[-_ATTEMPTS_MAX:] if one.failure)
        found.append(f"It has had {len(execution.attempts)} attempts, each with a root span of its own ({ends}).")
    if not execution.status.terminal:
        found.append("It has not ended: a span appears once it is finished.")
    elif not page.spans and not execution.trace:
        found.append("It ran with trace: false, so its task's spans were not stored.")
    if execution.spans_pruned_ns is not None:
        found.append(f"Its spans were removed at {iso(execution.spans_pruned_ns)}, as `retention.spans` says.")
    return found


def _next(execution: Execution, tree: _Tree, wording: Wording) -> str | None:
    if tree.omitted_span_id is not None:
        call = wording.names.call(
            "get_execution_trace", execution_id=execution.execution_id, span_id=tree.omitted_span_id
        )
        return f"{tree.omitted} spans below {tree.omitted_span_id} are not shown; for them call {call}."
    if not execution.status.terminal:
        return f"To wait for its end call {wording.follow(execution.execution_id)}."
    return None
