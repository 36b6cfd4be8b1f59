"""Charts drawn with lines and rectangles at the document's current position."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reporting.document import FAINT, Document, latin

_COLOURS = ((21, 101, 192), (230, 81, 0), (46, 125, 50), (123, 31, 162), (173, 20, 87), (0, 131, 143))
_TICKS = 4
_LABELS_MAX = 12

Series = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a chart's axes are, and what they span."""

    left: float
    top: float
    width: float
    height: float
    low: float
    high: float
    points: int

    def x(self, index: int) -> float:
        """The horizontal position of a point."""
        return self.left + self.width * (index + 0.5) / self.points

    def y(self, value: float) -> float:
        """The vertical position of a value."""
        return self.top + self.height * (1 - (value - self.low) / (self.high - self.low))


def line_chart(document: Document, labels: Sequence[str], name: str, values: Series, height: float = 70) -> None:
    """A line over labels that follow one another; a missing value interrupts it."""
    frame = _framed(document, labels, values, height)
    if frame is None:
        return
    with document.local_context(draw_color=_COLOURS[0], line_width=0.5):
        for stretch in _stretches(values):
            points = [(frame.x(position), frame.y(value)) for position, value in stretch]
            if len(points) > 1:
                document.polyline(points)
            else:
                document.circle(*points[0], radius=0.6)
    _below(document, frame, name)


def column_chart(document: Document, labels: Sequence[str], name: str, values: Series, height: float = 70) -> None:
    """A column over each of several labels, up or down from zero; a missing value has none."""
    frame = _framed(document, labels, [0, *values], height)
    if frame is None:
        return
    width = 0.7 * frame.width / max(1, len(values))
    with document.local_context(fill_color=_COLOURS[0]):
        for position, value in enumerate(values):
            if value is not None:
                top, bottom = frame.y(max(0, value)), frame.y(min(0, value))
                document.rect(frame.x(position) - width / 2, top, width, max(0.1, bottom - top), style="F")
    _below(document, frame, name)


def bar_chart(document: Document, counts: Mapping[str, int]) -> None:
    """One horizontal bar per category, as long as its count."""
    most = max(counts.values(), default=0)
    if not most:
        document.paragraph("There is nothing to count.")
        return
    document.set_font("Helvetica", size=9)
    for index, (name, count) in enumerate(counts.items()):
        top = document.get_y()
        document.text(document.l_margin, top + 4.4, latin(name)[:24])
        length = (document.epw - 62) * count / most
        with document.local_context(fill_color=_COLOURS[index % len(_COLOURS)]):
            document.rect(document.l_margin + 40, top + 0.8, max(0.4, length), 4.6, style="F")
        document.text(document.l_margin + 42 + length, top + 4.4, f"{count:,}")
        document.set_y(top + 7)
    document.ln(4)


def _framed(document: Document, labels: Sequence[str], values: Series, height: float) -> _Frame | None:
    """Draw axes that hold the values; None (and a sentence) where there are none."""
    numbers = [value for value in values if value is not None]
    if not labels or not numbers:
        document.paragraph("There are no numbers to draw.")
        return None
    low, high, step = _scale(min(numbers), max(numbers))
    frame = _Frame(document.l_margin + 14, document.get_y() + 4, document.epw - 14, height, low, high, len(labels))
    document.set_font("Helvetica", size=7)
    with document.local_context(draw_color=FAINT, line_width=0.2):
        for tick in range(round((high - low) / step) + 1):
            value = low + tick * step
            document.line(frame.left, frame.y(value), frame.left + frame.width, frame.y(value))
            document.text(document.l_margin, frame.y(value) + 0.9, f"{value:g}")
    for index in range(0, len(labels), math.ceil(len(labels) / _LABELS_MAX)):
        text = latin(labels[index])[:10]
        document.text(frame.x(index) - document.get_string_width(text) / 2, frame.top + height + 5, text)
    return frame


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Round bounds around the values, and the distance of the grid's lines."""
    spread = (high - low) or abs(high) or 1.0
    magnitude = 10 ** math.floor(math.log10(spread / _TICKS))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude * _TICKS >= spread)
    return math.floor(low / step) * step, math.ceil(high / step + 1e-9) * step, step


def _below(document: Document, frame: _Frame, name: str) -> None:
    """The legend; what follows continues beneath it."""
    line = frame.top + frame.height + 10
    with document.local_context(fill_color=_COLOURS[0]):
        document.rect(frame.left, line - 0.5, 6, 1, style="F")
    document.text(frame.left + 8, line + 0.9, latin(name)[:60])
    document.set_xy(document.l_margin, line + 8)


def _stretches(line: Series) -> Iterator[list[tuple[int, float]]]:
    """The parts of a line between its missing values."""
    stretch: list[tuple[int, float]] = []
    for position, value in enumerate(line):
        if value is not None:
            stretch.append((position, value))
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch
