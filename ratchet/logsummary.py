"""Make a long log short: counts, the first error with what led to it, repeated lines as counted templates.

Pure functions over log records in order. A template is a message whose variable parts (ids, numbers, times, …) are
replaced by their kind, so that lines which differ in nothing else are one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ratchet.models import LEVELS, LogRecord

RecordT = TypeVar("RecordT", bound=LogRecord)

TEMPLATE_CHARACTERS_MAX = 500  # lines that agree up to here are one
PRECEDING = 5  # records shown before the first error

# What comes first wins where several fit. No repetition is nested in an ambiguous one, so none backtracks far.
_KINDS = {
    "url": r"[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s\"'<>]+",
    "email": r"[\w.+-]++@[\w-]+(?:\.[\w-]+)+",
    "uuid": r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b",
    "time": (
        r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
        r"|\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b"
    ),
    "ip": r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b|(?<![\w:])(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{1,4}\b",
    "quoted": r"\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)|`[^`\n]*`",
    "path": r"(?<![\w/.])(?:~|\.{1,2})?(?:/[\w.@%+=-]+)+/?|\b[A-Za-z]:\\[^\s\"'<>|]+",
    "hex": r"\b0[xX][0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{7,}\b",
    "number": r"(?<![\w.])[+-]?\d[\d_,]*(?:\.\d+)?(?:[eE][+-]?\d+)?|(?<=\D)\d+",
}
_VARIABLE = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS.items()))


@dataclass(frozen=True, slots=True)
class Repeated(Generic[RecordT]):
    """Records of one level and logger whose messages share a template.

    Attributes:
        template: The message with `<kind>` for its variable parts; the message itself where `count` is 1.
        count: How many there are.
        first: The first of them.
        last: The last of them.
    """

    template: str
    count: int
    first: RecordT
    last: RecordT


@dataclass(frozen=True, slots=True)
class LogSummary(Generic[RecordT]):
    """A log in a few lines.

    Attributes:
        counts: Records by level; every level is a key.
        first_error: The first record of level error.
        preceding: What came right before it, oldest first.
        repeated: Lines that came more than once, the most frequent first.
    """

    counts: dict[str, int]
    first_error: RecordT | None
    preceding: list[RecordT]
    repeated: list[Repeated[RecordT]]


def template(message: str) -> str:
    """The message with every variable part replaced by its kind: `took 3 ms` becomes `took <number> ms`."""
    return _VARIABLE.sub(lambda found: f"<{found.lastgroup}>", message[:TEMPLATE_CHARACTERS_MAX])


def collapse(records: Iterable[RecordT]) -> list[Repeated[RecordT]]:
    """Every distinct line once, where it first appeared."""
    groups: dict[tuple[str, str, str], list[RecordT]] = {}
    for record in records:
        groups.setdefault((record.level, record.logger, template(record.message)), []).append(record)
    return [
        Repeated(shape if len(group) > 1 else group[0].message, len(group), group[0], group[-1])
        for (_, _, shape), group in groups.items()
    ]


def summarise(records: Sequence[RecordT], *, preceding: int = PRECEDING, repeated: int = 10) -> LogSummary[RecordT]:
    """What a reader should know first about `records`.

    Args:
        records: In order.
        preceding: How many records before the first error to give.
        repeated: How many repeated lines to give.
    """
    found = Counter(record.level for record in records)
    error_at = next((index for index, record in enumerate(records) if record.level == "error"), None)
    often = [line for line in collapse(records) if line.count > 1]
    return LogSummary(
        counts={level: found[level] for level in LEVELS},
        first_error=None if error_at is None else records[error_at],
        preceding=[] if error_at is None else [*records[max(0, error_at - preceding) : error_at]],
        repeated=sorted(often, key=lambda line: -line.count)[:repeated],
    )
