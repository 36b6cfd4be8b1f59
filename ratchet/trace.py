"""What the spans of an execution mean together: their tree, where the time went, what the end waited for.

Pure functions over spans in any order. Nothing is assumed of the links between them: parents may be missing (cut off,
or another service's) or go round in circles, siblings may overlap, children may outlive their parents.

Times in results are milliseconds relative to the first start.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ratchet.models import Span

_NS = 1_000_000  # nanoseconds in a millisecond

Interval = tuple[int, int]  # start and end in nanoseconds


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A span in its tree.

    Attributes:
        span: The span.
        depth: 0 for a root.
        children: By start.
        duration_ms: From its start to its end.
        self_ms: The part of it in which none of its children ran.
    """

    span: Span
    depth: int
    children: tuple["Node", ...]
    duration_ms: float
    self_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The spans of an execution as trees.

    Attributes:
        roots: Spans whose parent is not among them, by start. More than one where there were several attempts.
        start_ns: The first start.
        end_ns: The last end.
    """

    roots: tuple[Node, ...]
    start_ns: int
    end_ns: int

    @property
    def total_ms(self) -> float:
        """From the first start to the last end."""
        return (self.end_ns - self.start_ns) / _NS

    def __iter__(self) -> Iterator[Node]:
        """Every node, parents before their children, siblings by start."""
        stack = [*reversed(self.roots)]
        while stack:
            node = stack.pop()
            yield node
            stack += reversed(node.children)


@dataclass(frozen=True, slots=True)
class PathStep:
    """A span on the critical path, and how much of the path it accounts for by itself."""

    span_id: str
    name: str
    offset_ms: float  # of the first moment that it accounts for
    contribution_ms: float


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """All spans of one name, by what they spent outside their children.

    Attributes:
        name: Their name.
        span_id: The one with the largest self time.
        count: How many there are.
        self_ms: Their self times together.
        share: Of all self times of the trace, 0 to 1.
    """

    name: str
    span_id: str
    count: int
    self_ms: float
    share: float


@dataclass(frozen=True, slots=True)
class WaterfallRow:
    """One line of a waterfall."""

    span_id: str
    depth: int
    name: str
    offset_ms: float
    duration_ms: float
    self_ms: float
    status: str
    critical: bool


def build(spans: Iterable[Span]) -> Trace:
    """The trees of `spans`; the same whatever order they come in.

    A span whose parent is missing is a root. Of spans that are each other's ancestors the first to start is one too.
    """
    ordered = sorted(spans, key=_order)
    by_id: dict[str, int] = {}
    for index, span in enumerate(ordered):
        by_id.setdefault(span.span_id, index)
    parents = [by_id.get(span.parent_id or "") for span in ordered]
    _cut_cycles(parents)
    children: list[list[int]] = [[] for _ in ordered]
    for index, parent in enumerate(parents):
        if parent is not None:
            children[parent].append(index)
    nodes = _nodes(ordered, parents, children)
    start = min((span.start_ns for span in ordered), default=0)
    end = max((_end(span) for span in ordered), default=0)
    roots = tuple(nodes[index] for index, parent in enumerate(parents) if parent is None)
    return Trace(roots, start, end)


def _order(span: Span) -> tuple[int, int, str, int]:
    return span.start_ns, -span.end_ns, span.span_id, span.sequence


def _end(span: Span) -> int:
    return max(span.start_ns, span.end_ns)  # a clock that was set back must not make negative durations


def _cut_cycles(parents: list[int | None]) -> None:
    """Make a root of the first span of every circle."""
    settled = [False] * len(parents)
    for start in range(len(parents)):
        path: list[int] = []
        seen: set[int] = set()
        here: int | None = start
        while here is not None and not settled[here] and here not in seen:
            seen.add(here)
            path.append(here)
            here = parents[here]
        if here is not None and here in seen:
            parents[min(path[path.index(here) :])] = None
        for index in path:
            settled[index] = True


def _nodes(
    ordered: Sequence[Span], parents: Sequence[int | None], children: Sequence[Sequence[int]]
) -> dict[int, Node]:
    top_down = [(index, 0) for index, parent in enumerate(parents) if parent is None]
    for index, depth in top_down:  # grows while it is walked: parents come before their children
        top_down += [(child, depth + 1) for child in children[index]]
    nodes: dict[int, Node] = {}
    for index, depth in reversed(top_down):
        span = ordered[index]
        below = tuple(nodes[child] for child in children[index])
        duration = _end(span) - span.start_ns
        covered = _covered([(child.span.start_ns, _end(child.span)) for child in below], (span.start_ns, _end(span)))
        nodes[index] = Node(span, depth, below, duration / _NS, (duration - covered) / _NS)
    return nodes


def _covered(intervals: Sequence[Interval], bounds: Interval) -> int:
    """How much of `bounds` the union of `intervals`, sorted by start, covers."""
    covered, reached = 0, bounds[0]
    for start, end in intervals:
        from_, to = max(start, reached), min(end, bounds[1])
        if to > from_:
            covered += to - from_
            reached = to
    return covered


def critical_path(trace: Trace) -> list[PathStep]:
    """What the end of the trace waited for, in order; a span appears once, with all that it accounts for.

    Walks back from the end of a span: the child that ended last before this point is what it waited for, so the walk
    goes on inside that child, then from that child's start; time with no such child is the span's own. (The rule of
    CRISP, Zhang et al., USENIX ATC 2022.) A child that outlives its parent counts up to the parent's end. The
    contributions are disjoint parts of the trace, so their sum is at most `trace.total_ms`, and equal to it where
    there is a single root.
    """
    own: dict[int, tuple[Node, int, int]] = {}  # by identity: the node, its first moment, its nanoseconds
    pending = _waited_for(trace.roots, (trace.start_ns, trace.end_ns))
    while pending:
        node, start, stop = pending.pop()
        inside = _waited_for(node.children, (start, stop))
        pending += inside
        for first, last in _gaps(inside, (start, stop)):
            _, known, so_far = own.get(id(node), (node, first, 0))
            own[id(node)] = (node, min(known, first), so_far + last - first)
    steps = sorted(own.values(), key=lambda entry: (entry[1], entry[0].depth))
    return [
        PathStep(node.span.span_id, node.span.name, (first - trace.start_ns) / _NS, duration / _NS)
        for node, first, duration in steps
    ]


def _waited_for(nodes: Sequence[Node], bounds: Interval) -> list[tuple[Node, int, int]]:
    """The chain of nodes within `bounds` of which each ended before the next began; the last to end comes first."""
    clipped = [(node, max(node.span.start_ns, bounds[0]), min(_end(node.span), bounds[1])) for node in nodes]
    chain: list[tuple[Node, int, int]] = []
    point = bounds[1]
    # Of those that end together the one that started first explains the most.
    for node, start, end in sorted(clipped, key=lambda entry: (-entry[2], entry[1])):
        if start < end <= point:
            chain.append((node, start, end))
            point = start
    return chain


def _gaps(chain: Sequence[tuple[Node, int, int]], bounds: Interval) -> Iterator[Interval]:
    """What of `bounds` lies between the links of a chain."""
    point = bounds[1]
    for _, start, end in chain:
        if end < point:
            yield end, point
        point = start
    if bounds[0] < point:
        yield bounds[0], point


def bottlenecks(trace: Trace, limit: int = 5) -> list[Bottleneck]:
    """The names whose spans spent the most time outside their children, at most `limit`."""
    groups: dict[str, list[Node]] = {}
    for node in trace:
        groups.setdefault(node.span.name, []).append(node)
    total = sum(node.self_ms for node in trace)
    found = [_bottleneck(name, nodes, total) for name, nodes in groups.items()]
    return sorted(found, key=lambda entry: (-entry.self_ms, entry.name))[:limit]


def _bottleneck(name: str, nodes: Sequence[Node], total_ms: float) -> Bottleneck:
    largest = max(nodes, key=lambda node: node.self_ms)
    own = sum(node.self_ms for node in nodes)
    return Bottleneck(name, largest.span.span_id, len(nodes), own, own / total_ms if total_ms else 0.0)


def waterfall(trace: Trace) -> list[WaterfallRow]:
    """Every span as a row, parents before their children."""
    critical = {step.span_id for step in critical_path(trace)}
    return [
        WaterfallRow(
            span_id=node.span.span_id,
            depth=node.depth,
            name=node.span.name,
            offset_ms=(node.span.start_ns - trace.start_ns) / _NS,
            duration_ms=node.duration_ms,
            self_ms=node.self_ms,
            status=node.span.status,
            critical=node.span.span_id in critical,
        )
        for node in trace
    ]
