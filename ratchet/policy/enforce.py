"""A decision as an error, for whoever is asked to do what is not allowed."""

from ratchet.errors import ForbiddenError, UnknownExecutionError
from ratchet.policy.client import Client
from ratchet.policy.decision import Action, decide


def require(client: Client | None, action: Action, *, execution_id: str = "") -> None:
    """Do nothing where `client` may do this; None is the user, who may do everything.

    Args:
        client: On whose behalf.
        action: What is known of it.
        execution_id: The execution that it is about.

    Raises:
        ForbiddenError: It may not.
        UnknownExecutionError: The execution does not exist for it.
    """
    if client is None:
        return
    decision = decide(client, action)
    if decision.code == "unknown_execution":
        raise unknown_execution(execution_id)
    if not decision.allowed:
        raise ForbiddenError(decision.reason)


def unknown_execution(execution_id: str) -> UnknownExecutionError:
    """What is said of an execution that is not there, and of one that is somebody else's: the same."""
    return UnknownExecutionError(f"no execution has the id {execution_id!r}; list_executions names the recent ones")
