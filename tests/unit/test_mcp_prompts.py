"""Prompts as texts: bounded, whatever they are about, and without a tool that the reader may not use."""

from typing import Any

import jsonschema_rs
import pytest

from actors.mcp_front.answers.answer import TEXT_CHARACTERS_MAX
from actors.mcp_front.naming import ToolNames
from actors.mcp_front.protocol import prompt_texts
from actors.mcp_front.protocol.schema_example import example
from actors.mcp_front.tools.table import TOOLS
from tests.harness import Json

NAMES = ToolNames()


def task(**changes: Any) -> Json:
    schema = {"type": "object", "properties": {"file": {"type": "string"}}, "required": ["file"]}
    row: Json = {"task_id": "t", "description": "Reads.", "input": "file: string", "input_schema": schema}
    return {**row, "output_schema": {"type": "integer"}, **changes}


def failed(number: int, task_id: str = "t", error_type: str = "ValueError", message: str = "bad") -> Json:
    return {
        "execution_id": f"exec_{number}",
        "task_id": task_id,
        "error_type": error_type,
        "category": "exception",
        "message": message,
        "created_at": f"2026-07-28T09:30:{number:02d}.000Z",
    }


def review(failures: list[Json], names: ToolNames = NAMES, *, more: bool = False) -> str:
    return prompt_texts.review(failures, "2026-07-28T09:00:00.000Z", names, more=more, scope={"since": "1h"})


def analysis(**changes: Any) -> Json:
    return {"execution_id": "exec_1", "task_id": "t", "status": "failed", "category": "bug", **changes}


def test_failures_are_counted_by_task_and_error_the_most_frequent_first() -> None:
    groups = prompt_texts.grouped([failed(4), failed(3, "u"), failed(2, message="older"), failed(1, "u", "KeyError")])
    told = [(one.task_id, one.error_type, one.count, one.newest_id, one.message) for one in groups]
    assert told == [
        ("t", "ValueError", 2, "exec_4", "bad"),
        ("u", "ValueError", 1, "exec_3", "bad"),
        ("u", "KeyError", 1, "exec_1", "bad"),
    ]


def test_a_review_says_how_many_failed_and_what_is_left_out() -> None:
    many = [failed(number, f"task-{number}", message="m" * 5_000) for number in range(59)]
    text = review(many, more=True)
    assert len(text) <= TEXT_CHARACTERS_MAX
    assert "since 2026-07-28T09:00:00.000Z: more than 59." in text
    assert "and 47 more kinds of failures" in text
    assert 'ratchet_list_executions with {"status": "failed", "since": "1h"}' in text


def test_a_prompt_names_no_tool_that_is_withheld() -> None:
    kept = {"get_execution_status", "list_executions", "list_available_tasks"}
    names = ToolNames(style="dotted", withheld=frozenset(TOOLS.keys() - kept))
    texts = [
        review([failed(1)], names),
        prompt_texts.debug(analysis(), "It failed.", names),
        prompt_texts.run(task(), None, None, ToolNames(withheld=frozenset({"analyze_execution_error"}))),
    ]
    assert 'ratchet.get_execution_status with {"execution_id": "exec_1"}' in texts[0]
    for text in texts[:2]:
        assert [name for name in names.withheld if name in text] == []
    assert "analyze_execution_error" not in texts[2]


def test_long_data_is_cut_and_the_steps_stay() -> None:
    debug = prompt_texts.debug(analysis(), "x" * 20_000, NAMES)
    huge: Json = {"type": "object", "properties": {f"field_{n}": {"type": "string"} for n in range(500)}}
    huge["required"] = list(huge["properties"])
    run = prompt_texts.run(
        task(description="d" * 400, input="i" * 400, input_schema=huge, output_schema=huge), "g" * 5_000, None, NAMES
    )
    for text in (debug, run):
        assert len(text) <= TEXT_CHARACTERS_MAX
        assert "\n3. " in text
        assert "more characters]" in text
    assert "What is cut here is whole in the answer to ratchet_list_available_tasks" in run


def test_a_run_is_prompted_with_a_call_that_completed_or_one_made_from_the_schema() -> None:
    last = {"execution_id": "exec_7", "input": {"file": "a.csv"}, "duration_ms": 12.0}
    assert '"input": {"file": "a.csv"}' in prompt_texts.run(task(), None, last, NAMES)
    for unknown in (None, {**last, "input": {"file": "x" * 2_000}}, {"execution_id": "exec_7", "duration_ms": 1.0}):
        text = prompt_texts.run(task(), None, unknown, NAMES)
        assert (
            'its values are to be replaced: ratchet_execute_task with {"task_id": "t", "input": {"file": "…"}}' in text
        )


@pytest.mark.parametrize(
    "declared",
    [
        {"type": "string", "enum": ["a", "b"]},
        {"type": "integer", "minimum": 5},
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "integer", "maximum": -3},
        {"type": ["boolean", "null"]},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        {"$ref": "#/$defs/Row"},
        {"default": 7},
        {"const": "x"},
        {},
    ],
)
def test_an_example_has_what_is_required_and_fits(declared: Json) -> None:
    row: Json = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}
    schema: Json = {"type": "object", "properties": {"v": declared, "o": {}}, "required": ["v"], "$defs": {"Row": row}}
    made = example(schema)
    assert made.keys() == {"v"}
    jsonschema_rs.validate(schema, made)


def test_an_example_of_a_schema_that_holds_itself_ends() -> None:
    node: Json = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}, "required": ["next"]}
    assert example({**node, "$defs": {"Node": node}})["next"]
