"""Says of a JSON value what a schema has against it: which field, what was expected, what was given.

Used for task inputs and for tool arguments alike, so that whoever sent them can correct them without guessing.
"""

import difflib
import json
from typing import Any

import jsonschema_rs

from ratchet.models import JsonObject, Model

PROBLEMS_MAX = 10
_GIVEN_CHARACTERS_MAX = 120
_SAID_CHARACTERS_MAX = 300  # of a path or a message: both quote what was sent


class Problem(Model):
    """One thing that is wrong.

    Attributes:
        path: Where, as `input.rows[3].name`; the root's own name where it concerns the whole.
        message: What is wrong and what would be right.
        given: The offending value as JSON, shortened; None where something is missing.
    """

    path: str
    message: str
    given: str | None = None


class SchemaValidator:
    """A compiled JSON Schema (2020-12)."""

    def __init__(self, schema: JsonObject) -> None:
        self._schema = schema
        self._validator = jsonschema_rs.validator_for(schema)

    def problems(self, value: Any, *, root: str = "input") -> list[Problem]:
        """What is wrong with `value`; empty where nothing is. At most `PROBLEMS_MAX` of them."""
        if self._validator.is_valid(value):
            return []
        found: list[Problem] = []
        for error in self._validator.iter_errors(value):
            found.extend(self._explain(error, root))
            if len(found) >= PROBLEMS_MAX:
                break
        return found[:PROBLEMS_MAX]

    def _explain(self, error: jsonschema_rs.ValidationError, root: str) -> list[Problem]:
        path = _middle_cut(_path(root, error.instance_path))
        kind = error.kind.as_dict()
        match error.kind.name:
            case "required":
                missing = str(kind.get("property", ""))
                return [Problem(path=f"{path}.{missing}", message=f"is required; expected {self._expected(missing)}")]
            case "additionalProperties" | "unevaluatedProperties":
                unexpected = [str(name) for name in kind.get("unexpected", [])[:PROBLEMS_MAX]]
                return [self._unknown(path, name, error.instance) for name in unexpected]
            case _:
                message = _middle_cut(str(error.message))
                return [Problem(path=path, message=message, given=_shorten(error.instance))]

    def _expected(self, name: str) -> str:
        properties: dict[str, JsonObject] = self._schema.get("properties", {})
        return _describe(properties.get(name, {}))

    def _unknown(self, path: str, name: str, instance: Any) -> Problem:
        known = sorted(self._schema.get("properties", {}))
        nearest = difflib.get_close_matches(name[:_SAID_CHARACTERS_MAX], known, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known here: {', '.join(known) or 'none'}"
        where = _middle_cut(f"{path}.{name}")
        return Problem(path=where, message=f"is not known; {hint}", given=_shorten(instance[name]))


def summarize(problems: list[Problem]) -> str:
    """The problems in one line."""
    return "; ".join(f"{one.path} {one.message}" + (f" (given {one.given})" if one.given else "") for one in problems)


def _path(root: str, steps: list[Any]) -> str:
    return root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _describe(declared: dict[str, Any]) -> str:
    kind = declared.get("type") or "/".join(sorted({str(one.get("type")) for one in declared.get("anyOf", [])}))
    description = declared.get("description")
    return (str(kind) or "a value") + (f" ({description})" if description else "")


def _middle_cut(text: str) -> str:
    """Its beginning and its end: what is wrong stands behind the value that is wrong."""
    half = _SAID_CHARACTERS_MAX // 2
    return text if len(text) <= _SAID_CHARACTERS_MAX else f"{text[:half]}…{text[1 - half :]}"


def _shorten(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _GIVEN_CHARACTERS_MAX else text[: _GIVEN_CHARACTERS_MAX - 1] + "…"
