"""Every message between Ratchet's processes: one table of procedures, each with its request and reply.

`ratchet.rpc` carries them over `ipc`. A name is `noun.verb`; the role that serves it stands in the row. Bodies are
pydantic models, validated by the callee.
"""

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field

from ratchet.exposure import ExposedTools, ToolsChanged
from ratchet.llm import bodies as llm
from ratchet.models import (
    BrokenFile,
    Category,
    Execution,
    Failure,
    FromTask,
    JsonObject,
    Level,
    LogRecord,
    Model,
    Progress,
    RunEnd,
    Rung,
    Source,
    Span,
    Status,
    Task,
    Telemetry,
)
from ratchet.policy.client import Client
from ratchet.policy.requests import Admission, Admit, AppendAudit, AuditPage, ReadAudit

RequestT = TypeVar("RequestT", bound=Model)
ReplyT = TypeVar("ReplyT", bound=Model)


class Empty(Model):
    """A body that says nothing."""


class OnBehalf(Model):
    """A request of somebody: what `client` may not see does not exist for it. None: of the user, at a shell."""

    client: Client | None = None


# --- executions: served by the task-runner ---------------------------------------------------------------------


class Submit(OnBehalf):
    """Run a task. The caller mints `execution_id`, so that sending this twice is one execution."""

    execution_id: str
    task_id: str
    input: JsonObject
    source: Source
    trace: bool = True
    priority: int = 0
    idempotency_key: str | None = None
    metadata: JsonObject = Field(default_factory=dict[str, Any])
    wait_seconds: float = 0  # reply when terminal, at most this long after the execution is durable


class GetExecution(OnBehalf):
    """Read an execution; with `wait_seconds`, reply when it is terminal, at most that much later."""

    execution_id: str
    wait_seconds: float = 0


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


class CancelExecution(OnBehalf):
    """Ask an execution to stop. Idempotent; a terminal execution stays as it is."""

    execution_id: str
    reason: str = ""
    wait_seconds: float = 0


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


# --- the catalogue: served by the task-runner --------------------------------------------------------------------


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


# --- attempts: runner <-> worker -----------------------------------------------------------------------------------


class AttemptOrder(Model):
    """Run this attempt. Served by a worker; the reply means that it is in the hands of a child."""

    execution_id: str
    attempt: int
    fence: int
    runner: str  # the runner's incarnation: an order from an earlier one is refused
    task_id: str
    function: str
    path: str
    version: str
    input: JsonObject
    trace: bool
    client: str = "local"  # the owner of the execution
    timeout_seconds: float | None = None


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

    path: str


class FileDescription(Model):
    """What a task file defines, or why it cannot be loaded; `files` are the files its version is the hash of."""

    version: str
    files: list[str]
    tasks: list[Task]
    broken: BrokenFile | None = None


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


# --- logs: served by the log-store -----------------------------------------------------------------------------------


class AppendLogs(Model):
    """Durable when answered; a record whose (execution_id, attempt, sequence) is known is ignored."""

    execution_id: str
    attempt: int
    records: list[LogRecord]


class ReadLogs(Model):
    """Oldest first. `after` is the cursor of an earlier answer; `wait_seconds` waits for a record after it.

    `before` leaves out the record at this position (attempt.sequence) and what follows it.
    """

    execution_id: str
    level: Level | None = None  # this level and above
    search: str | None = None  # case-insensitive substring of the message
    limit: int = 100
    after: str | None = None
    before: str | None = None
    tail: bool = False  # the newest `limit` records instead of the oldest
    wait_seconds: float = 0


class StoredLogRecord(LogRecord):
    """A log record with the attempt it belongs to."""

    attempt: int

    @property
    def position(self) -> str:
        """Its place in the log, as cursors give it."""
        return f"{self.attempt}.{self.sequence}"


class FollowLogs(Model):
    """The stored records after `after`, oldest first, then those that come, until the execution is over."""

    execution_id: str
    level: Level | None = None
    search: str | None = None
    after: str | None = None


class LogBatch(Model):
    """Some of them; `cursor` continues after the last one, in another stream or page."""

    records: list[StoredLogRecord]
    cursor: str


class LogPage(Model):
    """Part of an execution's log.

    Attributes:
        counts: Records by level, over the whole execution.
        next_cursor: Continues after the last record given; None only where there is none at all.
        more: Whether more records match now.
    """

    records: list[StoredLogRecord]
    counts: dict[str, int]
    next_cursor: str | None = None
    more: bool = False


# --- spans: served by the trace-store --------------------------------------------------------------------------------


class AppendSpans(Model):
    """Durable when answered; a span whose (execution_id, attempt, sequence) is known is ignored."""

    execution_id: str
    attempt: int
    spans: list[Span]


class ReadSpans(Model):
    """Every span of an execution, by start time; at most `limit`."""

    execution_id: str
    limit: int = 10_000


class StoredSpan(Span):
    """A span with the attempt it belongs to."""

    attempt: int


class SpanPage(Model):
    """The spans of an execution; `total` counts those that `limit` cut off too."""

    spans: list[StoredSpan]
    total: int


# --- health: served by every actor -----------------------------------------------------------------------------------


