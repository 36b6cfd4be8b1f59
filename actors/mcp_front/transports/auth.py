"""API keys: who may talk to the HTTP front.

Keys are resolved from the environment in this process only and kept as hashes. A key comes as `Authorization: Bearer
KEY` or `X-API-Key: KEY`; whoever sends none, or a wrong one, gets 401 and never becomes anonymous.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcp.server.auth.provider import AccessToken
from starlette.types import ASGIApp, Receive, Scope, Send

from ratchet.config.mcp import AuthConfig
from ratchet.errors import ConfigError

_AUTHORIZATION = b"authorization"
_API_KEY = b"x-api-key"


@dataclass(frozen=True, slots=True)
class Client:
    """One holder of a key."""

    name: str
    digest: bytes


class ApiKeys:
    """A token verifier for the SDK."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = tuple(clients)

    @classmethod
    def resolve(cls, auth: AuthConfig, environ: Mapping[str, str]) -> "ApiKeys | None":
        """The configured keys; None where no authentication is configured.

        Raises:
            ConfigError: A variable is not set, or a key is empty.
        """
        if auth.type == "none":
            return None
        return cls([Client(one.name, _digest(_nonempty(one.key.resolve(environ), one.name))) for one in auth.api_keys])

    async def verify_token(self, token: str) -> AccessToken | None:
        """The client whose key this is. Every key is compared, each in constant time."""
        digest = hashlib.sha256(token.encode("latin-1", "replace")).digest()  # as headers are decoded
        found: str | None = None
        for client in self._clients:
            if hmac.compare_digest(client.digest, digest):
                found = client.name
        # The SDK binds a session to what is in here; the key itself has no business in it.
        return None if found is None else AccessToken(token="", client_id=found, scopes=[])


class ApiKeyHeader:
    """ASGI middleware: `X-API-Key` where there is no `Authorization`, in the form that the SDK understands."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            headers: list[tuple[bytes, bytes]] = scope["headers"]
            given = dict(headers)
            if _API_KEY in given and _AUTHORIZATION not in given:
                scope = {**scope, "headers": [*headers, (_AUTHORIZATION, b"Bearer " + given[_API_KEY])]}
        await self._app(scope, receive, send)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _nonempty(key: str, name: str) -> str:
    if not key:
        raise ConfigError(f"the API key of {name!r} is empty: set its environment variable to the key")
    return key
