"""What JSON and the wire can carry."""

import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratchet.errors import InvalidOutputError
from ratchet.output import DEPTH_MAX, check_output, format_path, refuse_huge

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(JSON)
def test_every_json_value_is_taken_and_measured(value: Any) -> None:
    size = check_output(value, 10**9)
    assert size == len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    assert msgpack.unpackb(msgpack.packb(value)) == value
    with pytest.raises(InvalidOutputError):
        check_output(value, size - 1)


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_depth_is_bounded() -> None:
    assert check_output(_nested(DEPTH_MAX), 10**6) > 0
    for depth in (DEPTH_MAX + 1, 600, 5000):
        with pytest.raises(InvalidOutputError, match="nested deeper than 100"):
            check_output(_nested(depth), 10**6)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, float("inf")]}, r"a\[1\] is inf"),
        ({"a": {"b": {1}}}, r"a\.b is a builtins\.set"),
        ({"a": 2**64}, "a is an integer of more than 64 bits"),
        ({"\ud800": 1}, "the output is text that is not Unicode"),
        (["ok", "\udfff"], r"\[1\] is text that is not Unicode"),
        ({("a", "b"): 1}, "keys must be strings"),
    ],
)
def test_the_first_thing_that_cannot_be_carried_is_named(value: Any, message: str) -> None:
    with pytest.raises(InvalidOutputError, match=message):
        check_output(value, 10**6)


def test_huge_text_is_refused_without_looking_at_everything() -> None:
    refuse_huge({"small": [1.5] * 100_000}, 1000)
    refuse_huge("x" * 1000, 1000)
    with pytest.raises(InvalidOutputError, match="1000 are allowed"):
        refuse_huge({"a": [{"b": "x" * 1001}]}, 1000)
    circular: list[Any] = []
    circular.append(circular)
    refuse_huge(circular, 1000)


def test_paths_read_like_code() -> None:
    assert format_path(("rows", 3, "name")) == "rows[3].name"
    assert format_path((0, "a")) == "[0].a"
    assert format_path(()) == ""