class PeerHealth(Model):
    """One peer of the hub."""

    name: str
    role: str
    incarnation: str
    liveness: Literal["alive", "suspect", "dead"]
    connected_seconds: float
    queued_envelopes: int = 0


class StoreHealth(Model):
    """One store's file."""

    path: str
    bytes: int
    rows: int
    schema_version: int


class Health(Model):
    """What an actor says of itself; the runner's has every field."""

    name: str
    version: str
    pid: int
    uptime_seconds: float
    memory_bytes: int
    stores: list[StoreHealth] = Field(default_factory=list[StoreHealth])
    peers: list[PeerHealth] = Field(default_factory=list[PeerHealth])
    executions: dict[str, int] = Field(default_factory=dict[str, int])  # by status
    queue_limit: int | None = None
    slots: int | None = None  # over all workers; a worker: its own
    slots_busy: int | None = None
    counters: dict[str, int] = Field(default_factory=dict[str, int])  # everything dropped, late, expired or refused
    tasks: int | None = None
    broken_files: int | None = None


@dataclass(frozen=True, slots=True)
class Procedure(Generic[RequestT, ReplyT]):
    """One row of the table.

    Attributes:
        name: What travels in the envelope's method field.
        role: Who serves it.
        request: Model of the body that goes.
        reply: Model of the body that comes back.
        idempotent: Whether sending it again after a lost connection is harmless.
        event: It is sent one way; there is no reply.
        patient: Nobody waits for the reply: it may travel with whatever goes the same way next.
    """

    name: str
    role: str
    request: type[RequestT]
    reply: type[ReplyT]
    idempotent: bool = True
    event: bool = False
    patient: bool = False


@dataclass(frozen=True, slots=True)
class StreamProcedure(Generic[RequestT, ReplyT]):
    """A row that is answered with a stream of items. It is never asked for again by itself.

    Attributes:
        name: What travels in the envelope's method field.
        role: Who serves it.
        request: Model of the body that goes.
        item: Model of each body that comes back.
    """

    name: str
    role: str
    request: type[RequestT]
    item: type[ReplyT]


SUBMIT = Procedure("executions.submit", "task-runner", Submit, Execution)
GET_EXECUTION = Procedure("executions.get", "task-runner", GetExecution, Execution)
LIST_EXECUTIONS = Procedure("executions.list", "task-runner", ListExecutions, ExecutionPage)
CANCEL_EXECUTION = Procedure("executions.cancel", "task-runner", CancelExecution, Execution)
RUN_TASK = Procedure("calls.run", "task-runner", RunTask, RunEnd)
LIST_TASKS = Procedure("tasks.list", "task-runner", ListTasks, Catalogue)
LIST_TOOLS = Procedure("tasks.tools", "task-runner", ListTools, ExposedTools)
TOOLS_CHANGED = Procedure("tasks.changed", "mcp-front", ToolsChanged, Empty, event=True)
ADMIT = Procedure("policy.admit", "task-runner", Admit, Admission)
APPEND_AUDIT = Procedure("audit.append", "task-runner", AppendAudit, Empty)
READ_AUDIT = Procedure("audit.read", "task-runner", ReadAudit, AuditPage)
REPORT_ATTEMPT = Procedure("attempts.report", "task-runner", AttemptReport, Empty, patient=True)
ATTEMPT_PROGRESS = Procedure("attempts.progress", "task-runner", AttemptProgress, Empty, event=True)
REREGISTER = Procedure("workers.reregister", "worker", Reregister, Empty, event=True)
REGISTER_WORKER = Procedure("workers.register", "task-runner", RegisterWorker, Empty)
RUN_ATTEMPT = Procedure("attempts.run", "worker", AttemptOrder, AttemptTaken, idempotent=False, patient=True)
STOP_ATTEMPT = Procedure("attempts.stop", "worker", StopAttempt, Empty)
DESCRIBE_FILE = Procedure("files.describe", "worker", DescribeFile, FileDescription)
APPEND_LOGS = Procedure("logs.append", "log-store", AppendLogs, Empty, patient=True)
READ_LOGS = Procedure("logs.read", "log-store", ReadLogs, LogPage)
FOLLOW_LOGS = StreamProcedure("logs.follow", "log-store", FollowLogs, LogBatch)
APPEND_SPANS = Procedure("spans.append", "trace-store", AppendSpans, Empty, patient=True)
READ_SPANS = Procedure("spans.read", "trace-store", ReadSpans, SpanPage)
LLM_COMPLETE = Procedure("llm.complete", "llm-gateway", llm.Complete, llm.Completion, idempotent=False)
LLM_STREAM = StreamProcedure("llm.stream", "llm-gateway", llm.Complete, llm.Piece)
MCP_LIST_SERVERS = Procedure("mcp.list_servers", "llm-gateway", llm.ListServers, llm.RemoteServers)
MCP_LIST_TOOLS = Procedure("mcp.list_tools", "llm-gateway", llm.ListRemoteTools, llm.RemoteTools)
MCP_CALL_TOOL = Procedure("mcp.call_tool", "llm-gateway", llm.CallRemoteTool, llm.RemoteResult, idempotent=False)
GET_HEALTH = Procedure("health.get", "*", Empty, Health)
