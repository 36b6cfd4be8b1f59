"""Outputs that are content rather than data, as `ratchet.content` makes them: recognized and handed on. Pure."""

from collections.abc import Mapping
from typing import Any, TypeGuard, cast

import mcp_types as t
from pydantic import TypeAdapter, ValidationError

from ratchet.content import MARK

_BLOCKS: TypeAdapter[list[t.ContentBlock]] = TypeAdapter(list[t.ContentBlock])


def is_content(schema: Mapping[str, Any] | None) -> bool:
    """Whether an output of this schema is nothing but content: a block, a list of blocks, or perhaps none."""
    if schema is None:
        return False
    return _all_content(schema, schema.get("$defs", {})) and MARK in str(schema)


def blocks(schema: Mapping[str, Any] | None, output: Any) -> list[t.ContentBlock] | None:
    """The output as content; None: it is data."""
    if not is_content(schema):
        return None
    try:
        return _BLOCKS.validate_python(output if isinstance(output, list) else [] if output is None else [output])
    except ValidationError:  # the task is not any more what it was when it was listed
        return None


def _all_content(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    if MARK in schema or schema.get("type") == "null":
        return True
    if "$ref" in schema:
        target = definitions.get(str(schema["$ref"]).rpartition("/")[2])
        return _is_schema(target) and MARK in target
    if "anyOf" in schema:
        return all(_all_content(one, definitions) for one in schema["anyOf"])
    items = schema.get("prefixItems") or [schema.get("items")]
    return schema.get("type") == "array" and all(_is_schema(one) and _all_content(one, definitions) for one in items)


def _is_schema(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, dict) and all(isinstance(key, str) for key in cast("dict[object, object]", value))
