"""The nouns that processes share: executions, attempts, tasks, log records, spans.

Pydantic because each of them crosses a process boundary and is validated where it arrives. Times are integers of
nanoseconds since the Unix epoch (`…_ns`); durations are milliseconds (`…_ms`).
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

JsonObject = dict[str, Any]

FilePath = Annotated[str, Field(pattern=r"^[^\x00]+$")]
"""A path that may be handed to the system, which raises on a NUL instead of finding nothing."""


class Model(BaseModel):
    """Base of every shared noun: immutable, and strict about unknown fields and about numbers that are none.

    A deadline that is not a number would put the timers of an event loop out of order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Status(StrEnum):
    """Where an execution is in its life (`ratchet.lifecycle` has the transitions)."""

    QUEUED = "queued"
    RUNNING = "running"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether no further transition can follow."""
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)

    @property
    def active(self) -> bool:
        """Whether an attempt is in the hands of a worker."""
        return self in (Status.RUNNING, Status.INPUT_REQUIRED)


class Category(StrEnum):
    """Why an execution failed, in terms a caller can act on. docs/reference/failures.md explains each."""

    EXCEPTION = "exception"  # the task raised
    INVALID_INPUT = "invalid_input"  # the task's own types refused the input
    INVALID_OUTPUT = "invalid_output"  # the output is not JSON, does not fit its type, or is too large
    TIMEOUT = "timeout"  # the execution's time was up
    POISON = "poison"  # processes died under one attempt after the other
    CRASHED = "crashed"  # the child process died: exit code or signal in `process`
    LIMIT = "limit"  # the child hit a limit: memory, CPU time, file size, open files
    WORKER_LOST = "worker_lost"  # the worker or its zygote died, or its lease ran out
    SHUTDOWN = "shutdown"  # the supervisor was drained before the execution ended
    TASK_BROKEN = "task_broken"  # the task file could not be loaded
    CANCELLED = "cancelled"  # a cancel was requested


class Source(Model):
    """Who asked for an execution."""

    kind: Literal["mcp", "cli", "schedule", "task"]
    client: str = "local"  # the authenticated name; "local" where nothing was authenticated
    session_id: str | None = None
    client_info: JsonObject | None = None  # self-reported, never used for authorization


class Lineage(Model):
    """Where an execution that a task called comes from.

    Attributes:
        parent_id: The execution that called it.
        parent_attempt: The attempt of that one; it does not outlive it.
        root_id: The execution that a client asked for.
        depth: How many executions are above it; at least 1.
        span_id: The span of the caller under which it was called.
    """

    parent_id: str
    parent_attempt: int
    root_id: str
    depth: int
    span_id: str | None = None


class Progress(Model):
    """What a task last said about how far it is."""

    current: float
    total: float | None = None
    message: str | None = None
    at_ns: int

    @property
    def percent(self) -> float | None:
        """0 to 100, or None where the total is unknown."""
        if not self.total:
            return None
        return round(max(0.0, min(100.0, 100.0 * self.current / self.total)), 1)


class Frame(Model):
    """One frame of a traceback, outermost first in its list."""

    file: str
    line: int
    function: str
    source: str | None = None
    in_task: bool = False  # the file lies in a task root


class ExceptionInfo(Model):
    """One exception of a chain."""

    type: str  # qualified unless built in
    message: str
    frames: list[Frame] = Field(default_factory=list[Frame])
    relation: Literal["cause", "context", "member"] | None = None  # what this one is to an earlier entry of the chain
    notes: list[str] = Field(default_factory=list[str])
    bases: list[str] = Field(default_factory=list[str])  # what it is beside its type, nearest first
    facts: JsonObject = Field(default_factory=dict[str, Any])  # errno, http_status, filename, … (runtime/facts.py)


class ProcessEnd(Model):
    """How a process ended, as its parent saw it."""

    process: str  # "child", "zygote", "worker:1", …
    pid: int
    exit_code: int | None = None
    signal: int | None = None
    signal_name: str | None = None
    sent_by: str | None = None  # which rung of the kill ladder sent the signal; None: not us
    cpu_seconds: float | None = None
    memory_bytes_max: int | None = None
    last_lines: list[str] = Field(default_factory=list[str])  # raw output, newest last


class Failure(Model):
    """Why an attempt or an execution did not complete."""

    category: Category
    type: str
    message: str
    chain: list[ExceptionInfo] = Field(default_factory=list[ExceptionInfo])  # the raised one first, then its causes
    stack_trace: str | None = None
    process: ProcessEnd | None = None
    details: JsonObject = Field(default_factory=dict[str, Any])
    retryable: bool | None = None  # what the task, or its policy, says of another attempt; None: nothing
    retry_after_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)  # when it wants that
    gave_up: str | None = None  # why none follows, where the task's policy is that one may


class RetryPolicy(Model):
    """How a task is tried again (`ratchet.retry.Retry`), without the classes of its exceptions.

    Attributes:
        max_attempts: How often it may fail in all.
        waits_seconds: Before the second attempt, the third, and so on; the last one is repeated.
        jitter: The part of a wait that is left to chance.
        timeouts: Whether an attempt whose time was up is tried again.
        on: Names of the exceptions that are, for people.
        never_on: Names of those that are not.
    """

    max_attempts: int = Field(ge=1, le=100)
    waits_seconds: list[float] = Field(min_length=1, max_length=99)
    jitter: float = Field(default=0.0, ge=0, le=1)
    timeouts: bool = False
    on: list[str] = Field(default_factory=list[str])
    never_on: list[str] = Field(default_factory=list[str])


class NextAttempt(Model):
    """An execution that waits for its next attempt, after one that failed.

    Attributes:
        number: Of the attempt that follows.
        starts_ns: When it may start.
        failure: How the last one ended.
        failed: How many failed so far.
        max_attempts: How many may; None where that is not what bounds them.
    """

    number: int
    starts_ns: int
    failure: Failure
    failed: int
    max_attempts: int | None = None


Rung = Literal["cooperative", "term", "kill"]  # of the kill ladder: which one ended an attempt
Telemetry = Literal["complete", "incomplete"]  # whether every log record and span of an attempt is stored


class Attempt(Model):
    """One try at an execution on one worker."""

    number: int
    fence: int
    version: str | None = None  # of the task, in which it was ordered; the execution has that of its last attempt
    worker: str | None = None
    worker_incarnation: str | None = None
    pid: int | None = None
    started_ns: int
    ended_ns: int | None = None
    failure: Failure | None = None
    stopped_by: Rung | None = None
    telemetry: Telemetry | None = None
    late_ns: int | None = None  # when its end came after all, though it had been given up: that was refused
    late_end: str | None = None  # what that end was


class OpenAsk(Model):
    """A question to the caller that has no answer yet.

    Attributes:
        key: Names it; an answer brings it along.
        execution_id: Whose task asks: the execution that shows it, or one that was called below it.
        kind: What is asked for: "sampling", a completion by the caller's own LLM.
        text: The beginning of the question.
        expires_ns: When it is given up.
    """

    key: str
    execution_id: str
    task_id: str
    kind: Literal["sampling"]
    text: str
    asked_ns: int
    expires_ns: int


class Execution(Model):
    """An execution as everybody but the runner sees it."""

    execution_id: str
    task_id: str
    version: str
    status: Status
    input: JsonObject
    output: Any = None
    failure: Failure | None = None
    progress: Progress | None = None
    attempts: list[Attempt] = Field(default_factory=list[Attempt])
    trace: bool = True
    priority: int = 0
    idempotent: bool = False  # what its task said when the execution was accepted
    retry: RetryPolicy | None = None  # the same
    due_ns: int | None = None  # while it is queued: it does not start before
    deadline_ns: int | None = None  # when it must have ended, with all its attempts; None: only they are limited
    idempotency_key: str | None = None
    metadata: JsonObject = Field(default_factory=dict[str, Any])
    source: Source
    lineage: Lineage | None = None  # None: no task called it
    created_ns: int
    started_ns: int | None = None
    ended_ns: int | None = None
    cancel_requested: str | None = None  # the reason given with the cancel request
    logs_pruned_ns: int | None = None  # when retention removed its log, though not the execution
    spans_pruned_ns: int | None = None  # and its spans
    waiting_for: str | None = None  # why a queued execution does not run yet
    next_attempt: NextAttempt | None = None  # what it waits for, where that is its next attempt
    asks: list[OpenAsk] = Field(default_factory=list[OpenAsk])  # what the caller is asked now, also by tasks below

    @property
    def duration_ms(self) -> float | None:
        """From first start to end, or None while it has not ended (or never started)."""
        if self.started_ns is None or self.ended_ns is None:
            return None
        return round((self.ended_ns - self.started_ns) / 1e6, 3)


class Task(Model):
    """What a task's file says about it, as described by a child that imported it."""

    task_id: str
    function: str
    path: FilePath  # absolute path of the file
    version: str  # hash of the file and of every module it imports from the task roots
    description: str = ""
    input_schema: JsonObject
    output_schema: JsonObject | None = None
    tags: list[str] = Field(default_factory=list[str])
    timeout_seconds: float | None = None
    idempotent: bool = False
    retry: RetryPolicy | None = None
    dangerous: bool = False


