"""What a table comes to: one row a group, and how often each category occurs."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from pydantic import BaseModel, Field

from csvdata.schema import MISSING, Column, Schema, parse_date

Aggregate = Literal["mean", "sum", "min", "max"]

CATEGORIES_MAX = 12  # more different values than this make no chart
_GROUPS_MAX = 250

_FUNCTIONS = {"mean": fmean, "sum": sum, "min": min, "max": max}


class Summary(BaseModel):
    """An aggregated table.

    Attributes:
        title: What it is a summary of.
        group_by: Name of the column whose values (for a date: whose months) are the groups.
        aggregate: What was computed over each group.
        columns: Headings of `rows`: the group, the number of records, then every measure.
        rows: One row a group, by group.
        categories: How often each value of the columns with few different values occurs.
    """

    title: str
    group_by: str
    aggregate: Aggregate
    columns: list[str]
    rows: list[list[str | int | float | None]]
    categories: dict[str, dict[str, int]] = Field(default_factory=dict[str, dict[str, int]])


class Summarizer:
    """Takes records in and gives their summary out."""

    def __init__(self, schema: Schema, group_by: str | None = None) -> None:
        self._names = [column.name for column in schema.columns]
        self._group = self._names.index(_grouping(schema, group_by).name)
        self._monthly = schema.columns[self._group].type == "date"
        self._measures = {
            index: column.name
            for index, column in enumerate(schema.columns)
            if column.type in ("integer", "number") and index != self._group
        }
        self._categories = {
            index: Counter[str]()
            for index, column in enumerate(schema.columns)
            if column.type == "text" and 1 < column.distinct <= CATEGORIES_MAX
        }
        self._counts = Counter[str]()
        self._values: dict[tuple[str, int], list[float]] = {}

    def add(self, fields: Sequence[str]) -> None:
        """Take one record in."""
        group = self._key(fields[self._group])
        self._counts[group] += 1
        for index in self._measures:
            if fields[index] not in MISSING:
                self._values.setdefault((group, index), []).append(float(fields[index]))
        for index, counter in self._categories.items():
            counter[fields[index]] += 1

    def summary(self, title: str, aggregate: Aggregate) -> Summary:
        """Everything that was added, summarised.

        Raises:
            ValueError: There are more groups than a reader can do anything with.
        """
        if len(self._counts) > _GROUPS_MAX:
            raise ValueError(
                f"column {self._names[self._group]!r} makes {len(self._counts)} groups; at most {_GROUPS_MAX} are "
                "reported: set group_by to a column with fewer different values"
            )
        heading = "month" if self._monthly else self._names[self._group]
        return Summary(
            title=title,
            group_by=self._names[self._group],
            aggregate=aggregate,
            columns=[heading, "records", *self._measures.values()],
            rows=[self._row(group, aggregate) for group in sorted(self._counts)],
            categories={self._names[index]: dict(counter.most_common()) for index, counter in self._categories.items()},
        )

    def _key(self, value: str) -> str:
        if value in MISSING:
            return "(missing)"
        date = parse_date(value) if self._monthly else None
        return f"{date:%Y-%m}" if date else value

    def _row(self, group: str, aggregate: Aggregate) -> list[str | int | float | None]:
        values = (self._values.get((group, index)) for index in self._measures)
        return [group, self._counts[group], *(round(_FUNCTIONS[aggregate](one), 2) if one else None for one in values)]


def _grouping(schema: Schema, group_by: str | None) -> Column:
    """The column to group by: the one asked for, else the first date, else the text that makes the most useful groups.

    Raises:
        ValueError: There is none, or no column has the name asked for.
    """
    if group_by is not None:
        for column in schema.columns:
            if column.name == group_by:
                return column
        raise ValueError(f"group_by: no column {group_by!r}; there are {', '.join(one.name for one in schema.columns)}")
    dates = schema.of_type("date")
    if dates:
        return dates[0]
    texts = [column for column in schema.of_type("text") if 1 < column.distinct <= _GROUPS_MAX]
    if not texts:
        raise ValueError("no column makes groups: set group_by to the one that should")
    return max(texts, key=lambda column: column.distinct)
