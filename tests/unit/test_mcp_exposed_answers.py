"""Tasks as tools: the input that a call means, and results without an output."""

from typing import Any

import pytest
from mcp_types import TextContent

from actors.mcp_front.answers.answer import TEXT_CHARACTERS_MAX, Answer
from actors.mcp_front.protocol.exposed_answers import advertised, result, task_input
from ratchet.models import Task

NUMBER = {"type": "integer"}


def made(properties: dict[str, Any], *required: str, **more: Any) -> Task:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return Task(task_id="a.task", function="f", path="/a.py", version="1", input_schema=schema, **more)


def test_null_is_left_out_where_it_can_mean_nothing_else() -> None:
    nullable: dict[str, Any] = {
        "either": {"anyOf": [NUMBER, {"type": "null"}]},
        "listed": {"type": ["integer", "null"]},
        "any": {},
    }
    task = made({"number": NUMBER, "defined": {"$ref": "#/$defs/A"}, "needed": NUMBER, **nullable}, "needed")
    given = dict.fromkeys(["number", "defined", "needed", "either", "listed", "any", "unknown"])

    assert task_input(task, given).keys() == {"needed", "either", "listed", "any", "unknown"}
    assert task_input(task, None) == {}
    assert task_input(task, {"number": 0}) == {"number": 0}


@pytest.mark.parametrize(
    ("schema", "kept"),
    [
        ({"type": "object", "properties": {}}, True),
        ({"type": "array"}, False),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}, False),
        ({"type": "object", "x-mcp-content": "image"}, False),
        (None, False),
    ],
)
def test_only_the_schema_of_an_object_is_promised(schema: dict[str, Any] | None, kept: bool) -> None:
    tool = advertised("a_task", made({}, output_schema=schema))
    assert tool.output_schema == (schema if kept else None)


def test_an_error_is_structured_only_where_no_schema_speaks_against_it() -> None:
    refused = Answer({"error": {"type": "rate_limited"}, "next": None}, "rate_limited", failed=True)
    promised = result(refused, made({}, output_schema={"type": "object"}))
    free = result(refused, made({}))

    assert (promised.structured_content, free.structured_content) == (None, refused.structured)
    for one in (promised, free):
        assert one.is_error
        assert one.meta == {"ratchet/error": {"type": "rate_limited"}}


def test_an_object_is_structured_content_though_its_type_is_not_known() -> None:
    told = {"status": "completed", "execution_id": "exec_1", "task_id": "a.task", "duration_ms": 1.0}
    found = result(Answer({**told, "output": {"a": 1}}, ""), made({}))
    assert (found.is_error, found.structured_content) == (False, {"a": 1})
    assert result(Answer({**told, "output": [1]}, ""), made({})).structured_content is None


def test_text_that_is_cut_says_which_call_shows_the_rest() -> None:
    told = {
        "status": "completed",
        "execution_id": "exec_1",
        "task_id": "a.task",
        "duration_ms": 1.0,
        "next": "For more…",
    }
    cut, note = result(Answer({**told, "output": "x" * TEXT_CHARACTERS_MAX}, ""), made({})).content
    assert isinstance(cut, TextContent)
    assert isinstance(note, TextContent)
    assert note.text.endswith("\nFor more…")
    assert len(cut.text) + len(note.text) <= TEXT_CHARACTERS_MAX
