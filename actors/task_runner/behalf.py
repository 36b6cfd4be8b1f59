"""On whose behalf a request is made, and which tasks exist for whom."""

from ipc.link import Request
from ratchet.bodies.common import OnBehalf
from ratchet.errors import ForbiddenError
from ratchet.models import Task
from ratchet.policy.client import Client
from ratchet.policy.decision import Action, decide

_ALWAYS_FOR_SOMEBODY = "mcp-front"


def acting(body: OnBehalf, request: Request) -> Client | None:
    """The client; None: the user, at a shell.

    Raises:
        ForbiddenError: A front, which never acts for itself, does not say for whom it asks.
    """
    if body.client is None and request.source.partition(":")[0] == _ALWAYS_FOR_SOMEBODY:
        raise ForbiddenError(f"{request.source} did not say on whose behalf it asks")
    return body.client


def task_action(task_id: str, *, dangerous: bool = False) -> Action:
    """Using a task: running it, and seeing that it is there."""
    return Action("can_execute_tasks", task_id=task_id, dangerous=dangerous)


def exists_for(client: Client | None, task: Task) -> bool:
    """Whether the task is there for this client."""
    return client is None or decide(client, task_action(task.task_id, dangerous=task.dangerous)).visible
