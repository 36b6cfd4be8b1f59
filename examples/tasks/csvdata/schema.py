"""What the columns of a table hold, guessed from their values."""

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Literal

from pydantic import BaseModel

ColumnType = Literal["integer", "number", "date", "text"]

MISSING = frozenset({"", "NA", "N/A", "null", "NULL", "NaN", "None"})
_DATE_FORMATS = ("%b %d %Y", "%d %b %Y", "%m/%d/%Y")  # beside ISO 8601
_DOMINANT_SHARE = 0.9  # a column is of a type when this share of its values is; the rest are errors


class Column(BaseModel):
    """One column.

    Attributes:
        nullable: Whether a value is missing somewhere.
        distinct: How many different values there are; counting stops at `DISTINCT_MAX`.
    """

    name: str
    type: ColumnType
    nullable: bool = False
    distinct: int = 0


class Schema(BaseModel):
    """The columns of a table, in the order of the file."""

    columns: list[Column]

    def of_type(self, *types: ColumnType) -> list[Column]:
        """The columns of any of these types."""
        return [column for column in self.columns if column.type in types]


DISTINCT_MAX = 1_000


class ColumnGuess:
    """Collects a column's values and says what they have in common."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: dict[ColumnType, int] = {"integer": 0, "number": 0, "date": 0, "text": 0}
        self._missing = 0
        self._values: set[str] = set()

    def add(self, value: str) -> None:
        """Take one value into account."""
        if value in MISSING:
            self._missing += 1
            return
        self._counts[type_of(value)] += 1
        if len(self._values) < DISTINCT_MAX:
            self._values.add(value)

    def column(self) -> Column:
        """The column as it looks after everything added."""
        return Column(name=self._name, type=self._type(), nullable=self._missing > 0, distinct=len(self._values))

    def _type(self) -> ColumnType:
        present = sum(self._counts.values())
        numbers = self._counts["integer"] + self._counts["number"]
        if present and numbers >= _DOMINANT_SHARE * present:
            return "number" if self._counts["number"] else "integer"
        if present and self._counts["date"] >= _DOMINANT_SHARE * present:
            return "date"
        return "text"


def type_of(value: str) -> ColumnType:
    """The narrowest type that `value` is of."""
    if _is(int, value):
        return "integer"
    if _is(float, value):
        return "number"
    return "text" if parse_date(value) is None else "date"


def fits(value: str, column: Column) -> bool:
    """Whether `value` may stand in `column`."""
    if value in MISSING or column.type == "text":
        return True
    found = type_of(value)
    return found == column.type or (found == "integer" and column.type == "number")


def parse_date(value: str) -> dt.date | None:
    """The date in `value`, or None where it holds none."""
    if not (value[:1].isdigit() or value[-1:].isdigit()):  # most text is not worth five attempts
        return None
    with suppress(ValueError):  # not ISO 8601: it may be written in one of the other ways
        return dt.datetime.fromisoformat(value.replace("/", "-")).date()
    for date_format in _DATE_FORMATS:
        with suppress(ValueError):
            return dt.datetime.strptime(value, date_format).replace(tzinfo=dt.UTC).date()
    return None


def duplicates(names: Iterable[str]) -> Iterator[str]:
    """Every name that has been there before."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)


def _is(kind: type[int] | type[float], value: str) -> bool:
    try:
        kind(value)
    except ValueError:
        return False
    return True