class BrokenFile(Model):
    """A task file that cannot be loaded; its tasks are unknown until it is mended."""

    path: FilePath
    error_type: str
    message: str
    line: int | None = None
    stack_trace: str | None = None
    origin: str | None = None  # FILE:LINE of the error itself, where that is in a module that the file imports


Level = Literal["trace", "debug", "info", "warn", "error"]
LEVELS: tuple[Level, ...] = ("trace", "debug", "info", "warn", "error")


class LogRecord(Model):
    """One log record of an attempt; (execution_id, attempt, sequence) is its identity."""

    sequence: int
    at_ns: int
    level: Level
    logger: str  # "ctx", a stdlib logger's name, "stdout", "stderr", "warnings"
    message: str
    context: JsonObject = Field(default_factory=dict[str, Any])
    error: ExceptionInfo | None = None
    stack_trace: str | None = None


class Span(Model):
    """One finished span of an attempt, after OpenTelemetry's model."""

    sequence: int
    span_id: str  # 16 hex digits
    parent_id: str | None = None
    name: str
    kind: Literal["internal", "client", "server"] = "internal"
    start_ns: int
    end_ns: int
    status: Literal["ok", "error", "unset"] = "unset"
    status_message: str | None = None
    attributes: JsonObject = Field(default_factory=dict[str, Any])


class AuditRecord(Model):
    """One call or refusal of a client. It never holds what went in or came out."""

    record_id: str  # minted where it was made, so that recording it twice is recording it once
    at_ns: int  # when the call arrived
    client: str | None  # None: it was not let in
    transport: Literal["http", "stdio"]
    session_id: str | None = None
    tool: str  # the bare name; of whoever was not let in, what it asked for
    task_id: str | None = None
    execution_id: str | None = None
    decision: Literal["allowed", "refused"]
    code: str | None = None  # of the refusal, or of what went wrong with an allowed call
    duration_ms: float


class FromTask(Model):
    """Base of what a task may ask of other actors (`actors/worker/relay.py`); its worker says who it is.

    Attributes:
        execution_id: The execution that asks.
        fence: Of its attempt.
        client: Who owns the execution.
        span_id: The span under which it asks.
        call_id: Which of the attempt's calls this is.
    """

    execution_id: str = ""
    fence: int = 0
    client: str = "local"
    span_id: str | None = None
    call_id: int = 0


class RunEnd(Model):
    """How an execution ended that a task called."""

    execution_id: str
    task_id: str
    status: Status
    output: Any = None
    failure: Failure | None = None
