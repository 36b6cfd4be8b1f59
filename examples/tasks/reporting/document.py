"""A PDF document in the report's look: margins, fonts, headings, page numbers, tables over several pages."""

from collections.abc import Sequence

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace

INK = (38, 50, 56)
FAINT = (207, 216, 220)
ACCENT = (21, 101, 192)

Cell = str | int | float | None


class Document(FPDF):
    """An A4 document with a running title and page numbers."""

    def __init__(self, title: str) -> None:
        super().__init__(format="A4")
        self._title = latin(title)
        self.set_title(self._title)
        self.set_margin(18)
        self.set_auto_page_break(auto=True, margin=20)
        self.set_draw_color(*FAINT)
        self.set_text_color(*INK)

    def header(self) -> None:
        """The running title; the first page has the big one instead."""
        if self.page_no() > 1:
            self.set_font("Helvetica", size=8)
            self.cell(0, 5, self._title, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            self.ln(4)

    def footer(self) -> None:
        """Page x of y."""
        self.set_y(-14)
        self.set_font("Helvetica", size=8)
        self.cell(0, 5, f"{self.page_no()} / {{nb}}", align="C")

    def heading(self, text: str, size: float = 13) -> None:
        """A line of its own, larger than the text."""
        self.set_font("Helvetica", style="B", size=size)
        self.cell(0, size * 0.7, latin(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(1)

    def paragraph(self, text: str) -> None:
        """Running text."""
        self.set_font("Helvetica", size=10)
        self.multi_cell(0, 5, latin(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(2)

    def listing(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """A table; its headings are repeated on every page it reaches."""
        self.set_font("Helvetica", size=9)
        self.set_fill_color(255, 255, 255)
        style = FontFace(emphasis="B", color=(255, 255, 255), fill_color=ACCENT)
        align = ("LEFT", *["RIGHT"] * (len(columns) - 1))
        with self.table(
            headings_style=style,
            text_align=align,
            line_height=5.5,
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            cell_fill_color=(245, 248, 250),
            cell_fill_mode="ROWS",
        ) as table:
            for row in [columns, *rows]:
                table.row([shown(cell) for cell in row])


def shown(cell: Cell) -> str:
    """A cell's text."""
    match cell:
        case None:
            return "-"
        case float():
            return f"{cell:,.2f}"
        case int():
            return f"{cell:,}"
        case str():
            return latin(cell)


def latin(text: str) -> str:
    """`text` in the characters that a PDF's built-in fonts have; the others become question marks."""
    return text.encode("latin-1", "replace").decode("latin-1")
