"""Redaction never raises, is idempotent, keeps no known secret, and takes time in proportion to its input."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.redaction import Redactor

PIECES = [
    *("password", "token", "secret", "api_key", "Authorization", "cookie", "Bearer ", "Basic ", "--", "://", "user:"),
    *(":", "=", " ", "=>", '"', "'", "\\", "@", "&", ",", "(", ")", "[redacted]", "[", "]", "\n", ".", "-", "_"),
    *("hunter2", "AKIAIOSFODNN7EXAMPLE", "eyJabcdefgh.abcdefgh.abc", "sk-" + "a1" * 10, "-----BEGIN PRIVATE KEY-----"),
    *("-----END PRIVATE KEY-----", "é", "0", "Digest x", "value", "name"),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=25).map("".join)
SECRETS = st.lists(st.text(min_size=4, max_size=20), max_size=3)
VALUES = st.recursive(
    TEXTS | st.none() | st.integers() | st.floats() | st.binary(max_size=20) | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=15,
)


@settings(max_examples=400)
@given(TEXTS, SECRETS)
def test_text_is_redacted_once_and_for_all(text: str, secrets: list[str]) -> None:
    redactor = Redactor(secrets)
    once = redactor.text(text)
    if not any(secret in "[redacted]" or "[redacted]" in secret for secret in secrets):
        assert redactor.text(once) == once


@settings(max_examples=200)
@given(VALUES, SECRETS)
def test_any_value_is_redacted_without_raising(value: Any, secrets: list[str]) -> None:
    Redactor(secrets).value(value)


@given(TEXTS, TEXTS, st.text("abcdefghXYZ0123456789", min_size=8, max_size=30))
def test_no_known_secret_gets_through(before: str, after: str, secret: str) -> None:
    assert secret not in Redactor([secret]).text(before + secret + after)


def test_a_value_that_contains_itself_ends() -> None:
    value: dict[str, Any] = {}
    value["self"] = [value]
    assert "nested too deep" in str(Redactor().value(value))


@pytest.mark.parametrize(
    "piece", [*PIECES, "token:", 'password="', "authorization: ", 'token"', "a", "bearer a", "://a:"]
)
def test_a_hostile_line_costs_time_in_proportion(piece: str) -> None:
    line = piece * (100_000 // len(piece))
    began = time.process_time()
    Redactor().text(line)
    assert time.process_time() - began < 2
