"""What a trace means, as a few sentences with numbers: what failed, where the time went, what could be saved.

Pure and deterministic. A sentence appears only where its numbers matter; what the spans cannot show (whether one step
needs another's result) is said as a condition.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlsplit

from ratchet.logsummary import template
from ratchet.models import Span
from ratchet.trace import Node, PathStep, Trace, critical_path

INSIGHTS_MAX = 6

_NAME_CHARACTERS_MAX = 80
_MESSAGE_CHARACTERS_MAX = 160
_SHARE_MIN = 0.3  # of the whole: less is nothing to speak of
_SAVING_SHARE_MIN = 0.1
_ALIKE_MIN = 5  # calls that differ in nothing but their arguments
_HOSTS_MAX = 2
_MINUTE_MS = 60_000
_SECOND_MS = 1_000

_METHOD = ("http.request.method", "http.method")
_STATUS = ("http.response.status_code", "http.status_code")
_URL = ("url.full", "http.url")
_HOST = ("server.address", "net.peer.name", "http.host")


def insights(trace: Trace, *, limit: int = INSIGHTS_MAX) -> list[str]:
    """At most `limit` sentences, the most important first; none for a trace without spans."""
    nodes = list(trace)
    if not nodes:
        return []
    path = critical_path(trace)
    found = (*_failed(nodes), *_slowest(trace, path), *_hosts(nodes), *_repeated(trace), *_one_after_another(trace))
    return list(dict.fromkeys(found))[:limit]


def duration(milliseconds: float) -> str:
    """`0.4 ms`, `83 ms`, `1.2 s`, `4.5 min`."""
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    if milliseconds < _SECOND_MS:
        return f"{milliseconds:.0f} ms"
    if milliseconds < _MINUTE_MS:
        return f"{milliseconds / _SECOND_MS:.1f} s"
    return f"{milliseconds / _MINUTE_MS:.1f} min"


# --- what failed ------------------------------------------------------------------------------------------------


def _failed(nodes: Sequence[Node]) -> Iterator[str]:
    failed = [node for node in nodes if node.span.status == "error"]
    if not failed:
        return
    # A failure that left a block marks the spans around it too: the innermost is where it began.
    origins = [node for node in failed if all(child.span.status != "error" for child in node.children)]
    last = max(origins, key=lambda node: (node.span.end_ns, node.depth))
    said = f" ({_clip(last.span.status_message, _MESSAGE_CHARACTERS_MAX)})" if last.span.status_message else ""
    if len(origins) == 1:
        yield f"The failing span is {_name(last)}, {duration(last.duration_ms)} long{said}."
    else:
        yield f"{len(origins)} of {len(nodes)} spans failed by themselves; the last is {_name(last)}{said}."


# --- where the time went ------------------------------------------------------------------------------------------


def _slowest(trace: Trace, path: Sequence[PathStep]) -> Iterator[str]:
    if not path or trace.total_ms < 1:
        return
    spent: dict[str, float] = {}
    for step in path:
        spent[step.name] = spent.get(step.name, 0.0) + step.contribution_ms
    name, own = max(spent.items(), key=lambda entry: (entry[1], entry[0]))
    share = own / trace.total_ms
    if share < _SHARE_MIN:
        return
    whole = duration(trace.total_ms)
    said = f"{100 * share:.0f} % of {whole} is spent in `{_clip(name)}` itself"
    if any(root.span.name == name for root in trace.roots):
        yield f"{said}, outside any span that it opens: open more (`ctx.span`) to see where."
    else:
        count = sum(step.name == name for step in path)
        yield f"{said} ({count} spans)." if count > 1 else f"{said}."


# --- calls of other services --------------------------------------------------------------------------------------


def _hosts(nodes: Sequence[Node]) -> Iterator[str]:
    by_host: dict[str, list[Node]] = {}
    for node in nodes:
        if (host := _host(node.span)) is not None:
            by_host.setdefault(host, []).append(node)
    ranked = sorted(by_host.items(), key=lambda entry: (-sum(node.duration_ms for node in entry[1]), entry[0]))
    for host, calls in ranked[:_HOSTS_MAX]:
        total = duration(sum(node.duration_ms for node in calls))
        longest = duration(max(node.duration_ms for node in calls))
        what = f"{len(calls)} HTTP calls" if len(calls) > 1 else "1 HTTP call"
        how_long = f"{total} together, the longest {longest}" if len(calls) > 1 else total
        yield f"{what} to {_clip(host)} took {how_long}{_failures(calls)}."


def _failures(calls: Sequence[Node]) -> str:
    kinds: Counter[str] = Counter()
    for node in calls:
        status = _number(node.span, _STATUS)
        if status is not None and status >= 400:
            kinds[f"{status // 100}xx"] += 1
        elif status is None and node.span.status == "error":
            kinds["no answer"] += 1
    return "".join(f"; {count} failed with {kind}" for kind, count in sorted(kinds.items()))


def _host(span: Span) -> str | None:
    if _text(span, _METHOD) is None and _text(span, _URL) is None:
        return None
    known = _text(span, _HOST)
    if known is not None:
        return known
    try:
        return urlsplit(_text(span, _URL) or "").hostname
    except ValueError:  # not a URL
        return None


# --- what could be saved ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Saving:
    """A sentence and the time that it is about, to rank by."""

    saved_ms: float
    sentence: str


def _repeated(trace: Trace) -> Iterator[str]:
    """Many calls that differ in their arguments only (N+1): one for all of them would do."""
    yield from _largest(_alike(node.children, trace.total_ms) for node in trace)


def _alike(children: Sequence[Node], total_ms: float) -> Iterator[_Saving]:
    groups: dict[tuple[str, str], list[Node]] = {}
    for child in children:
        groups.setdefault(_shape(child.span), []).append(child)
    for group in groups.values():
        if len(group) < _ALIKE_MIN or not _in_turn(group):
            continue
        together = sum(node.duration_ms for node in group)
        if together >= _SAVING_SHARE_MIN * total_ms:
            mean = duration(together / len(group))
            yield _Saving(
                together,
                f"{len(group)} calls of {_name(group[0])} ran one after the other, {mean} each and "
                f"{duration(together)} together (N+1 pattern): one call for all of them could save most of that.",
            )


def _one_after_another(trace: Trace) -> Iterator[str]:
    """Two neighbours that both waited for others while nothing else ran."""
    yield from _largest(_pairs(node.children, trace.total_ms) for node in trace)


def _pairs(children: Sequence[Node], total_ms: float) -> Iterator[_Saving]:
    waiting = [node for node in children if _waits(node)]
    for first, second in pairwise(waiting):
        saved = min(first.duration_ms, second.duration_ms)
        if _shape(first.span) == _shape(second.span) or not _in_turn([first, second]):
            continue
        if saved >= _SAVING_SHARE_MIN * total_ms:
            yield _Saving(
                saved,
                f"{_timed(first)} and {_timed(second)} ran one after the other: if neither needs the other's result, "
                f"running them at the same time could save {duration(saved)}.",
            )


def _largest(savings: Iterable[Iterable[_Saving]]) -> Iterator[str]:
    found = [saving for some in savings for saving in some]
    if found:
        yield max(found, key=lambda saving: saving.saved_ms).sentence


def _in_turn(nodes: Sequence[Node]) -> bool:
    """Whether each ended before the next began; they are sorted by start."""
    return all(one.span.end_ns <= other.span.start_ns for one, other in pairwise(nodes))


def _waits(node: Node) -> bool:
    """Whether most of a span's time is spent in calls of others."""
    if node.span.kind == "client" or _host(node.span) is not None:
        return True
    calls = sum(child.duration_ms for child in node.children if child.span.kind == "client" or _host(child.span))
    return calls > node.duration_ms / 2


def _shape(span: Span) -> tuple[str, str]:
    """What calls have in common that differ in their arguments only."""
    return template(span.name), f"{_text(span, _METHOD)} {_host(span)} {template(_path(span))}"


def _path(span: Span) -> str:
    try:
        return urlsplit(_text(span, _URL) or "").path
    except ValueError:  # not a URL
        return ""


def _text(span: Span, names: Sequence[str]) -> str | None:
    values = (span.attributes.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), None)


def _number(span: Span, names: Sequence[str]) -> int | None:
    values = (span.attributes.get(name) for name in names)
    return next((value for value in values if isinstance(value, int)), None)


def _timed(node: Node) -> str:
    return f"{_name(node)} ({duration(node.duration_ms)})"


def _name(node: Node) -> str:
    return f"`{_clip(node.span.name)}`"


def _clip(text: str, characters_max: int = _NAME_CHARACTERS_MAX) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= characters_max else f"{one_line[: characters_max - 1]}…"
