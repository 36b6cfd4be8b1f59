"""The values of every configured secret, for whoever must keep them out of logs and traces."""

from collections.abc import Iterator, Mapping

from ratchet.config.model import Config
from ratchet.config.secrets import Secret


def secret_values(config: Config, environ: Mapping[str, str]) -> list[str]:
    """The values, in no order that means anything.

    Raises:
        ConfigError: A variable that a secret refers to is not set any more.
    """
    return [value for value in {secret.resolve(environ) for secret in _secrets(config)} if value]


def _secrets(config: Config) -> Iterator[Secret]:
    yield from (one.key for one in config.mcp.server.auth.api_keys)
    yield from (one.api_key for one in config.llm.providers if one.api_key is not None)
    for server in config.mcp.servers:
        yield from server.env.values()
        yield from server.headers.values()
