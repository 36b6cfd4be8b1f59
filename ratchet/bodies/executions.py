"""What is asked of the task-runner about executions and about the catalogue."""

from typing import Any, Literal

from pydantic import Field

from ratchet.bodies.common import OnBehalf
from ratchet.models import BrokenFile, Execution, FromTask, JsonObject, Model, Source, Status, Task


class Waiting(OnBehalf):
    """A request that may wait for the end of an execution.

    Attributes:
        wait_seconds: Reply when it is terminal, at most this much later.
        can_answer: Whoever waits can be asked in the caller's place: the reply comes once something is asked.
        asked: Keys of questions that are known already; only others end the wait.
    """

    wait_seconds: float = 0
    can_answer: bool = False
    asked: list[str] = Field(default_factory=list[str])


class Submit(Waiting):
    """Run a task. The caller mints `execution_id`, so that sending this twice is one execution.

    Attributes:
        timeout_seconds: It must have ended this long after it was accepted, with all its attempts and their waits.
    """

    execution_id: str
    task_id: str
    input: JsonObject
    source: Source
    trace: bool = True
    priority: int = 0
    idempotency_key: str | None = None
    timeout_seconds: float | None = Field(default=None, gt=0, le=365 * 86_400, allow_inf_nan=False)
    metadata: JsonObject = Field(default_factory=dict[str, Any])


class GetExecution(Waiting):
    """Read an execution; with `wait_seconds`, reply when it is terminal, at most that much later."""

    execution_id: str


class ListExecutions(OnBehalf):
    """Newest first unless `sort` says otherwise. `cursor` continues an earlier answer."""

    since_ns: int | None = None
    until_ns: int | None = None
    status: list[Status] | None = None
    task_id: str | None = None
    root_id: str | None = None  # those that were called, by whomever, below this one that a client asked for
    parent_id: str | None = None  # those that this execution called
    rerun_of: str | None = None  # those whose metadata names this execution as `original_execution`
    id_part: str | None = None  # those whose id begins (with or without `exec_`) or ends so, among the newest 10,000
    limit: int = 50
    cursor: str | None = None
    sort: Literal["newest", "oldest"] = "newest"


class ExecutionPage(Model):
    """Part of a list, without outputs; `next_cursor` is None on the last page."""

    executions: list[Execution]
    next_cursor: str | None = None


class CancelExecution(Waiting):
    """Ask an execution to stop. Idempotent; a terminal execution stays as it is."""

    execution_id: str
    reason: str = ""


class RunTask(FromTask):
    """Run a task for a task and reply with its end. The caller mints `run_id`, so that sending this twice is one run.

    Attributes:
        run_id: The new execution's id; `execution_id` is the caller's.
        timeout_seconds: It must have ended this long after it was called; the caller's own deadline holds anyway.
    """

    run_id: str
    task_id: str
    input: JsonObject
    timeout_seconds: float | None = None


class ListTasks(OnBehalf):
    """Tasks whose id, description or tags contain `filter` (case-insensitive), sorted by id."""

    filter: str | None = None


class Catalogue(Model):
    """What the task folders hold at this moment."""

    tasks: list[Task]
    broken: list[BrokenFile]


class ListTools(OnBehalf):
    """The tasks that are tools for the client, unless they are what the caller knows under `known`."""

    known: str | None = None
