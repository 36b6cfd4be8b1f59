"""What error messages say would have been right."""

import time

import pytest

from ratchet.analysis.corrections.hints import Bounds, read_hint


@pytest.mark.parametrize(
    ("message", "meant"),
    [
        ("no file 'wether.csv' (from /x); did you mean 'weather.csv'?", ("weather.csv",)),
        ("Unknown option. Did you mean: retries?", ("retries",)),
        ('name is wrong, perhaps you meant "total"', ("total",)),
        ("did you read the manual?", ()),
    ],
)
def test_what_a_message_asks_for_is_found(message: str, meant: tuple[str, ...]):
    assert read_hint(message).meant == meant


@pytest.mark.parametrize(
    ("message", "allowed"),
    [
        ("unknown region 'mars'; expected one of 'us-east', 'us-west'", ("us-east", "us-west")),
        ("mode must be one of ['fast', 'slow']", ("fast", "slow")),
        ("Input should be 'mean', 'sum' or 'max'", ("mean", "sum", "max")),
        ("'x' is not in ['a', 'b']", ("a", "b")),
        ("group_by: no column 'x'; there are date, wind, rain", ("date", "wind", "rain")),
        ("give a path, or one of: airports.csv, barley.csv", ("airports.csv", "barley.csv")),
        ("available columns: price, name and id", ("price", "name", "id")),
        ("invalid choice: 'x' (choose from 'a', 'b')", ("a", "b")),
        ("known keys are dict_keys(['a', 'b'])", ("a", "b")),
        ("valid values are {fast, slow}", ("fast", "slow")),
        ("level must be 'low' or 'high', got 'hihg'", ("low", "high")),
        ("expected mean, sum or max, got men", ()),
        ("there is nothing to do", ()),
        ("'x' is not a valid choice: 'x'", ()),
        ("not allowed: ['x']", ()),
        ("missing columns ['x']", ()),
    ],
)
def test_the_values_that_a_message_lists_as_right_are_found(message: str, allowed: tuple[str, ...]):
    assert read_hint(message).allowed == allowed


@pytest.mark.parametrize(
    ("message", "bounds"),
    [
        ("retries must be at most 5, got 9", Bounds(at_most=5)),
        ("rate must be between 0.5 and 1", Bounds(at_least=0.5, at_most=1)),
        ("page is out of range [1, 20]", Bounds(at_least=1, at_most=20)),
        ("Input should be less than or equal to 10", Bounds(at_most=10)),
        ("Input should be greater than 0", Bounds(above=0)),
        ("n must not be greater than 3", Bounds(at_most=3)),
        ("n >= 2 is needed", Bounds(at_least=2)),
        ("9 is greater than the maximum of 5", Bounds(at_most=5)),
        ("size cannot exceed 1_000", Bounds(at_most=1000)),
        ("count must be positive", Bounds(above=0)),
        ("count must not be negative", Bounds(at_least=0)),
        ("it took 3 seconds", Bounds()),
    ],
)
def test_the_bounds_that_a_message_names_are_found(message: str, bounds: Bounds):
    assert read_hint(message).bounds == bounds


def test_quotes_within_quotes_are_found_and_apostrophes_are_none():
    assert read_hint("\"['pricee'] not in index\"").quoted == ("pricee", "['pricee'] not in index")
    assert read_hint("it can't be and won't").quoted == ()


@pytest.mark.parametrize("piece", ["one of ", "'", "a, ", "between 1 ", "expected ", "[[[", "1_", " or "])
def test_hostile_messages_are_read_quickly(piece: str):
    started = time.perf_counter()

    read_hint(piece * 100_000)

    assert time.perf_counter() - started < 1
