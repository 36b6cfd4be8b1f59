"""Join tokens and keys: what is in them comes out again, and what is none is refused without being repeated."""

from collections.abc import Callable

import pytest

from ipc.curve import KeyPair, key_text, parse_key
from ipc.errors import MalformedError
from ratchet.cluster.names import actor_name, node_of, valid, worker_name
from ratchet.cluster.token import JoinToken, parse_token
from ratchet.errors import RequestError


def a_token() -> JoinToken:
    return JoinToken(KeyPair.generate().public, KeyPair.generate().secret, expires_at=1_800_000_000)


def test_a_token_carries_the_heads_key_a_secret_and_when_it_expires() -> None:
    token = a_token()
    assert parse_token(f"  {token.encode()}\n") == token


def cut_off(text: str) -> str:
    return text[:-1]


def lengthened(text: str) -> str:
    return text + "AAAA"


def without_its_beginning(text: str) -> str:
    return text[4:]


@pytest.mark.parametrize("spoil", [cut_off, lengthened, without_its_beginning, str.upper])
def test_what_is_no_token_is_refused_without_being_repeated(spoil: Callable[[str], str]) -> None:
    spoilt = spoil(a_token().encode())
    with pytest.raises(RequestError, match="ratchet node token") as caught:
        parse_token(spoilt)
    assert spoilt[8:40] not in caught.value.message


def test_neither_a_pair_nor_a_token_shows_its_secret() -> None:
    pair, token = KeyPair.generate(), a_token()
    assert repr(pair.secret) not in repr(pair)
    assert repr(token.secret) not in repr(token)


def test_the_secret_key_tells_the_public_one() -> None:
    pair = KeyPair.generate()
    assert KeyPair.of_secret(pair.secret) == pair


def test_a_key_is_read_back_from_its_text() -> None:
    key = KeyPair.generate().public
    assert parse_key(key_text(key)) == key


@pytest.mark.parametrize("text", ["", "x" * 39, "x" * 41, "~" * 40, "é" * 40])
def test_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="no CURVE key"):
        parse_key(text)


def test_names_say_to_which_node_an_actor_belongs() -> None:
    assert node_of(actor_name("gpu-1")) == "gpu-1"
    assert node_of(worker_name("gpu-1", 2)) == "gpu-1"
    assert [node_of(name) for name in ("worker:1", "task-runner", "cli:7-ab.c", "mcp-front:x.1")] == [None] * 4


@pytest.mark.parametrize("name", ["", "1", "-a", "A", "a.b", "a b", "a" * 33, "ü"])
def test_a_node_has_a_name_that_fits_into_those_of_its_actors(name: str) -> None:
    assert not valid(name)
    assert valid("gpu-1")
