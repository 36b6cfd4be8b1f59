"""Every error that Ratchet raises on purpose: one tree, each leaf with a stable code.

Messages say what was wrong, with what value, and what to do about it. `code` travels over the wire and is what
programs test; the message is for whoever reads it. Messaging failures are `ipc.errors.IpcError`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` costs the stdio shim, which imports this, as much as its other imports together
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from typing import Any, ClassVar


class RatchetError(Exception):
    """Base of the tree.

    Attributes:
        code: Stable identifier of the kind of error.
        details: JSON-able facts for programs (never secrets).
        retryable: Whether the same may succeed later, without a change to it.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

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


class UnknownAskError(RequestError):
    """No question to the caller has this key."""

    code = "unknown_ask"


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


class Retryable(RatchetError):  # noqa: N818 - authors read `raise Retryable(after=30)`
    """Raised by a task: this attempt failed for a reason that passes. Its `@task(retry=…)` says how often it is tried.

    Args:
        message: What went wrong.
        after: Seconds (or a timedelta) until the next attempt; default: as the task's policy says.
        details: Facts for programs.

    Raises:
        ValueError: `after` is no time to come.
    """

    code = "retryable"
    retryable = True

    def __init__(
        self,
        message: str = "the task asks for another attempt",
        *,
        after: float | timedelta | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, details=details)
        seconds = after if after is None or isinstance(after, int | float) else after.total_seconds()
        if seconds is not None and not 0 <= seconds < float("inf"):
            raise ValueError(f"Retryable(after={after!r}): give the seconds until the next attempt, 0 or more")
        self.after_seconds = None if seconds is None else float(seconds)


class Permanent(RatchetError):  # noqa: N818 - as above
    """Raised by a task: trying again cannot help, whatever its `@task(retry=…)` says."""

    code = "permanent"


class IdempotencyConflictError(RequestError):
    """The idempotency key was used before, with another input."""

    code = "idempotency_conflict"


class UnavailableError(RatchetError):
    """Ratchet cannot do this now; trying again later may work."""

    code = "unavailable"
    retryable = True


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


class TooDeepError(RequestError):
    """A task calls a task that calls a task, and so on, deeper than `executions.depth_max`: perhaps itself."""

    code = "too_deep"


class CallError(RatchetError):
    """What a task asked of another process (`ctx.run` and the like) could not be asked there."""

    code = "call_failed"


class CallTimeoutError(CallError):
    """No answer within the time that the call, or the attempt that makes it, had."""

    code = "call_timeout"


class CallLostError(CallError):
    """Whoever was called went away; whether it was done is unknown. Retry it where doing it twice is harmless."""

    code = "call_lost"
    retryable = True


class ExecutionFailedError(CallError):
    """An execution that a task called with `ctx.run` did not complete.

    `details` has its `execution_id`, `task_id`, `status` ("failed" or "cancelled"), and the `category`, `type` and
    `message` of its failure; where that was the failure of an execution that it called, and so on, `root` has the same
    of the deepest one.
    """

    code = "execution_failed"

    @property
    def execution_id(self) -> str:
        """The execution that failed; its log, trace and analysis are its own."""
        return str(self.details.get("execution_id"))


class StaleFenceError(RatchetError):
    """A report about an attempt that is no longer current: it is refused and changes nothing."""

    code = "stale_fence"


class LlmError(RatchetError):
    """An LLM that a task asked did not answer. `details` has the `route`, and what its server said as `status`."""

    code = "llm_failed"


class LlmNotConfiguredError(LlmError):
    """The configuration names nobody whom tasks may ask, or not this route."""

    code = "llm_not_configured"


class LlmBudgetError(LlmError):
    """The execution has asked as often, or spent as many tokens, as `llm` in the configuration allows."""

    code = "llm_budget_spent"


class LlmRefusedError(LlmError):
    """The provider does not answer this question, or not with this key; the same question will be refused again."""

    code = "llm_refused"


class LlmRateLimitedError(LlmError):
    """The provider has been asked too much (429); `details["retry_after_seconds"]` is when to ask again, if it said."""

    code = "llm_rate_limited"
    retryable = True


class LlmNoCallerError(LlmError):
    """Nobody who could be asked in the caller's place waits for the execution, or the client offers no sampling."""

    code = "llm_no_caller"


class LlmUnavailableError(LlmError):
    """The provider cannot be reached, or failed itself (5xx)."""

    code = "llm_unavailable"
    retryable = True


class LlmTimeoutError(LlmError):
    """The provider did not answer in time."""

    code = "llm_timeout"
    retryable = True


class LlmCutError(LlmError):
    """The provider's answer ended in the middle."""

    code = "llm_cut"
    retryable = True


class LlmAnswerError(LlmError):
    """What came is no answer: not the protocol, not JSON, or not what the schema wants, even when asked again."""

    code = "llm_malformed"
    retryable = True


class RemoteMcpError(RatchetError):
    """An MCP server that a task called did not do what it was asked. `details["server"]` names it."""

    code = "mcp_failed"


class McpUnknownServerError(RemoteMcpError):
    """The configuration has no such MCP server, or does not say how to reach it."""

    code = "mcp_unknown_server"


class McpUnknownToolError(RemoteMcpError):
    """The MCP server has no such tool."""

    code = "mcp_unknown_tool"


class McpToolError(RemoteMcpError):
    """The tool says that it failed, or refused its arguments; `details["content"]` is what it said."""

    code = "mcp_tool_failed"


class McpResultError(RemoteMcpError):
    """What the MCP server answered is not the protocol, or too large."""

    code = "mcp_malformed"


class McpServerDownError(RemoteMcpError):
    """The MCP server cannot be reached, or went away; `details["outcome"]` is "unknown" where the call may have run."""

    code = "mcp_server_down"
    retryable = True


class McpTimeoutError(RemoteMcpError):
    """The MCP server did not answer in time; the call may have run."""

    code = "mcp_timeout"
    retryable = True


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
