"""An input that shows the form of a schema, for somebody to fill in. Pure.

Not necessarily valid: a pattern, say, is not looked at. Whoever offers it says that it is an example.
"""

from collections.abc import Mapping
from typing import Any, cast

from ratchet.models import JsonObject

_DEPTH_MAX = 4

Declared = Mapping[str, Any]


def example(schema: Declared) -> JsonObject:
    """An object with every required property of the schema; what may be left out is left out."""
    found = _value(schema, schema, _DEPTH_MAX)
    return cast("JsonObject", found) if isinstance(found, dict) else {}


def _value(declared: Declared, root: Declared, depth: int) -> Any:
    for name in ("default", "const"):
        if name in declared:
            return declared[name]
    for name in ("examples", "enum"):
        if declared.get(name):
            return declared[name][0]
    if "$ref" in declared:
        target = root.get("$defs", {}).get(str(declared["$ref"]).rpartition("/")[2], {})
        return _value(target, root, depth - 1) if depth else None
    for name in ("anyOf", "oneOf", "allOf"):
        if declared.get(name):
            return _value(declared[name][0], root, depth)
    return _of_type(declared, root, depth)


def _of_type(declared: Declared, root: Declared, depth: int) -> Any:
    match _first_type(declared):
        case "string":
            return "…"
        case "integer" | "number":
            return _number(declared)
        case "boolean":
            return True
        case "array":
            item: Declared = declared.get("items", {})
            return [_value(item, root, depth - 1)] if depth and declared.get("minItems") else []
        case "object" if depth:
            properties: Mapping[str, Declared] = declared.get("properties", {})
            required = declared.get("required", [])
            return {name: _value(one, root, depth - 1) for name, one in properties.items() if name in required}
        case "object":
            return {}
        case _:
            return None


def _first_type(declared: Declared) -> str:
    kind: str | list[str] = declared.get("type", "")
    return kind if isinstance(kind, str) else next(iter(kind), "")


def _number(declared: Declared) -> float:
    """Within its bounds, where it has any."""
    if "minimum" in declared:
        return declared["minimum"]
    if "exclusiveMinimum" in declared:
        return declared["exclusiveMinimum"] + 1
    return min(1, declared.get("maximum", declared.get("exclusiveMaximum", 2) - 1))
