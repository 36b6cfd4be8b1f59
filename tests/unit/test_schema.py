"""A task's types as schemas and checks."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema_rs
import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from ratchet import Context, task
from ratchet.authoring import definition_of
from ratchet.errors import InvalidInputError, InvalidOutputError
from ratchet.schema import Interface


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Box(BaseModel):
    size: int
    label: str = Field(default="", alias="Label")


@dataclass
class Pair:
    left: int
    right: str | None = None


class Row(TypedDict):
    day: date
    value: float


def interface(function: Any) -> Interface:
    return Interface(definition_of(task(function)))


def test_descriptions_come_from_fields_and_from_the_docstring() -> None:
    def work(a: Annotated[int, Field(description="from the field", ge=0)], b: int = 1, c: int = 2) -> None:
        """Work.

        Args:
            a: Ignored: the field says it.
            b (int): From the docstring,
                over two lines.
        """

    properties = interface(work).input_schema["properties"]
    assert properties["a"] == {"type": "integer", "minimum": 0, "description": "from the field"}
    assert properties["b"] == {"type": "integer", "default": 1, "description": "From the docstring, over two lines."}
    assert "description" not in properties["c"]


def test_rich_types_have_valid_schemas_and_accept_json() -> None:
    def work(
        color: Color,
        box: Box,
        pair: Pair,
        rows: list[Row],
        mode: Literal["fast", "safe"] = "safe",
        path: Path = Path("/tmp/x"),
        extra: dict[str, Any] | None = None,
        many: tuple[int, ...] = (),
    ) -> Pair:
        assert isinstance(box, Box)
        return pair

    made = interface(work)
    jsonschema_rs.meta.validate(made.input_schema)
    assert made.input_schema["additionalProperties"] is False
    assert made.input_schema["properties"]["path"]["default"] == "/tmp/x"
    assert made.input_schema["required"] == ["color", "box", "pair", "rows"]
    given = {
        "color": "red",
        "box": {"size": 1, "Label": "x"},
        "pair": {"left": 2},
        "rows": [{"day": "2026-01-02", "value": 1}],
    }
    jsonschema_rs.validate(made.input_schema, given)
    bound = made.bind(given)
    assert bound.kwargs == {
        "color": Color.RED,
        "box": Box(size=1, Label="x"),
        "pair": Pair(2),
        "rows": [{"day": date(2026, 1, 2), "value": 1.0}],
    }
    assert made.output_schema is not None
    assert made.output_schema["properties"]["left"] == {"type": "integer"}
    assert made.dump(Pair(1, "b"), 1000) == {"left": 1, "right": "b"}


def test_parameters_may_have_names_that_pydantic_keeps_for_itself() -> None:
    def work(schema: int, copy: int, _private: int, model_config: int, json: int = 3) -> None: ...

    made = interface(work)
    assert list(made.input_schema["properties"]) == ["schema", "copy", "_private", "model_config", "json"]
    given = {"schema": 1, "copy": 2, "_private": 3, "model_config": 4}
    assert made.bind(given).kwargs == given


def test_the_context_and_positional_only_parameters_take_their_places() -> None:
    def work(a: int, ctx: Context, b: int = 2, /, c: int = 3) -> None: ...

    bound = interface(work).bind({"a": 1, "c": 4}, "the context")
    assert (bound.args, bound.kwargs) == ((1, "the context", 2), {"c": 4})
    assert list(interface(work).input_schema["properties"]) == ["a", "b", "c"]


def test_a_default_is_the_functions_own_and_is_never_copied() -> None:
    shared: list[int] = []

    def work(items: list[int] = shared, lock: Any = object()) -> None: ...  # noqa: B008

    made = interface(work)
    assert made.bind({}).kwargs == {}
    assert "default" not in made.input_schema["properties"]["lock"]


def test_a_task_without_parameters_takes_the_empty_object_only() -> None:
    def work() -> None: ...

    made = interface(work)
    assert made.input_schema == {"type": "object", "properties": {}, "additionalProperties": False}
    with pytest.raises(InvalidInputError, match="x: unknown parameter; there are: none"):
        made.bind({"x": 1})


def test_unannotated_parameters_and_returns_say_nothing() -> None:
    def work(anything):  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
        return anything  # pyright: ignore[reportUnknownVariableType]

    made = interface(work)
    assert made.output_schema is None
    assert made.dump({"at": datetime(2026, 1, 2), "box": Box(size=1)}, 1000) == {  # noqa: DTZ001
        "at": "2026-01-02T00:00:00",
        "box": {"size": 1, "Label": ""},
    }


def test_problems_name_the_path_what_was_expected_and_what_was_given() -> None:
    def work(box: Box, rows: list[Row]) -> None: ...

    with pytest.raises(InvalidInputError) as caught:
        interface(work).bind({"box": {"size": "big"}, "rows": [{"day": "2026-01-02"}, {"day": "x", "value": 2}]})
    problems = caught.value.details["problems"]
    assert [(one["path"], one["given"]) for one in problems] == [
        ("box.size", "big"),
        ("rows[0].value", None),
        ("rows[1].day", "x"),
    ]
    assert "box.size: Input should be a valid integer" in caught.value.message


def test_strict_types_are_checked_as_json() -> None:
    def work(day: Annotated[date, Field(strict=True)], flag: Annotated[bool, Field(strict=True)]) -> None: ...

    assert interface(work).bind({"day": "2026-01-02", "flag": True}).kwargs["day"] == date(2026, 1, 2)
    with pytest.raises(InvalidInputError, match="flag"):
        interface(work).bind({"day": "2026-01-02", "flag": "yes"})


def test_an_output_is_checked_against_its_annotation() -> None:
    def work() -> list[Box]:
        return []

    made = interface(work)
    assert made.dump([Box(size=1), {"size": "2"}], 1000) == [{"size": 1, "Label": ""}, {"size": 2, "Label": ""}]
    with pytest.raises(InvalidOutputError, match=r"\[0\]\.size"):
        made.dump([{"size": "x"}], 1000)
    with pytest.raises(InvalidOutputError, match="9 are allowed"):
        made.dump([Box(size=1)], 9)
