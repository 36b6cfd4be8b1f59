"""The one decision: may this client do that, and does it exist for it at all.

An action is described by what is known of it so far. A front knows a call's tool and task; only the task-runner knows
what the task is and whose the execution is, and asks again. More facts can only take something away.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from ratchet.policy.client import Client

Code = Literal["forbidden", "unknown_execution"]

_NEEDED_FOR = {
    "can_execute_tasks": "run or cancel tasks",
    "can_read_logs": "read logs",
    "can_read_traces": "read traces",
}


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody wants to do.

    Attributes:
        permission: What it needs; None: nothing beyond being let in. One that nobody has is had by nobody.
        task_id: The task that it runs or shows.
        dangerous: Whether that task is marked dangerous.
        owner: The client that the execution belongs to which it is about.
    """

    permission: str | None
    task_id: str | None = None
    dangerous: bool = False
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of it.

    Attributes:
        code: Why not, for programs; None: it is allowed.
        reason: Why not, for whoever asked. It tells nothing of what does not exist for the client.
    """

    code: Code | None = None
    reason: str = ""

    @property
    def allowed(self) -> bool:
        """Whether it may be done."""
        return self.code is None

    @property
    def visible(self) -> bool:
        """Whether it exists for the client: what may not be used is not listed either."""
        return self.allowed


ALLOWED = Decision()


def decide(client: Client, action: Action) -> Decision:
    """Whether `client` may do this, as far as the facts in `action` tell."""
    if action.permission is not None and action.permission not in client.permissions:
        what = _NEEDED_FOR.get(action.permission, "do this")
        return _forbidden(f"client {client.name!r} may not {what}: it has no permission {action.permission}")
    if action.owner is not None and action.owner != client.name:
        return Decision("unknown_execution")
    if action.task_id is not None and not matches(client, action.task_id):
        patterns = ", ".join(client.task_patterns) or "none"
        return _forbidden(
            f"client {client.name!r} may not use task {action.task_id[:80]!r}: the tasks it may use are {patterns}"
        )
    if action.dangerous and not client.dangerous_tasks:
        return _forbidden(
            f"task {action.task_id!r} is marked dangerous, and mcp.server.security.allow_dangerous_tasks is false; "
            "a person can run it with `ratchet run`"
        )
    return ALLOWED


def matches(client: Client, task_id: str) -> bool:
    """Whether the client's patterns allow a task of this id."""
    return any(fnmatchcase(task_id, pattern) for pattern in client.task_patterns)


def _forbidden(reason: str) -> Decision:
    return Decision("forbidden", reason)
