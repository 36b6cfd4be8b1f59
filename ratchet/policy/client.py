"""A client's profile: who it is and what it may do. It travels with every request that is made on its behalf."""

from typing import Literal, get_args

from pydantic import Field

from ratchet.models import Model

Permission = Literal["can_execute_tasks", "can_read_logs", "can_read_traces"]

EVERY_PERMISSION: frozenset[Permission] = frozenset(get_args(Permission))
LOCAL = "local"  # whoever runs as the user that Ratchet runs as: over stdio, at a shell, on a port without keys


class Client(Model):
    """What one client may do. A profile that says nothing but a name allows nothing.

    Attributes:
        name: The authenticated name; what it starts belongs to this name.
        permissions: Those it has.
        task_patterns: Ids of tasks that exist for it, as shell patterns.
        dangerous_tasks: Whether tasks that are marked dangerous exist for it.
        rate_limits: Calls that it may make, by bare tool name: `10/minute`.
    """

    name: str
    permissions: frozenset[Permission] = frozenset()
    task_patterns: tuple[str, ...] = ()
    dangerous_tasks: bool = False
    rate_limits: dict[str, str] = Field(default_factory=dict[str, str])
