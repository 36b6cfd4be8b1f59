"""Corrections of keys: the task looked for one and did not find it, while the input has nearly the same."""

import re
from collections.abc import Iterator, Sequence

from ratchet.analysis.classify import is_a
from ratchet.analysis.corrections.hints import quoted
from ratchet.analysis.corrections.patch import Fix, move
from ratchet.analysis.corrections.places import leaves, objects, shown
from ratchet.analysis.corrections.values import nearest
from ratchet.models import ExceptionInfo, JsonObject

_MISSING = re.compile(
    r"\bmissing (?:required )?(?:field|key|option|parameter|argument|property|value|setting)s?:? ?"
    r"['\"`]([^'\"`\n]{1,100})"
    r"|['\"`]([^'\"`\n]{1,100})['\"`] is (?:required|missing|not set)\b"
    r"|\b(\w{1,100}) is (?:required|missing)\b",
    re.IGNORECASE,
)


def missing_keys(path: Sequence[ExceptionInfo]) -> list[str]:
    """The keys that exceptions on the way to the root cause say are missing, that of the root cause first."""
    found: list[str] = []
    for error in reversed(path):
        if is_a(error, "KeyError"):
            key = error.facts.get("key")
            found += [key] if isinstance(key, str) else quoted(error.message)[:1]
        found += [next(group for group in match.groups() if group) for match in _MISSING.finditer(error.message)]
    return list(dict.fromkeys(found))


def respelt(path: Sequence[ExceptionInfo], given: JsonObject) -> Iterator[Fix]:
    """The key that was looked for in the place of the one that is there and nearly the same."""
    values = {value for _, value in leaves(given) if isinstance(value, str)}
    for key in missing_keys(path):
        if key in values:  # the key came from the input: its value is wrong, not a key
            continue
        for steps, holder in objects(given):
            near = None if key in holder else nearest(key, list(holder))
            if near is not None and near.confidence != "low":
                old, new = (*steps, near.value), (*steps, key)
                text = f"The task looked for `{shown(new)}`, which is not there; `{shown(old)}` seems to be it."
                yield Fix([move(old, new)], near.confidence, text)
