"""Corrections that a failure's messages speak for: a name beside those there are, a number beside its bounds."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ratchet.analysis.corrections.hints import Bounds, read_hint
from ratchet.analysis.corrections.known_names import KnownNames
from ratchet.analysis.corrections.patch import Fix, Steps, replace
from ratchet.analysis.corrections.places import as_text, leaves, named, shown, value_at
from ratchet.analysis.corrections.schema_repair import as_json, replacing
from ratchet.analysis.corrections.values import SIMILAR, Replacement, clamp, nearest, ratio
from ratchet.analysis.result import Confidence
from ratchet.models import JsonObject

_CHARACTERS_MIN, _CHARACTERS_MAX = 2, 300  # of a value that a message can be expected to name
_PLACES_MAX = 3  # a value that stands in more places than this is not a name


@dataclass(frozen=True, slots=True)
class Mentioned:
    """A text of the input that a message names, and everywhere it stands."""

    value: str
    places: tuple[Steps, ...]


def mentioned(texts: Sequence[str], given: JsonObject) -> list[Mentioned]:
    """The texts of the input that the messages name, in the order in which the input has them."""
    found: dict[str, list[Steps]] = {}
    for steps, value in leaves(given):
        if isinstance(value, str) and _is_in(value, texts):
            found.setdefault(value, []).append(steps)
    return [Mentioned(value, tuple(steps)) for value, steps in found.items()]


def renamed(texts: Sequence[str], names: KnownNames, given: JsonObject) -> Iterator[Fix]:
    """Another name in the place of one that a message says is wrong."""
    wrong = [one for one in mentioned(texts, given) if one.value not in names.all and len(one.places) <= _PLACES_MAX]
    for one in wrong:
        new = _better(one.value, names, alone=len(wrong) == 1)
        if new is not None:
            patch = [replace(steps, new.value) for steps in one.places]
            where = " and ".join(f"`{shown(steps)}`" for steps in one.places)
            yield Fix(patch, new.confidence, f"{where} is {as_json(one.value)}; {_source(new, names)}.")


def clamped(texts: Sequence[str], given: JsonObject) -> Iterator[Fix]:
    """A number within the bounds that a message names, where it names the field or the number too."""
    for text in texts:
        bounds = read_hint(text).bounds
        if bounds:
            yield from _within(bounds, text, given)


def _within(bounds: Bounds, text: str, given: JsonObject) -> Iterator[Fix]:
    by_name = [steps for steps in named(given, text) if clamp(value_at(given, steps), bounds) is not None]
    by_value = [
        steps
        for steps, value in leaves(given)
        if clamp(value, bounds) is not None and _is_word(as_text(value) or "", text)
    ]
    both = [steps for steps in by_name if steps in by_value]
    ranked: tuple[tuple[list[Steps], Confidence], ...] = ((both, "high"), (by_name, "medium"), (by_value, "low"))
    for found, confidence in ranked:
        if len(found) == 1:
            old = value_at(given, found[0])
            new = Replacement(clamp(old, bounds), confidence)
            yield replacing(found[0], old, new, "is beyond the bound that the error names; the nearest within is")
            return
        if found:
            return  # several numbers could be meant


def _better(value: str, names: KnownNames, *, alone: bool) -> Replacement | None:
    """The name that is right; `alone`: no other value could be the wrong one, so it need not even be like it."""
    for meant in names.meant:
        if ratio(value, meant) >= SIMILAR:
            return Replacement(meant, "high")
    found = nearest(value, _of_a_kind(value, names.listed))
    if found is not None:
        return found
    only = names.meant or names.listed
    if alone and len(only) == 1:
        return Replacement(only[0], "low")
    found = nearest(value, _of_a_kind(value, names.logged))
    return None if found is None or found.confidence == "low" else Replacement(found.value, "medium")


def _of_a_kind(value: str, names: Sequence[str]) -> list[str]:
    """Paths for a path, plain names for a plain name: `files` (beside this) goes from one to the other."""
    return [name for name in names if ("/" in name) == ("/" in value)]


def _source(new: Replacement, names: KnownNames) -> str:
    if new.value in names.meant:
        return f"the error asks whether {as_json(new.value)} was meant"
    if new.value in names.listed:
        return f"of the values that the error lists {as_json(new.value)} is the nearest"
    return f"of the names that it logged {as_json(new.value)} is the nearest"


def _is_in(value: str, texts: Sequence[str]) -> bool:
    if not _CHARACTERS_MIN <= len(value) <= _CHARACTERS_MAX:
        return False
    return any(_is_word(value, text) for text in texts)


def _is_word(value: str, text: str) -> bool:
    """Whether a text stands in another, not merely as part of a longer word or number."""
    if not value or value not in text:
        return False
    before = r"(?<![\w-])" if value[0].isalnum() else ""
    after = r"(?!\w|[.-]\w)" if value[-1].isalnum() else ""
    return re.search(f"{before}{re.escape(value)}{after}", text) is not None
