"""What pydantic found, in words for whoever wrote the file: what is wrong, what was given, what would be right."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ratchet.config.keys import ANY, every_key, names_beside, near_secret
from ratchet.config.problems import KeyPath, Problems

_SHOWN_MAX = 60
_SUMMARIES: Final[Mapping[str, str]] = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text (put it in quotes)",
    "path_type": "must be a path (put it in quotes)",
    "secret": "must be text",
    "tuple_type": "must be a list, each item on a line of its own after a dash",
    "dict_type": "must be a mapping, its keys indented below it",
    "model_type": "must be a mapping, its keys indented below it",
}
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than_equal": ("must be at least", "ge"),
    "greater_than": ("must be more than", "gt"),
    "less_than_equal": ("must be at most", "le"),
    "string_too_long": ("must have at most so many characters:", "max_length"),
}


def explain(error: ValidationError, problems: Problems) -> None:
    """Adds each of pydantic's errors, except where a key already has a problem of its own."""
    for detail in error.errors(include_url=False):
        path = detail["loc"]
        if not problems.about(path):
            problems.add(path, _message(detail, path))


def _message(detail: ErrorDetails, path: KeyPath) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown key{_nearest_key(path)}"
    if detail["type"] == "missing":
        return "is missing: it has no default"
    return f"{_wanted(detail)}; given {_given(detail['input'], path)}"


def _wanted(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _SUMMARIES:
        return _SUMMARIES[kind]
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"{words} {_plain(context[key])}"
    special: Mapping[str, Callable[[], str]] = {
        "string_too_short": lambda: "must not be empty",
        "string_pattern_mismatch": lambda: "must be the name of an environment variable: letters, digits, underscores",
        "literal_error": lambda: f"must be {context['expected']}{_nearest_choice(detail)}",
        "value_error": lambda: str(context["error"]),
    }
    return special[kind]() if kind in special else detail["msg"]


def _plain(number: Any) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)


def _given(value: Any, path: KeyPath) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list, tuple)):
        return "a mapping" if isinstance(value, dict) else "a list"
    # A key that slipped one level up or down is still a key.
    if near_secret(path):
        return "something that is not shown here, since it may be a secret"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"


def _nearest_choice(detail: ErrorDetails) -> str:
    choices: list[str] = detail.get("ctx", {})["expected"].replace(" or ", ", ").replace("'", "").split(", ")
    near = difflib.get_close_matches(str(detail["input"]).lower(), choices, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _nearest_key(path: KeyPath) -> str:
    name = str(path[-1])
    beside = names_beside(path)
    near = difflib.get_close_matches(name.lower(), beside, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    elsewhere = [key.text for key in every_key() if key.path[-1] == name != ANY]
    if elsewhere:
        return f" here; it belongs at {' or '.join(elsewhere)}"
    return f"; known here: {', '.join(beside)}" if beside else ""
