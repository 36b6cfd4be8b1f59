"""What a view consists of, and its two forms: rich renderables for a terminal, plain text for a pipe.

A view is a list of blocks made by a pure function; it knows neither where it will be shown nor rich, which is
imported only when something is really coloured. Both forms make every text harmless to a terminal, so that no view can
forget it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table as RichTable
    from rich.text import Text

_TERMINAL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_JSON_CHARACTERS_MAX = 8_000
_GAP = 3  # between the columns of a styled table
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text in one style (a rich style; empty for none)."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line, or several where a piece contains line breaks. In a terminal it folds at the edge."""

    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        right: Aligned to the right.
        flexible: May be folded where the terminal is too narrow; the others (ids!) stay whole.
        cut: Is cut instead of folded, so that a row stays a line.
    """

    title: str
    right: bool = False
    flexible: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of pieces under titles."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Piece, ...], ...]


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON value, indented. People get its beginning; `--json` is for whoever wants all of it."""

    value: Any


Block = Line | Table | Json


def heading(text: str) -> Line:
    """The title of what follows."""
    return line(Piece(text, "bold"))


def line(*parts: str | Piece) -> Line:
    """A line of pieces; plain strings have no style."""
    return Line(tuple(part if isinstance(part, Piece) else Piece(part) for part in parts))


def indented(text: str, *, by: int = 2, style: str = "") -> list[Block]:
    """Each line of `text`, shifted right."""
    return [line(Piece(" " * by + one, style)) for one in text.splitlines()]


def printable(text: str) -> str:
    """`text` without what would move the cursor, colour the screen or ring the bell: shown, it does nothing.

    Terminal sequences are left out; other control characters are written as escapes; line breaks and tabs stay.
    """
    bare = _TERMINAL_SEQUENCE.sub("", text.replace("\r\n", "\n"))
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", bare)


def one_line(text: str, limit: int = 200) -> str:
    """The first line of `text`, printable, at most `limit` characters."""
    first = next((part.strip() for part in text.splitlines() if part.strip()), "")
    shown = printable(first)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def plain(blocks: Iterable[Block]) -> str:
    """The blocks as text: nothing is cut or wrapped, columns are aligned with spaces."""
    lines: list[str] = []
    for block in blocks:
        match block:
            case Line():
                lines.append("".join(printable(piece.text) for piece in block.pieces).rstrip())
            case Table():
                lines.extend(_plain_table(block))
            case Json():
                lines.extend(_json_parts(block))
    return "\n".join(lines)


def _plain_table(table: Table) -> Iterator[str]:
    rows = [[column.title for column in table.columns]]
    rows += [[printable(piece.text).replace("\n", " ") for piece in row] for row in table.rows]
    widths = [max(len(row[index]) for row in rows) for index in range(len(table.columns))]
    for row in rows:
        cells = (
            text.rjust(width) if column.right else text.ljust(width)
            for text, width, column in zip(row, widths, table.columns, strict=True)
        )
        yield "  ".join(cells).rstrip()


def styled(blocks: Sequence[Block], width: int) -> "list[RenderableType]":
    """The blocks as rich renderables for a terminal of `width` columns. Text is never read as rich markup."""
    shown: list[RenderableType] = []
    for block in blocks:
        match block:
            case Line():
                shown.append(_rich_line(block))
            case Table():
                shown.append(_rich_table(block, width))
            case Json():
                shown.append(_rich_json(block))
    return shown


def _json_parts(block: Json) -> list[str]:
    """The text and, where it was cut, a line that says so."""
    text = printable(json.dumps(block.value, indent=2, ensure_ascii=False))
    if len(text) <= _JSON_CHARACTERS_MAX:
        return [text]
    cut = text[:_JSON_CHARACTERS_MAX].rsplit("\n", 1)[0]
    return [cut, f"… {len(text) - len(cut):,} more characters; --json has them"]


def _rich_line(block: Line) -> "Text":
    from rich.text import Text

    return Text.assemble(*((printable(piece.text), piece.style) for piece in block.pieces), overflow="fold")


def _rich_json(block: Json) -> "Text":
    from rich.highlighter import JSONHighlighter
    from rich.text import Text

    text, *rest = _json_parts(block)
    shown = JSONHighlighter()(Text(text, overflow="fold"))
    for note in rest:
        shown.append("\n" + note, style="dim")
    return shown


def _rich_table(table: Table, width: int) -> "RichTable":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    if _width_min(table) > width:
        shown.width = _width_min(table)  # the terminal wraps it: better than ids that are cut
    for column in table.columns:
        shown.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=not column.flexible,
            overflow="ellipsis" if column.cut else "fold",
        )
    for row in table.rows:
        cells = zip(row, table.columns, strict=True)
        shown.add_row(
            *(Text(printable(piece.text), piece.style, no_wrap=column.cut or None) for piece, column in cells)
        )
    return shown


def _width_min(table: Table) -> int:
    """Columns on the screen below which what may not be folded would be cut."""
    rigid = (
        max([len(column.title), *(len(row[index].text) for row in table.rows if not column.flexible)])
        for index, column in enumerate(table.columns)
    )
    return sum(rigid) + _GAP * (len(table.columns) - 1)
