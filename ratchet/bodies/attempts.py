"""What runner and workers say to one another: attempts, task files, who is there."""

from typing import Any

from pydantic import Field

from ratchet.models import (
    BrokenFile,
    Category,
    Failure,
    FilePath,
    JsonObject,
    LogRecord,
    Model,
    Progress,
    Rung,
    Span,
    Task,
    Telemetry,
)


class AttemptOrder(Model):
    """Run this attempt. Served by a worker; the reply means that it is in the hands of a child."""

    execution_id: str
    attempt: int
    fence: int
    runner: str  # the runner's incarnation: an order from an earlier one is refused
    task_id: str
    function: str
    path: FilePath  # of its file on the runner's machine
    file: FilePath  # the same within the task folders, as a node finds it
    version: str
    input: JsonObject
    trace: bool
    client: str = "local"  # the owner of the execution
    timeout_seconds: float | None = None
    may_ask_llm: bool = False  # whether the configuration names an LLM, or an MCP server, whom tasks may ask
    may_call_mcp: bool = False


class AttemptTaken(Model):
    """The attempt runs in this process now."""

    pid: int


class StopAttempt(Model):
    """End this attempt: climb the kill ladder. Served by a worker; idempotent; the end comes as an AttemptReport."""

    execution_id: str
    fence: int
    category: Category = Category.CANCELLED
    reason: str = ""


class AttemptReport(Model):
    """How an attempt ended. Served by the runner; sent again until it is answered.

    Attributes:
        telemetry: Whether every record and span that is not in this report is stored.
        logs: The last records, which the runner passes on while it records the end: a short attempt is over with
            one message.
        spans: The last spans, likewise.
    """

    execution_id: str
    fence: int
    pid: int | None = None
    started_ns: int
    ended_ns: int
    output: Any = None
    failure: Failure | None = None  # None: completed
    stopped_by: Rung | None = None
    telemetry: Telemetry = "complete"
    logs: list[LogRecord] = Field(default_factory=list[LogRecord])
    spans: list[Span] = Field(default_factory=list[Span])


class AttemptProgress(Model):
    """Event from a worker: the newest progress of an attempt (conflated)."""

    execution_id: str
    fence: int
    progress: Progress


class Reregister(Model):
    """Event to a worker: say again what you have in flight. Sent where the fate of an order is unknown."""


class DescribeFile(Model):
    """Import a task file in a fresh child and say what it defines. Served by a worker."""

    path: FilePath


class FileDescription(Model):
    """What a task file defines, or why it cannot be loaded.

    Attributes:
        files: What its version is the hash of.
        absent: Where it looked for modules in the task folders and found none: a file there would be another version.
            Also files that may be of its version, but are not known to be.
    """

    version: str
    files: list[FilePath]
    tasks: list[Task]
    broken: BrokenFile | None = None
    absent: list[FilePath] = Field(default_factory=list[FilePath])


class RegisterWorker(Model):
    """A worker offers itself, each time it is welcomed by a new hub and when its offer changes. Served by the runner.

    Attributes:
        incarnation: The worker's; attempts of an earlier one are lost.
        slots: Attempts it takes at once; 0 while it drains.
        in_flight: (execution_id, fence) of every attempt whose report has not been answered yet.
    """

    name: str
    incarnation: str
    pid: int
    slots: int
    in_flight: list[tuple[str, int]]
