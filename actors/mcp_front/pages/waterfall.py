"""An answer of `get_execution_trace` laid out on a time axis: bars, ticks, and the lists below them. Pure.

Positions are percentages of the axis, which begins with the first span that is shown and ends with the last end.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ratchet.cli.quantities import duration
from ratchet.models import JsonObject

_TICKS_MAX = 6
_WIDTH_MIN = 0.3  # per cent: less could not be seen
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class HttpCall:
    """What a span says of a call of another service."""

    method: str
    url: str
    status: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A span as a row.

    Attributes:
        level: 1 for a root.
        start: Where the bar begins, in per cent of the axis.
        width: How long it is, in per cent.
        offset: When it began, for reading; likewise the durations.
        message: What a failed span said.
        http: Of a span that is an HTTP call.
        attributes: Name and value, for reading.
        omitted: Children that are not shown.
    """

    span_id: str
    name: str
    level: int
    start: float
    width: float
    offset: str
    began: str
    duration: str
    own: str
    failed: bool
    critical: bool
    message: str
    http: HttpCall | None
    attributes: tuple[tuple[str, str], ...]
    omitted: int
    children: tuple["Bar", ...]

    def walk(self) -> Iterator["Bar"]:
        """This one and what is below it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Share:
    """A line of a list of what took time.

    Attributes:
        part: Per cent of the whole.
    """

    name: str
    span_id: str
    took: str
    part: float
    note: str


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A trace, ready to be drawn."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    path: tuple[Share, ...]
    bottlenecks: tuple[Share, ...]
    total: str
    total_spans: int
    shown_spans: int

    @property
    def http_calls(self) -> list[Bar]:
        """The spans that are HTTP calls, in the order of the tree."""
        return [bar for root in self.bars for bar in root.walk() if bar.http is not None]


def waterfall(trace: JsonObject) -> Waterfall:
    """The `trace` of an answer as a drawing."""
    axis_ms = max((one["offset_ms"] + one["duration_ms"] for one in _rows(trace["spans"])), default=0.0)
    return Waterfall(
        bars=tuple(_bar(one, 1, axis_ms) for one in trace["spans"]),
        ticks=ticks(axis_ms),
        path=_path(trace),
        bottlenecks=tuple(map(_bottleneck, trace["bottlenecks"])),
        total=duration(trace["total_ms"]),
        total_spans=trace["total_spans"],
        shown_spans=trace["shown_spans"],
    )


def ticks(axis_ms: float) -> tuple[Tick, ...]:
    """Round times along the axis: steps of 1, 2 or 5 times a power of ten, at most six."""
    if axis_ms <= 0:
        return ()
    rough = axis_ms / _TICKS_MAX
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    count = math.floor(axis_ms / step + 1e-9)
    return tuple(
        Tick(_percent(number * step, axis_ms), _tick_label(number * step, step)) for number in range(count + 1)
    )


def _tick_label(at_ms: float, step_ms: float) -> str:
    if at_ms == 0:
        return "0"
    for unit, size in (("min", 60_000.0), ("s", 1000.0), ("ms", 1.0)):
        if step_ms >= size:
            return f"{at_ms / size:g} {unit}"
    return f"{at_ms * 1000:g} µs"


def _rows(spans: Sequence[JsonObject]) -> Iterator[JsonObject]:
    for span in spans:
        yield span
        yield from _rows(span["children"])


def _bar(span: JsonObject, level: int, axis_ms: float) -> Bar:
    width = max(_WIDTH_MIN, _percent(span["duration_ms"], axis_ms))
    attributes: JsonObject = span.get("attributes", {})
    return Bar(
        span_id=span["span_id"],
        name=span["name"],
        level=level,
        start=min(_percent(span["offset_ms"], axis_ms), 100 - width),
        width=width,
        offset=duration(span["offset_ms"]),
        began=span["start_time"],
        duration=duration(span["duration_ms"]),
        own=duration(span["self_ms"]),
        failed=span["status"] == "error",
        critical=span.get("critical", False),
        message=span.get("status_message", ""),
        http=_http(attributes),
        attributes=tuple((name, _shown(value)) for name, value in attributes.items()),
        omitted=span.get("omitted_children", 0),
        children=tuple(_bar(child, level + 1, axis_ms) for child in span["children"]),
    )


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, _DECIMALS) if whole > 0 else 0.0


def _http(attributes: JsonObject) -> HttpCall | None:
    method = attributes.get("http.request.method")
    if method is None:
        return None
    status = attributes.get("http.response.status_code", attributes.get("error.type", ""))
    return HttpCall(_shown(method), _shown(attributes.get("url.full", "")), _shown(status))


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _path(trace: JsonObject) -> tuple[Share, ...]:
    total: float = trace["total_ms"]
    return tuple(
        Share(
            name=step["name"],
            span_id=step["span_id"],
            took=duration(step["contribution_ms"]),
            part=_percent(step["contribution_ms"], total),
            note="",
        )
        for step in trace["critical_path"]
    )


def _bottleneck(one: JsonObject) -> Share:
    count: int = one["count"]
    return Share(
        name=one["name"],
        span_id=one["span_id"],
        took=duration(one["self_ms"]),
        part=round(100 * one["share"], _DECIMALS),
        note=f"{count} spans" if count > 1 else "",
    )
