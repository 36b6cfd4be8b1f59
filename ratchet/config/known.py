"""The values of configured secrets, for whoever must keep them out of what is said; and who needs to know which."""

from collections.abc import Iterable, Iterator, Mapping

from ratchet.config.model import Config
from ratchet.config.secrets import Secret


def secret_values(config: Config, environ: Mapping[str, str]) -> list[str]:
    """The keys of clients, in no order that means anything.

    Raises:
        ConfigError: A variable that a secret refers to is not set any more.
    """
    return _values(_inward(config), environ)


def outward_secret_values(config: Config, environ: Mapping[str, str]) -> list[str]:
    """What LLM providers and MCP servers are given: the llm-gateway's alone, which keeps it out of what it answers.

    Raises:
        ConfigError: A variable that a secret refers to is not set any more.
    """
    return _values(_outward(config), environ)


def outward_variables(config: Config) -> frozenset[str]:
    """The environment variables that nobody but the llm-gateway has a use for."""
    outward = {name for secret in _outward(config) for name in secret.variables}
    inward = {name for secret in _inward(config) for name in secret.variables}
    return frozenset(outward - inward - set(config.tasks.env))


def _values(secrets: Iterable[Secret], environ: Mapping[str, str]) -> list[str]:
    return [value for value in {secret.resolve(environ) for secret in secrets} if value]


def _inward(config: Config) -> Iterator[Secret]:
    yield from (one.key for one in config.mcp.server.auth.api_keys)


def _outward(config: Config) -> Iterator[Secret]:
    yield from (one.api_key for one in config.llm.providers if one.api_key is not None)
    for server in config.mcp.servers:
        yield from server.env.values()
        yield from server.headers.values()
