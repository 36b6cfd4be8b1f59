"""The third step of the pipeline: a summary becomes a document that somebody can read."""

import tempfile
from pathlib import Path
from typing import Literal

from csvdata.summary import Summary
from pydantic import BaseModel
from reporting.charts import Series, bar_chart, column_chart, line_chart
from reporting.document import Document

from ratchet import Context, task

_MEASURES_ACROSS = 5  # more columns than that do not fit on a page


class Report(BaseModel):
    """The file that was written."""

    path: str
    pages: int
    bytes: int


@task(tags=["pipeline"])
def generate_report(
    data: Summary,
    format: Literal["pdf"] = "pdf",  # noqa: A002 - the name that callers use
    save_as: str | None = None,
    *,
    ctx: Context,
) -> Report:
    """Write a report: a chart for every measure, the categories, the whole table.

    Args:
        data: What transform-data returned.
        format: What to write.
        save_as: The file to write, ending in .pdf; by default one in the folder for temporary files.
    """
    target = _target(save_as, f"{data.title}.{format}".replace(" ", "-").lower())
    measures = data.columns[2:]
    steps = 3 + len(measures)
    document = Document(f"{data.title}: report")

    with ctx.span("overview"):
        document.add_page()
        _overview(document, data)
    ctx.progress(1, steps, "overview laid out")

    for done, name in enumerate(measures, start=2):
        with ctx.span("chart", measure=name):
            _measure(document, data, name)
        ctx.progress(done, steps, f"{name} drawn")

    with ctx.span("table", rows=len(data.rows)):
        document.add_page()
        _table(document, data)
    ctx.progress(steps - 1, steps, "table laid out")

    with ctx.span("write", path=str(target)):
        document.output(str(target))
    ctx.progress(steps, steps, "written")
    report = Report(path=str(target), pages=document.pages_count, bytes=target.stat().st_size)
    ctx.log.info("report written", **report.model_dump())
    return report


def _target(save_as: str | None, name: str) -> Path:
    if save_as is None:
        folder = Path(tempfile.gettempdir()) / "ratchet-reports"
        folder.mkdir(exist_ok=True)
        return folder / name
    target = Path(save_as).expanduser().resolve()
    if target.suffix != ".pdf":
        raise ValueError(f"save_as: {target} does not end in .pdf")
    return target


def _overview(document: Document, data: Summary) -> None:
    records = sum(count for count in _numbers(data, 1) if count is not None)
    document.heading(data.title, size=22)
    document.paragraph(
        f"{records:,.0f} records in {len(data.rows)} groups by {data.columns[0]}; "
        f"the {data.aggregate} of {', '.join(data.columns[2:]) or 'nothing'} over each."
    )
    for column, counts in data.categories.items():
        document.heading(f"Records by {column}")
        bar_chart(document, counts)
    document.heading(f"Records by {data.columns[0]}")
    _chart(document, data, "records", height=45)


def _measure(document: Document, data: Summary, name: str) -> None:
    if document.will_page_break(100):
        document.add_page()
    document.heading(f"{name}, {data.aggregate} by {data.columns[0]}")
    _chart(document, data, name, height=70)


def _table(document: Document, data: Summary) -> None:
    document.heading("All figures")
    for first in range(2, max(3, len(data.columns)), _MEASURES_ACROSS):
        shown = [0, 1, *range(first, min(first + _MEASURES_ACROSS, len(data.columns)))]
        document.listing(
            [data.columns[index] for index in shown], [[row[index] for index in shown] for row in data.rows]
        )
        document.ln(6)


def _chart(document: Document, data: Summary, name: str, height: float) -> None:
    draw = line_chart if data.columns[0] == "month" and name != "records" else column_chart
    draw(document, [str(row[0]) for row in data.rows], name, _numbers(data, data.columns.index(name)), height)


def _numbers(data: Summary, index: int) -> Series:
    return [value if isinstance(value, int | float) else None for value in (row[index] for row in data.rows)]
