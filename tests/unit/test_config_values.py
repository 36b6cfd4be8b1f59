"""Amounts, addresses, templates and secrets: the types that configuration values have."""

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from ratchet.config import Secret
from ratchet.config.address import Address, parse_address
from ratchet.config.template import Reference, TemplateError, references, substitute
from ratchet.config.units import Bytes, Count, Seconds
from ratchet.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (1024, 1024),
        ("1024", 1024),
        ("512 MiB", 512 * 2**20),
        ("1GiB", 2**30),
        (" 1.5 kib ", 1536),
        ("10 MB", 10**7),
        ("7 B", 7),
    ],
)
def test_bytes_are_numbers_or_amounts(written: object, size: int) -> None:
    assert TypeAdapter(Bytes).validate_python(written) == size


@pytest.mark.parametrize(
    "written", [0, -1, True, "", "GiB", "1 parsec", "-1 KiB", "0.3 B", 2**51, "1e3", None, [], 1.5]
)
def test_what_is_no_amount_of_bytes_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Bytes).validate_python(written)


@pytest.mark.parametrize(
    ("written", "seconds"), [(30, 30.0), (0.5, 0.5), ("30s", 30.0), ("5m", 300.0), ("1 h", 3600.0), ("250ms", 0.25)]
)
def test_seconds_are_numbers_or_durations(written: object, seconds: float) -> None:
    assert TypeAdapter(Seconds).validate_python(written) == seconds


@pytest.mark.parametrize("written", [-1, True, "soon", "5 parsecs", "31d", float("inf"), float("nan"), None, {}])
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Seconds).validate_python(written)


@pytest.mark.parametrize("written", [-1, False, 1.5, "many", 10**7])
def test_what_is_no_count_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Count).validate_python(written)


@pytest.mark.parametrize(
    ("text", "address", "loopback"),
    [
        ("127.0.0.1:8090", Address("127.0.0.1", 8090), True),
        ("localhost:0", Address("localhost", 0), True),
        ("127.8.9.10:1", Address("127.8.9.10", 1), True),
        ("[::1]:8090", Address("::1", 8090), True),
        ("[::]:8090", Address("::", 8090), False),
        ("0.0.0.0:65535", Address("0.0.0.0", 65535), False),
        ("127.0.0.1.example.org:80", Address("127.0.0.1.example.org", 80), False),
    ],
)
def test_addresses_have_a_host_and_a_port(text: str, address: Address, loopback: bool) -> None:
    assert parse_address(text) == address
    assert parse_address(text).loopback is loopback


@pytest.mark.parametrize(
    "text",
    ["", "8090", ":8090", "host:", "host:x", "host:65536", "host:-1", "::1:8090", "[::1]", "[x]:1", "a b:1", "[h:1"],
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as|brackets"):
        parse_address(text)


def test_references_are_replaced_and_escapes_kept() -> None:
    environ = {"A": "1", "EMPTY": ""}

    assert substitute("x${A}y${B:-2}z${EMPTY:-3}${EMPTY}$${A}$A$", environ) == "x1y2z3${A}$A$"
    assert references("${A}$${B}${C:-d}") == (Reference("A", None), Reference("C", "d"))


def test_what_a_variable_holds_is_not_looked_at_again() -> None:
    assert substitute("${A}", {"A": "${B}", "B": "no"}) == "${B}"


@pytest.mark.parametrize("template", ["${", "${}", "${A", "${A-b}", "${1A}", "a ${A B} c", "${${A}}"])
def test_a_malformed_reference_is_refused_without_being_shown(template: str) -> None:
    with pytest.raises(TemplateError) as caught:
        substitute(template, {"A": "value"})

    assert "${NAME:-default}" in str(caught.value)


@given(st.text(alphabet="${}A:-x"))
def test_text_that_is_escaped_comes_back_as_it_was(text: str) -> None:
    assert substitute(text.replace("${", "$${"), {}) == text


class Holder(BaseModel):
    secret: Secret


@pytest.mark.parametrize("template", ["sk-very-secret", "${KEY:-sk-very-secret}"])
def test_a_secret_never_shows_itself(template: str) -> None:
    holder = Holder.model_validate({"secret": template})
    shown = [repr(holder), str(holder.secret), f"{holder.secret}", str(holder.model_dump()), holder.model_dump_json()]

    assert not any("sk-very" in text for text in shown)
    assert holder.secret.resolve({}) == "sk-very-secret"
    assert pickle.loads(pickle.dumps(holder)) == holder


def test_a_secret_that_cannot_be_resolved_says_where_it_stands() -> None:
    secret = Secret("${KEY}", "ratchet.yaml:3: mcp.server.auth.api_keys[0].key")

    with pytest.raises(ConfigError, match=r"ratchet\.yaml:3: mcp\.server.*KEY is not set"):
        secret.resolve({})
    assert secret.variables == ("KEY",)


@pytest.mark.parametrize("value", [5, None, ["sk-very-secret"], {"a": "sk-very-secret"}])
def test_a_secret_is_text(value: Any) -> None:
    with pytest.raises(ValidationError, match="must be text"):
        Holder.model_validate({"secret": value})
