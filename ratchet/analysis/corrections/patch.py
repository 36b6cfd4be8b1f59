"""Corrections of an input as JSON Patch (RFC 6902), and the proof that one leads to a valid input."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonpatch

from ratchet.analysis.result import Confidence
from ratchet.models import JsonObject
from ratchet.validation import SchemaValidator

Steps = tuple[str | int, ...]  # from the input to a value: keys and indexes
Patch = list[JsonObject]

PATCH_CHARACTERS_MAX = 2_000
_MALFORMED = (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError, IndexError)


def pointer(steps: Steps) -> str:
    """The steps as a JSON Pointer (RFC 6901)."""
    return jsonpatch.JsonPointer.from_parts(steps).path


def add(steps: Steps, value: Any) -> JsonObject:
    """Put a value where none is."""
    return {"op": "add", "path": pointer(steps), "value": value}


def replace(steps: Steps, value: Any) -> JsonObject:
    """Put a value in the place of another."""
    return {"op": "replace", "path": pointer(steps), "value": value}


def remove(steps: Steps) -> JsonObject:
    """Take a value out."""
    return {"op": "remove", "path": pointer(steps)}


def move(steps: Steps, to: Steps) -> JsonObject:
    """Take a value from one place to another."""
    return {"op": "move", "from": pointer(steps), "path": pointer(to)}


def apply_patch(document: Any, patch: Sequence[Mapping[str, Any]]) -> Any:
    """What a patch makes of a document, which stays as it is.

    Raises:
        ValueError: It is no patch, or none for this document.
    """
    try:
        return jsonpatch.apply_patch(copy.deepcopy(document), [copy.deepcopy(dict(one)) for one in patch])
    except _MALFORMED as error:
        raise ValueError(f"the patch cannot be applied: {error}") from error


@dataclass(frozen=True, slots=True)
class Fix:
    """A correction that something speaks for.

    Attributes:
        patch: What to change.
        confidence: How much speaks for it.
        text: What speaks for it, as a sentence.
    """

    patch: Patch
    confidence: Confidence
    text: str


class Verifier:
    """Lets only patches through that make a valid input of this one.

    Args:
        given: The input as it was.
        schema: The task's input schema; None (the task is gone) lets nothing through.
    """

    def __init__(self, given: JsonObject, schema: JsonObject | None) -> None:
        self._given = given
        self._validator = _validator(schema)

    def accepts(self, patch: Sequence[JsonObject]) -> bool:
        """Whether the patch applies, changes something, fits the schema, and is short enough to be shown."""
        if self._validator is None or not patch:
            return False
        try:
            if len(json.dumps(patch, ensure_ascii=False)) > PATCH_CHARACTERS_MAX:
                return False
            patched = apply_patch(self._given, patch)
        except ValueError:
            return False
        return not _same(patched, self._given) and not self._validator.problems(patched)


def _validator(schema: JsonObject | None) -> SchemaValidator | None:
    if schema is None:
        return None
    try:
        return SchemaValidator(schema)
    except ValueError:  # not a schema at all: nothing can be verified against it
        return None


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON, where 1 and true differ."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
