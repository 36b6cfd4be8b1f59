"""Every error that Ratchet raises on purpose: one tree, each leaf with a stable code.

Messages say what was wrong, with what value, and what to do about it. `code` travels over the wire and is what
programs test; the message is for whoever reads it. Messaging failures are `ipc.errors.IpcError`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` costs the stdio shim, which imports this, as much as its other imports together
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar


class RatchetError(Exception):
    """Base of the tree.

    Attributes:
        code: Stable identifier of the kind of error.
        details: JSON-able facts for programs (never secrets).
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})


class ConfigError(RatchetError):
    """The configuration file cannot be used: which key, on which line, what would be right."""

    code = "config_invalid"


class ProjectError(RatchetError):
    """The project's folder, data directory or lock cannot be used."""

    code = "project_unusable"


class NotRunningError(RatchetError):
    """No supervisor runs for this project."""

    code = "not_running"


class StartupError(RatchetError):
    """Something the supervisor needs at start-up is not to be had (a port, a directory)."""

    code = "startup_failed"


class RefusedError(RatchetError):
    """The project's supervisor runs, but not for this client: another configuration, version or mode."""

    code = "refused"


class RequestError(RatchetError):
    """What was asked for is wrong; the same request will fail again."""

    code = "bad_request"


class UnknownTaskError(RequestError):
    """No task has this id; the message names the nearest ones."""

    code = "unknown_task"


class BrokenTaskError(RequestError):
    """The file that defines this task cannot be loaded; the message carries its error."""

    code = "task_broken"


class UnknownExecutionError(RequestError):
    """No execution has this id."""

    code = "unknown_execution"


class ForbiddenError(RequestError):
    """The client may not do this."""

    code = "forbidden"


class InvalidInputError(RequestError):
    """The input does not fit the task's schema: `details["problems"]` has one entry a field."""

    code = "invalid_input"


class InvalidArgumentsError(RequestError):
    """The arguments of a tool do not fit its schema: `details["problems"]` has one entry a field."""

    code = "invalid_arguments"


class InvalidOutputError(RatchetError):
    """What a task returned is not JSON, does not fit its annotation, or is too large."""

    code = "invalid_output"


class TaskDefinitionError(RatchetError):
    """A function cannot be a task as it is written; the message says what to change."""

    code = "task_definition"


class IdempotencyConflictError(RequestError):
    """The idempotency key was used before, with another input."""

    code = "idempotency_conflict"


class UnavailableError(RatchetError):
    """Ratchet cannot do this now; trying again later may work."""

    code = "unavailable"


class DrainingError(UnavailableError):
    """The supervisor is about to end; the next one will serve."""

    code = "draining"


class QueueFullError(UnavailableError):
    """The queue holds as many executions as it may."""

    code = "queue_full"


class TooManyExecutionsError(UnavailableError):
    """The client has as many unfinished executions as it may."""

    code = "too_many_executions"


class RateLimitedError(UnavailableError):
    """The client has called this tool as often as it may; `details["retry_after"]` says in how many seconds again."""

    code = "rate_limited"


class StoreError(UnavailableError):
    """A store could not commit (disk full, I/O error). Nothing was recorded."""

    code = "store_unavailable"


class StaleFenceError(RatchetError):
    """A report about an attempt that is no longer current: it is refused and changes nothing."""

    code = "stale_fence"


def _leaves(root: type[RatchetError]) -> dict[str, type[RatchetError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_leaves(child))
    return found


def from_code(code: str, message: str, details: Mapping[str, Any] | None = None) -> RatchetError:
    """The error that another process raised, of the same class where the code is known here."""
    return _leaves(RatchetError).get(code, RatchetError)(message, details=details)


def knows_code(code: str) -> bool:
    """Whether `code` belongs to this tree."""
    return code in _leaves(RatchetError)
