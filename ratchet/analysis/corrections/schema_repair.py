"""An input that its schema refuses, made to fit: what the schema itself leaves no doubt about.

A string that holds the number asked for, a misspelt name, a near miss of an enumeration, a number out of bounds, a
missing field with a default. One error after the other is mended until the input is valid; where one cannot be mended
there is no repair.
"""

import json
from collections.abc import Sequence
from typing import Any, cast

import jsonschema_rs

from ratchet.analysis.corrections.hints import Bounds
from ratchet.analysis.corrections.patch import Fix, Patch, Steps, add, apply_patch, move, remove, replace
from ratchet.analysis.corrections.places import shown, value_at
from ratchet.analysis.corrections.values import Replacement, clamp, coerce, nearest
from ratchet.analysis.result import CONFIDENCES, Confidence
from ratchet.models import JsonObject

_ROUNDS_MAX = 10
_VALUE_CHARACTERS_MAX = 80


def repair(given: JsonObject, schema: JsonObject) -> Fix | None:
    """The patch that makes `given` fit `schema`; None where it fits already or cannot be mended for certain.

    For inputs that were refused as well as for those of executions whose task has changed since.
    """
    try:
        validator = jsonschema_rs.validator_for(schema)
    except ValueError:  # no schema at all
        return None
    document: Any = given
    fixes: list[Fix] = []
    for _ in range(_ROUNDS_MAX):
        error = next(validator.iter_errors(document), None)
        if error is None:
            return joined(fixes)
        fix = _fix(error, schema)
        if fix is None:
            return None
        fixes.append(fix)
        document = apply_patch(document, fix.patch)
    return None


def joined(fixes: Sequence[Fix]) -> Fix | None:
    """Several corrections as one, as sure as the least sure of them; None for none."""
    if not fixes:
        return None
    patch: Patch = [operation for fix in fixes for operation in fix.patch]
    return Fix(patch, worst(fix.confidence for fix in fixes), " ".join(fix.text for fix in fixes))


def worst(confidences: Any) -> Confidence:
    """The least sure of some confidences."""
    return max(confidences, key=CONFIDENCES.index)


