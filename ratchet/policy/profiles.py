"""The profiles that the configuration gives: one a key, one for stdio, one for a port that asks for no key."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ratchet.config.mcp import PermissionsConfig, ServerConfig
from ratchet.errors import ForbiddenError
from ratchet.policy.client import LOCAL, Client, Permission
from ratchet.policy.rate_limits import limited_tool


@dataclass(frozen=True, slots=True)
class Profiles:
    """Who may come in through one front.

    Attributes:
        named: By authenticated name.
        unnamed: Who comes without one; None: nobody may.
    """

    named: Mapping[str, Client] = field(default_factory=dict[str, Client])
    unnamed: Client | None = None

    @property
    def all(self) -> tuple[Client, ...]:
        """Every client that may come in."""
        return (*self.named.values(), *(() if self.unnamed is None else (self.unnamed,)))

    def of(self, name: str | None) -> Client:
        """The client of this authenticated name; None: nothing was authenticated.

        Raises:
            ForbiddenError: There is none. Whoever has a name never becomes the one without.
        """
        client = self.unnamed if name is None else self.named.get(name)
        if client is None:
            raise ForbiddenError("no client of this name is configured" if name else "a key is needed here")
        return client


def http_profiles(server: ServerConfig) -> Profiles:
    """Those of the HTTP front."""
    if server.auth.type == "none":
        return Profiles(unnamed=_client(LOCAL, PermissionsConfig(), server))
    return Profiles(named={one.name: _client(one.name, one.permissions, server) for one in server.auth.api_keys})


def stdio_profiles(server: ServerConfig) -> Profiles:
    """The one of a stdio front: the agent that started it runs as this user."""
    return Profiles(unnamed=_client(LOCAL, server.stdio.permissions, server))


def _client(name: str, given: PermissionsConfig, server: ServerConfig) -> Client:
    granted: dict[Permission, bool] = {
        "can_execute_tasks": given.can_execute_tasks,
        "can_read_logs": given.can_read_logs,
        "can_read_traces": given.can_read_traces,
    }
    return Client(
        name=name,
        permissions=frozenset(permission for permission, granted_it in granted.items() if granted_it),
        task_patterns=given.allowed_task_patterns,
        dangerous_tasks=server.security.allow_dangerous_tasks,
        rate_limits={limited_tool(one): limit for one, limit in given.rate_limits.items()},
    )
