"""The rate limits of clients: each names a tool and an amount, or the server would not limit what it says."""

from collections.abc import Iterator
from typing import Final

from ratchet.config.mcp import PermissionsConfig
from ratchet.config.model import Config
from ratchet.config.problems import KeyPath, Problems
from ratchet.policy.rate_limits import limited_tool, parse_limit

_SERVER: Final[KeyPath] = ("mcp", "server")


def check_rate_limits(config: Config, problems: Problems) -> None:
    """Adds a problem for every limit that names no tool, or another's tool again, or is no limit."""
    for path, permissions in _profiles(config):
        first: dict[str, str] = {}
        for name, limit in permissions.rate_limits.items():
            place = (*path, "rate_limits", name)
            try:
                tool = limited_tool(name)
            except ValueError as error:
                problems.add(place, str(error))
                continue
            if first.setdefault(tool, name) != name:
                problems.add(place, f"limits the same tool as {first[tool]}; keep one of them")
            try:
                parse_limit(limit)
            except ValueError as error:
                problems.add(place, f"{error}; given {limit[:60]!r}")


def _profiles(config: Config) -> Iterator[tuple[KeyPath, PermissionsConfig]]:
    server = config.mcp.server
    yield (*_SERVER, "stdio", "permissions"), server.stdio.permissions
    for index, entry in enumerate(server.auth.api_keys):
        yield (*_SERVER, "auth", "api_keys", index, "permissions"), entry.permissions