def as_json(value: Any) -> str:
    """A value as JSON, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _VALUE_CHARACTERS_MAX else f"{text[: _VALUE_CHARACTERS_MAX - 1]}…"


def replacing(steps: Steps, old: Any, new: Replacement, what: str) -> Fix:
    """The correction of one value; `what` says of it what must be, to stand behind "it"."""
    text = f"`{shown(steps)}` is {as_json(old)}; it {what}: {as_json(new.value)}."
    return Fix([replace(steps, new.value)], new.confidence, text)


def _fix(error: jsonschema_rs.ValidationError, schema: JsonObject) -> Fix | None:
    steps: Steps = tuple(error.instance_path)
    kind = error.kind.as_dict()
    match error.kind.name:
        case "type":
            types = [str(one) for one in kind.get("types", ())]
            return _replaced(error, steps, coerce(error.instance, types), f"must be of type {' or '.join(types)}")
        case "enum":
            return _replaced(
                error, steps, _choose(error.instance, kind.get("options", ())), "must be one of those listed"
            )
        case "const":
            return _replaced(error, steps, Replacement(kind.get("expected_value"), "medium"), "can only be this")
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" as name:
            bounds = _bounds(name, float(kind.get("limit", 0)))
            clamped = clamp(error.instance, bounds)
            new = None if clamped is None else Replacement(clamped, "medium")
            return _replaced(error, steps, new, f"is beyond the {name} of {kind.get('limit')}")
        case "required":
            return _missing(error.instance, steps, str(kind.get("property", "")), _declaring(error, schema))
        case "additionalProperties" | "unevaluatedProperties":
            unexpected = [str(one) for one in kind.get("unexpected", ())]
            return _unknown(error.instance, steps, unexpected, _declaring(error, schema))
        case "anyOf" | "oneOf":
            return _branch(cast("list[list[jsonschema_rs.ValidationError]]", kind.get("context", ())), schema)
        case "minLength" | "maxLength" | "pattern" | "format" if isinstance(error.instance, str):
            return _stripped(error, steps)
        case _:
            return None


def _replaced(error: jsonschema_rs.ValidationError, steps: Steps, new: Replacement | None, what: str) -> Fix | None:
    return None if new is None or not steps else replacing(steps, error.instance, new, what)


def _bounds(name: str, limit: float) -> Bounds:
    match name:
        case "minimum":
            return Bounds(at_least=limit)
        case "maximum":
            return Bounds(at_most=limit)
        case "exclusiveMinimum":
            return Bounds(above=limit)
        case _:
            return Bounds(below=limit)


def _choose(value: Any, options: Sequence[Any]) -> Replacement | None:
    """The option that reads the same in another type, else the nearest name."""
    for option in options:
        if not isinstance(value, (dict, list)) and str(option).casefold() == str(value).strip().casefold():
            return Replacement(option, "high")
    if not isinstance(value, str):
        return None
    return nearest(value, [one for one in options if isinstance(one, str)])


def _missing(instance: Any, steps: Steps, name: str, declaring: JsonObject) -> Fix | None:
    known: dict[str, Any] = declaring.get("properties", {})
    present = cast("dict[str, Any]", instance) if isinstance(instance, dict) else {}
    misspelt = nearest(name, [key for key in present if key not in known])
    place = (*steps, name)
    if misspelt is not None:
        text = f"`{shown(place)}` is required and missing; `{misspelt.value}`, which is not known, seems to be it."
        return Fix([move((*steps, misspelt.value), place)], misspelt.confidence, text)
    declared = known.get(name)
    for key in ("default", "const"):
        if isinstance(declared, dict) and key in declared:
            value = cast("dict[str, Any]", declared)[key]
            text = f"`{shown(place)}` is required and missing; its schema gives {as_json(value)} as {key}."
            return Fix([add(place, value)], "medium", text)
    return None


def _unknown(instance: Any, steps: Steps, unexpected: Sequence[str], declaring: JsonObject) -> Fix | None:
    known: dict[str, Any] = declaring.get("properties", {})
    present = cast("dict[str, Any]", instance) if isinstance(instance, dict) else {}
    for name in unexpected:
        meant = nearest(name, [key for key in known if key not in present])
        if meant is not None:
            text = f"`{shown((*steps, name))}` is not known; `{meant.value}` is."
            return Fix([move((*steps, name), (*steps, meant.value))], meant.confidence, text)
    if not unexpected:
        return None
    names = ", ".join(f"`{shown((*steps, name))}`" for name in unexpected)
    return Fix([remove((*steps, name)) for name in unexpected], "low", f"Not known, and like no known name: {names}.")


def _branch(context: Sequence[Sequence[jsonschema_rs.ValidationError]], schema: JsonObject) -> Fix | None:
    """The correction that makes one of the alternatives fit: the one with the fewest errors."""
    for errors in sorted(context, key=len):
        fixes = [_fix(error, schema) for error in errors]
        if fixes and None not in fixes:
            return joined([fix for fix in fixes if fix is not None])
    return None


def _stripped(error: jsonschema_rs.ValidationError, steps: Steps) -> Fix | None:
    stripped = str(error.instance).strip()
    if stripped == error.instance:
        return None
    return _replaced(error, steps, Replacement(stripped, "medium"), "does not fit because of the spaces around it")


def _declaring(error: jsonschema_rs.ValidationError, schema: JsonObject) -> JsonObject:
    """The part of the schema that the failing keyword stands in."""
    try:
        found = value_at(schema, tuple(error.schema_path[:-1]))
    except LookupError:
        return {}
    return cast("JsonObject", found) if isinstance(found, dict) else {}
