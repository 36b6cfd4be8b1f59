"""What a schema has against a value, in words that let its author correct it."""

import pytest

from ratchet.models import JsonObject
from ratchet.validation import PROBLEMS_MAX, SchemaValidator, summarize

PROPERTIES: JsonObject = {
    "file": {"type": "string", "description": "path of a CSV file"},
    "rows": {"type": "integer", "minimum": 1},
}
SCHEMA: JsonObject = {
    "type": "object",
    "properties": PROPERTIES,
    "required": ["file"],
    "additionalProperties": False,
}


def test_a_valid_value_has_no_problems():
    assert SchemaValidator(SCHEMA).problems({"file": "a.csv", "rows": 3}) == []


def test_a_missing_field_is_named_with_what_is_expected():
    (problem,) = SchemaValidator(SCHEMA).problems({})
    assert problem.path == "input.file"
    assert problem.message == "is required; expected string (path of a CSV file)"


def test_an_unknown_field_is_answered_with_the_nearest_known_one():
    problems = SchemaValidator(SCHEMA).problems({"file": "a", "row": 1})
    assert [(one.path, one.given) for one in problems] == [("input.row", "1")]
    assert "did you mean 'rows'?" in problems[0].message


def test_a_wrong_value_is_shown_beside_what_was_expected():
    (problem,) = SchemaValidator(SCHEMA).problems({"file": "a", "rows": 0})
    assert problem.path == "input.rows"
    assert "minimum of 1" in problem.message
    assert summarize([problem]).endswith("(given 0)")


def test_a_huge_wrong_value_is_shortened():
    (problem,) = SchemaValidator(SCHEMA).problems({"file": ["x" * 10_000]})
    assert problem.given is not None
    assert len(problem.given) <= 120


LONG = "x" * 100_000


@pytest.mark.parametrize(
    "value",
    [{"file": "a", "rows": LONG}, {"file": "a", LONG: 1}, {"file": "a", "by_name": {LONG: "no number"}}],
    ids=["a value", "an unknown name", "a name on the way"],
)
def test_what_is_said_of_something_long_is_short_and_still_says_what_is_wrong(value: JsonObject):
    by_name = {"type": "object", "additionalProperties": {"type": "integer"}}
    schema = {**SCHEMA, "properties": {**PROPERTIES, "by_name": by_name}}
    problems = SchemaValidator(schema).problems(value)
    assert len(summarize(problems)) < 1_000
    assert "is not known" in problems[0].message or problems[0].message.endswith('is not of type "integer"')


def test_the_number_of_problems_is_bounded():
    schema = {"type": "array", "items": {"type": "integer"}}
    assert len(SchemaValidator(schema).problems(["no"] * 1000)) == PROBLEMS_MAX
    assert len(SchemaValidator(SCHEMA).problems({f"name{number}": 1 for number in range(1000)})) == PROBLEMS_MAX
