"""Another value in the place of one that was refused: of the right type, the nearest of those there are, within bounds.

Only where the refused value says unambiguously what was meant.
"""

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ratchet.analysis.corrections.hints import Bounds
from ratchet.analysis.result import Confidence

SIMILAR = 0.6  # of 1: below this two names have nothing to do with each other
VERY_SIMILAR = 0.8
_CANDIDATES_MAX = 1_000
_NAME_CHARACTERS_MAX = 200
_SLIP_CHARACTERS_MIN = 3

_INTEGER = re.compile(r"[-+]?\d{1,18}")
_SLASHED_DATE = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})")
_SURE = {"true": True, "false": False}
_LIKELY = {"yes": True, "on": True, "1": True, "no": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True)
class Replacement:
    """A value and how likely it is meant."""

    value: Any
    confidence: Confidence


def coerce(value: Any, types: Iterable[str]) -> Replacement | None:
    """The same value as one of these JSON Schema types, or None where it is not clear what that would be."""
    for kind in types:
        found = _coerce(value, kind)
        if found is not None:
            return found
    return None


def nearest(name: str, known: Sequence[str]) -> Replacement | None:
    """The known name most like this one; None where none is like it, or two are equally."""
    candidates = [one for one in dict.fromkeys(known[:_CANDIDATES_MAX]) if one != name]
    folded = [one for one in candidates if _folded(one) == _folded(name)]
    if len(folded) == 1:
        return Replacement(folded[0], "high")
    rated = sorted(_rated(name, candidates), key=lambda entry: (-entry[0], entry[1]))
    if not rated or (len(rated) > 1 and rated[1][0] == rated[0][0]):
        return None
    rating, best = rated[0]
    likely = rating >= VERY_SIMILAR or _one_slip_apart(_folded(name), _folded(best))
    return Replacement(best, "medium" if likely else "low")


def ratio(one: str, other: str) -> float:
    """How alike two names are, 0 to 1; 0 where they have nothing to do with each other."""
    return next((rating for rating, _ in _rated(one, [other])), 0.0)


def clamp(value: Any, bounds: Bounds) -> Any | None:
    """The nearest number within the bounds; None for what is no number, is within, or cannot be made so exactly."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    whole = isinstance(value, int)
    low, high = bounds.at_least, bounds.at_most
    if bounds.above is not None and value <= bounds.above:
        low = _after(bounds.above, low) if whole else None
        if low is None:
            return None
    if bounds.below is not None and value >= bounds.below:
        high = _before(bounds.below, high) if whole else None
        if high is None:
            return None
    nearest_value: float | None = None
    if high is not None and value > high:
        nearest_value = math.floor(high) if whole else high
    elif low is not None and value < low:
        nearest_value = math.ceil(low) if whole else low
    if nearest_value is None or (low is not None and high is not None and low > high):
        return None
    return nearest_value


def _rated(name: str, candidates: Sequence[str]) -> Iterator[tuple[float, str]]:
    """Those that are like it, each with how much, 0 to 1."""
    matcher = difflib.SequenceMatcher(None, "", _folded(name[:_NAME_CHARACTERS_MAX]), autojunk=False)
    for one in candidates:
        matcher.set_seq1(_folded(one[:_NAME_CHARACTERS_MAX]))
        # The cheap upper bounds first: nearly all candidates end there.
        if matcher.real_quick_ratio() >= SIMILAR and matcher.quick_ratio() >= SIMILAR:
            rating = matcher.ratio()
            if rating >= SIMILAR:
                yield rating, one


def _after(bound: float, low: float | None) -> float:
    return max(math.floor(bound) + 1, bound if low is None else low)


def _before(bound: float, high: float | None) -> float:
    return min(math.ceil(bound) - 1, bound if high is None else high)


def _coerce(value: Any, kind: str) -> Replacement | None:
    match kind:
        case "integer":
            return _as_integer(value)
        case "number":
            return _as_number(value)
        case "boolean":
            return _as_boolean(value)
        case "string" if isinstance(value, (int, float)) and not isinstance(value, bool):
            return Replacement(json.dumps(value), "high")
        case "array":
            return _as_array(value)
        case "object":
            return _parsed(value, dict)
        case "date" if isinstance(value, str):
            return _as_date(value)
        case _:
            return None


def _as_integer(value: Any) -> Replacement | None:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return Replacement(int(value), "high")
    if isinstance(value, float) and value.is_integer():
        return Replacement(int(value), "high")
    return None


def _as_number(value: Any) -> Replacement | None:
    whole = _as_integer(value) if isinstance(value, str) else None
    if whole is not None:
        return whole
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return None
        return Replacement(number, "high") if math.isfinite(number) else None
    return None


def _as_boolean(value: Any) -> Replacement | None:
    text = str(value).strip().lower()
    if isinstance(value, str) and text in _SURE:
        return Replacement(_SURE[text], "high")
    return Replacement(_LIKELY[text], "medium") if isinstance(value, (str, int)) and text in _LIKELY else None


def _as_array(value: Any) -> Replacement | None:
    parsed = _parsed(value, list)
    if parsed is not None:
        return parsed
    return None if value is None or isinstance(value, (list, dict)) else Replacement([value], "medium")


def _parsed(value: Any, kind: type[list[Any]] | type[dict[str, Any]]) -> Replacement | None:
    """JSON that was sent as a string."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return None
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return Replacement(parsed, "high") if isinstance(parsed, kind) else None


def _as_date(value: str) -> Replacement | None:
    match = _SLASHED_DATE.fullmatch(value.strip())  # only with the year first is it clear which is the month
    if match is None:
        return None
    year, month, day = match.groups()
    return Replacement(f"{year}-{int(month):02}-{int(day):02}", "medium")


def _one_slip_apart(one: str, other: str) -> bool:
    """Whether one wrong, missing, additional or swapped letter makes the difference, in words of some length."""
    short, long = sorted((one, other), key=len)
    if len(short) < _SLIP_CHARACTERS_MIN or len(long) - len(short) > 1:
        return False
    same = next((at for at, (left, right) in enumerate(zip(short, long, strict=False)) if left != right), len(short))
    if len(short) < len(long):
        return short[same:] == long[same + 1 :]
    swapped = short[same : same + 2] == long[same : same + 2][::-1]
    return short[same + 1 :] == long[same + 1 :] or (swapped and short[same + 2 :] == long[same + 2 :])


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip()).casefold()
