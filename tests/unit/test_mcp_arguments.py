"""Tool arguments: what is accepted, what is filled in, and how a refusal helps."""

import pytest

from actors.mcp_front.tools.arguments import Arguments
from actors.mcp_front.tools.schemas import flag, integer, takes, text
from ratchet.errors import InvalidArgumentsError
from ratchet.models import JsonObject

ACCEPTS = Arguments(
    takes(
        ("execution_id",),
        execution_id=text("An id.", minLength=1),
        limit=integer("How many.", minimum=1, maximum=10, default=5),
        level=text("A level.", enum=["info", "error"]),
        deep=flag("Whether.", default=False),
    )
)


def refused(given: JsonObject | None) -> list[JsonObject]:
    with pytest.raises(InvalidArgumentsError) as caught:
        ACCEPTS.accept(given)
    return caught.value.details["problems"]


def test_defaults_are_filled_in() -> None:
    assert ACCEPTS.accept({"execution_id": "e"}) == {"execution_id": "e", "limit": 5, "deep": False}


def test_what_is_given_wins_over_defaults() -> None:
    assert ACCEPTS.accept({"execution_id": "e", "limit": 9, "deep": True, "level": "error"})["limit"] == 9


def test_null_is_an_optional_argument_left_out() -> None:
    assert ACCEPTS.accept({"execution_id": "e", "limit": None, "level": None}) == ACCEPTS.accept({"execution_id": "e"})


def test_null_is_no_value_of_a_required_argument() -> None:
    [problem] = refused({"execution_id": None})
    assert problem["path"] == "execution_id"


@pytest.mark.parametrize("given", [None, {}])
def test_a_missing_argument_is_named_with_what_it_is_for(given: JsonObject | None) -> None:
    [problem] = refused(given)
    assert problem == {"path": "execution_id", "message": "is required; expected string (An id.)"}


def test_an_unknown_argument_is_named_with_the_nearest_known_one() -> None:
    [problem] = refused({"execution_id": "e", "limits": 3})
    assert problem == {"path": "limits", "message": "is not known; did you mean 'limit'?", "given": "3"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("limit", "3", "integer"),
        ("limit", 11, "10"),
        ("limit", True, "integer"),
        ("level", "warning", "info"),
        ("deep", "yes", "boolean"),
        ("execution_id", "", "1 character"),
    ],
)
def test_a_wrong_value_is_told_with_what_was_expected(name: str, value: object, said: str) -> None:
    [problem] = refused({"execution_id": "e", name: value})
    assert problem["path"] == name
    assert said in problem["message"]
    assert problem["given"]


def test_every_problem_is_told_at_once() -> None:
    assert {problem["path"] for problem in refused({"limit": 0, "level": "?", "x": 1})} == {
        "execution_id",
        "limit",
        "level",
        "x",
    }
