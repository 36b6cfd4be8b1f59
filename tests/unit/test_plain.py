"""Any value as bounded JSON."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ratchet.plain import cut, plain, plain_mapping, text


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_json_stays_as_it_is() -> None:
    value = {"a": [1, 2.5, None, True, "x"], "b": {"c": "d"}}
    assert plain(value) == value


def test_other_things_become_text() -> None:
    assert plain_mapping({"kind": int, "set": {1}, "nan": float("nan"), "big": 2**70, "bad": Hostile()}) == {
        "kind": "<class 'int'>",
        "set": [1],
        "nan": "nan",
        "big": "1180591620717411303424",
        "bad": "<Hostile that cannot be printed: RuntimeError>",
    }


def test_depth_width_and_length_are_bounded_with_a_note() -> None:
    assert plain(list(range(150)))[-1] == "… 50 more"
    assert plain({str(n): n for n in range(150)})["…"] == "50 more"
    deep: Any = "bottom"
    for _ in range(50):
        deep = [deep]
    assert "bottom" in json.dumps(plain(deep))
    assert len(plain("x" * 100_000)) <= 8 * 1024
    assert len(json.dumps(plain([["x" * 100] * 100] * 100))) < 200_000


def test_a_value_that_contains_itself_ends() -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    assert "self" in plain(value)


def test_text_never_holds_what_cannot_be_sent() -> None:
    assert text("a\ud800b") == "a\\ud800b"
    assert text(Hostile()) == "<Hostile that cannot be printed: RuntimeError>"


@given(st.text(), st.integers(60, 200))
def test_a_cut_text_is_never_longer_than_allowed(line: str, characters_max: int) -> None:
    shown = cut(line, characters_max)
    assert len(shown) <= characters_max
    assert shown == line or len(line) > characters_max


@given(st.recursive(st.text() | st.floats() | st.integers() | st.binary(), lambda it: st.lists(it) | st.tuples(it, it)))
def test_the_result_is_always_json(value: Any) -> None:
    json.dumps(plain(value), allow_nan=False).encode()
