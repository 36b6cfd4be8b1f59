"""`@task` leaves functions as they are, and refuses what cannot be a task with a message that says what to change."""

import asyncio
import inspect
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Annotated, Any, Optional

import pytest
from pydantic import Field

from ratchet import Context, task
from ratchet.authoring import collecting, definition_of
from ratchet.errors import TaskDefinitionError
from ratchet.schema import Interface
from ratchet.testing import RecordingContext


def test_a_task_stays_the_function_it_was() -> None:
    def double(number: int, *, by: int = 2) -> int:
        """Multiply."""
        return number * by

    decorated = task(double)
    assert decorated is double
    assert decorated(3) == 6
    assert str(inspect.signature(decorated)) == "(number: int, *, by: int = 2) -> int"


def test_an_asynchronous_task_is_awaited_as_before() -> None:
    @task(tags=["x"])
    async def double(number: int) -> int:
        return number * 2

    assert asyncio.run(double(4)) == 8


def test_the_id_comes_from_the_name_unless_it_is_given() -> None:
    @task
    def _Validate_csv() -> None: ...  # noqa: N802

    @task(id="other.id_1")
    def named() -> None: ...

    assert definition_of(_Validate_csv).task_id == "validate-csv"
    assert definition_of(named).task_id == "other.id_1"


@pytest.mark.parametrize("task_id", ["", "-a", "A", "a b", "a" * 65, "ä", "a\n", "../x"])
def test_an_id_that_is_not_usable_is_refused(task_id: str) -> None:
    with pytest.raises(TaskDefinitionError, match="is not usable"):

        @task(id=task_id)
        def work() -> None: ...


def test_the_definition_carries_what_was_declared() -> None:
    @task(description=" Given. ", tags=("b", "a"), timeout=timedelta(minutes=1), idempotent=True)
    def work() -> None:
        """Ignored."""

    definition = definition_of(work)
    assert definition.description == "Given."
    assert definition.tags == ("b", "a")
    assert definition.timeout_seconds == 60
    assert definition.idempotent


def test_the_description_is_the_docstring_without_its_sections() -> None:
    @task
    def work(rows: int) -> None:
        """Do it.

        With care.

        Args:
            rows: How many.

        Returns:
            Nothing.
        """

    assert definition_of(work).description == "Do it.\n\nWith care."


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_must_be_a_time(timeout: float) -> None:
    with pytest.raises(TaskDefinitionError, match="timeout must be above 0"):

        @task(timeout=timeout)
        def work() -> None: ...


def test_a_string_is_no_list_of_tags() -> None:
    with pytest.raises(TaskDefinitionError, match="list of strings"):

        @task(tags="csv")
        def work() -> None: ...


def _star(*rows: int) -> None: ...
def _stars(**rows: int) -> None: ...
def _two(a: Context, b: Context) -> None: ...
def _bare(ctx) -> None: ...  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
def _only(a, /) -> None: ...  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
def _yields() -> Generator[int]:
    yield 1


class _Holder:
    def method(self) -> None: ...


NO_TASKS: list[tuple[Any, str]] = [
    (_star, r"takes \*rows: input is an object"),
    (_stars, r"takes \*\*rows: name each parameter"),
    (_two, "two context parameters, a and b"),
    (_bare, "write `ctx: Context`"),
    (_only, "positional-only parameter a without annotation"),
    (_yields, "yields: return the whole result"),
    (_Holder.method, "is a method"),
    (staticmethod(_star), "move it out of the class"),
    (int, "decorates functions"),
    (3, "decorates functions"),
]


@pytest.mark.parametrize(("function", "message"), NO_TASKS)
def test_what_cannot_be_a_task_is_refused(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(TaskDefinitionError, match=message):
        task(function)


def test_a_function_that_is_not_decorated_is_no_task() -> None:
    with pytest.raises(TaskDefinitionError, match="decorate it with @task"):
        definition_of(_star)


def test_the_context_is_found_by_its_annotation_wherever_it_stands() -> None:
    @task
    def first(context: Context, rows: int) -> None: ...
    @task
    def last(rows: int, *, it: Optional[Context] = None) -> None: ...  # noqa: UP045
    @task
    def union(rows: int, it: "Context | None" = None) -> None: ...
    @task
    def positional(rows: int, it: Annotated[Context, "x"], /) -> None: ...
    @task
    def subclass(it: RecordingContext) -> None: ...
    @task
    def without(rows: int) -> None: ...

    names = [definition_of(function).signature.context for function in (first, last, union, positional, subclass)]
    assert names == ["context", "it", "it", "it", "it"]
    assert definition_of(without).signature.context is None


def test_definitions_are_collected_in_order_with_shadowed_ones() -> None:
    with collecting() as found:

        def make(number: int) -> None:
            @task(id=f"task-{number}")
            def work() -> None: ...

        make(2)
        make(1)
    assert [definition.task_id for definition in found] == ["task-2", "task-1"]


def test_field_as_a_default_is_refused_because_ordinary_calls_would_get_it() -> None:
    @task
    def work(rows: int = Field(ge=0)) -> None: ...

    with pytest.raises(TaskDefinitionError, match=r"Annotated\[type, Field"):
        Interface(definition_of(work))


def test_constraints_are_about_the_whole_input_and_nothing_else() -> None:
    given = {"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}

    @task(constraints=given)
    def contact(phone: str = "", email: str = "") -> None: ...

    schema = Interface(definition_of(contact)).input_schema
    assert schema["anyOf"] == given["anyOf"]
    assert schema["properties"].keys() == {"phone", "email"}
    with pytest.raises(TaskDefinitionError, match=r"'properties'; it may have .*anyOf"):
        task(constraints={"properties": {}})(_nothing)
    with pytest.raises(TaskDefinitionError, match="not JSON"):
        task(constraints={"anyOf": {1}})(_nothing)


def _nothing() -> None: ...
