"""Places in an input: every value with the way to it, and those that an error message speaks of."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from ratchet.analysis.corrections.patch import Steps
from ratchet.models import JsonObject
from ratchet.output import format_path

_PLACES_MAX = 5_000
_DEPTH_MAX = 32
_WORD_CHARACTERS_MIN = 3  # a key such as "a" stands in every message


def places(value: Any) -> Iterator[tuple[Steps, Any]]:
    """Every value below and including this one, outer before inner, in order; bounded in depth and number."""
    queue: list[tuple[Steps, Any]] = [((), value)]
    for count, (steps, one) in enumerate(queue):
        if count == _PLACES_MAX:
            return
        yield steps, one
        if len(steps) < _DEPTH_MAX and len(queue) < _PLACES_MAX:
            queue += [((*steps, step), inner) for step, inner in _inside(one)]


def objects(value: Any) -> Iterator[tuple[Steps, JsonObject]]:
    """Every object below and including this value."""
    for steps, one in places(value):
        if isinstance(one, dict):
            yield steps, cast("JsonObject", one)


def leaves(value: Any) -> Iterator[tuple[Steps, Any]]:
    """Every value that holds no others."""
    for steps, one in places(value):
        if not isinstance(one, (dict, list)):
            yield steps, one


def holding(given: JsonObject, token: str) -> list[Steps]:
    """Where this very text stands, as a string or as a number."""
    return [steps for steps, value in leaves(given) if as_text(value) == token]


def named(given: JsonObject, message: str) -> list[Steps]:
    """The values whose key stands in the message as a word of its own."""
    words = set(re.findall(r"\w[\w-]*", message))
    found = [steps for steps, _ in places(given) if steps and isinstance(steps[-1], str)]
    return [steps for steps in found if _is_named(str(steps[-1]), message, words)]


def as_text(value: Any) -> str | None:
    """A string or a number as a message would show it."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None


def value_at(given: Any, steps: Steps) -> Any:
    """The value there.

    Raises:
        LookupError: There is none.
    """
    for step in steps:
        given = dict(_inside(given))[step]
    return given


def shown(steps: Steps) -> str:
    """`options.regions[2]`, as messages name it."""
    return format_path(steps) or "the input"


def _inside(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        yield from cast("Mapping[str, Any]", value).items()
    elif isinstance(value, list):
        yield from enumerate(cast("Sequence[Any]", value))


def _is_named(key: str, message: str, words: set[str]) -> bool:
    if len(key) >= _WORD_CHARACTERS_MIN and key in words:
        return True
    return any(f"{mark}{key}{mark}" in message for mark in "'\"`")
