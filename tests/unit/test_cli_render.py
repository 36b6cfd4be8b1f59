"""The two forms of a view: plain text for a pipe, styled text for a terminal."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from ratchet.cli.render import Block, Column, Json, Piece, Table, line, one_line, plain, printable, styled

LONG_ID = "0123456789abcdef0123"


def table(rows: int = 1) -> Table:
    columns = (Column("ID"), Column("N", right=True), Column("NOTE", flexible=True))
    return Table(columns, tuple((Piece(LONG_ID), Piece(str(n)), Piece("word " * 40)) for n in range(rows)))


def shown(blocks: list[Block], width: int = 60) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system="standard", highlight=False)
    for renderable in styled(blocks, width):
        console.print(renderable, crop=False)
    return file.getvalue()


def test_a_plain_table_is_aligned_and_never_cut() -> None:
    text = plain([table()])
    header, row = text.splitlines()
    assert row.startswith(LONG_ID)
    assert "word " * 39 + "word" in row
    assert header.index("NOTE") == row.index("word")


def test_a_plain_view_has_no_escape_sequences() -> None:
    assert "\x1b" not in plain([line(Piece("red", "red")), table(), Json({"a": 1})])


def test_a_styled_table_folds_the_flexible_column_and_keeps_ids_whole() -> None:
    text = shown([table()])
    assert LONG_ID in text
    assert len(text.splitlines()) > 3


def test_a_table_wider_than_the_terminal_is_left_to_the_terminal_to_wrap() -> None:
    columns = (Column("ID"), Column("OTHER"), Column("NOTE", flexible=True, cut=True))
    text = shown([Table(columns, ((Piece(LONG_ID), Piece("x" * 30), Piece("word " * 40)),))], width=30)
    assert LONG_ID in text
    assert "x" * 30 in text


def test_a_cut_column_keeps_a_row_on_its_line() -> None:
    columns = (Column("ID"), Column("NOTE", flexible=True, cut=True))
    text = shown([Table(columns, ((Piece(LONG_ID), Piece("word " * 40)),))])
    assert len(text.splitlines()) == 3
    assert LONG_ID in text
    assert "…" in text


def test_a_styled_line_has_colours_and_reads_no_markup() -> None:
    text = shown([line(Piece("[bold]not markup[/bold]", "red"))])
    assert "\x1b[31m[bold]not markup[/bold]" in text


@pytest.mark.parametrize("form", [plain, shown])
def test_text_from_tasks_cannot_drive_the_terminal(form: Callable[[list[Block]], str]) -> None:
    hostile = "\x1b[2J\x1b]0;title\x07\x9b31mtext\x08\x07"
    text = form([line(hostile), Table((Column("A"),), ((Piece(hostile),),)), Json({"a": hostile})])
    for sequence in ("\x1b[2J", "\x1b]0", "\x07", "\x9b", "\x08"):
        assert sequence not in text
    assert "text" in text


def test_printable_keeps_lines_and_tabs_and_shows_the_rest() -> None:
    assert printable("a\tb\nc\x00d\x1b[31me\x1b[0m\r\nf") == "a\tb\nc\\x00de\nf"


def test_one_line_is_the_first_that_says_something() -> None:
    assert one_line("\n\n  first \nsecond") == "first"
    assert one_line("x" * 300, 10) == "x" * 9 + "…"
    assert one_line("") == ""


def test_a_long_json_value_is_cut_and_says_so() -> None:
    text = plain([Json(list(range(10_000)))])
    assert len(text) < 9_000
    assert "--json has them" in text
    assert "--json has them" in shown([Json(list(range(10_000)))])
