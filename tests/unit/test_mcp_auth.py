"""API keys: resolved here only, compared as hashes, never anonymous."""

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from actors.mcp_front.transports.auth import ApiKeyHeader, ApiKeys
from ratchet.config.mcp import ApiKeyConfig, AuthConfig
from ratchet.config.secrets import Secret
from ratchet.errors import ConfigError


def auth(**keys: str) -> AuthConfig:
    entries = tuple(ApiKeyConfig(key=Secret(template), name=name) for name, template in keys.items())
    return AuthConfig(type="api_key", api_keys=entries)


async def test_a_key_leads_to_the_name_of_its_client() -> None:
    keys = ApiKeys.resolve(auth(one="${ONE}", two="${TWO}"), {"ONE": "first-key", "TWO": "second-key"})
    assert keys is not None
    token = await keys.verify_token("second-key")
    assert token is not None
    assert token.client_id == "two"
    assert "second-key" not in repr(token)


@pytest.mark.parametrize("given", ["", "first-ke", "first-key ", "FIRST-KEY", "${ONE}"])
async def test_anything_else_leads_to_nobody(given: str) -> None:
    keys = ApiKeys.resolve(auth(one="${ONE}"), {"ONE": "first-key"})
    assert keys is not None
    assert await keys.verify_token(given) is None


async def test_a_key_may_hold_other_letters() -> None:
    keys = ApiKeys.resolve(auth(one="${ONE}"), {"ONE": "schlüssel"})
    assert keys is not None
    as_a_header_arrives = "schlüssel".encode().decode("latin-1")
    assert await keys.verify_token(as_a_header_arrives) is not None


def test_an_unset_or_empty_variable_is_an_error() -> None:
    with pytest.raises(ConfigError, match="ONE"):
        ApiKeys.resolve(auth(one="${ONE}"), {})
    with pytest.raises(ConfigError, match="'one' is empty"):
        ApiKeys.resolve(auth(one="${ONE}"), {"ONE": ""})


def test_without_authentication_there_are_no_keys() -> None:
    assert ApiKeys.resolve(AuthConfig(), {}) is None


async def headers_seen(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    seen: dict[bytes, bytes] = {}

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.update(scope["headers"])

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_message: Message) -> None: ...

    scope: dict[str, Any] = {"type": "http", "method": "POST", "headers": headers}
    await ApiKeyHeader(app)(scope, receive, send)
    return seen


async def test_x_api_key_is_taken_where_there_is_no_authorization() -> None:
    assert (await headers_seen([(b"x-api-key", b"k")]))[b"authorization"] == b"Bearer k"
    both = await headers_seen([(b"x-api-key", b"k"), (b"authorization", b"Bearer other")])
    assert both[b"authorization"] == b"Bearer other"
    assert b"authorization" not in await headers_seen([])
