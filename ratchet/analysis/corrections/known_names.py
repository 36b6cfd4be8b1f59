"""Names that a failed execution itself says there are: in its messages, their notes, and what it logged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ratchet.analysis.corrections.hints import listed, read_hint
from ratchet.analysis.corrections.places import places
from ratchet.models import ExceptionInfo, LogRecord
from ratchet.redaction import REDACTED

_NAMES_MAX = 1_000
_NAME_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True)
class KnownNames:
    """By where they come from.

    Attributes:
        meant: What messages suggest.
        listed: What messages and notes list as right.
        logged: Lists of names and keys of objects in the context of log records, and lists in their messages.
    """

    meant: tuple[str, ...]
    listed: tuple[str, ...]
    logged: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Every name once, the most telling first."""
        return tuple(dict.fromkeys((*self.meant, *self.listed, *self.logged)))


def known_names(texts: Sequence[str], records: Sequence[LogRecord]) -> KnownNames:
    """What these messages and log records name."""
    hints = [read_hint(one) for one in texts]
    return KnownNames(
        meant=_usable(name for hint in hints for name in hint.meant),
        listed=_usable(name for hint in hints for name in hint.allowed),
        logged=_usable(name for record in records for name in _logged(record)),
    )


def texts_of(path: Sequence[ExceptionInfo]) -> list[str]:
    """The messages with their notes, that of the root cause first."""
    return ["\n".join([error.message, *error.notes]) for error in reversed(path)]


def _logged(record: LogRecord) -> Iterator[str]:
    for steps, value in places(record.context):
        if isinstance(value, list):
            yield from (item for item in cast("list[Any]", value) if isinstance(item, str))
        elif isinstance(value, dict) and steps:  # the outermost keys are the author's words, not names of things
            yield from cast("dict[str, Any]", value)
    yield from listed(record.message)


def _usable(names: Iterator[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in names:
        if 0 < len(name) <= _NAME_CHARACTERS_MAX and REDACTED not in name:
            found[name] = None
        if len(found) == _NAMES_MAX:
            break
    return tuple(found)
