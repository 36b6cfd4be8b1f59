"""What an analysis consists of. JSON-able, and said in the order in which a reader needs it: the cause first."""

from typing import Any, Literal

from pydantic import Field

from ratchet.models import JsonObject, Model, Status

Confidence = Literal["high", "medium", "low"]
Kind = Literal["patch_input", "correct_input", "retry", "fix_task", "configure", "look"]
CONFIDENCES: tuple[Confidence, ...] = ("high", "medium", "low")  # best first


class RootCause(Model):
    """The exception, or the death of a process, that everything else comes from."""

    type: str
    message: str
    where: str | None = None  # "failing.py:58 in _invoice"


class Retryable(Model):
    """Whether the same input may succeed when it is run again, and why."""

    value: bool
    reason: str


class FailingFrame(Model):
    """The line that failed.

    Attributes:
        file: As the traceback has it.
        line: From 1.
        function: Qualified name.
        in_task: Whether it is the author's code; a library's where none of the author's was involved.
        source_lines: The lines around it, `>    58 | return …` for the one that failed.
    """

    file: str
    line: int
    function: str
    in_task: bool
    source_lines: list[str] = Field(default_factory=list[str])


class Link(Model):
    """One exception of the chain; `relation` is what it is to the one before it."""

    type: str
    message: str
    relation: str | None = None
    where: str | None = None
    notes: list[str] = Field(default_factory=list[str])


class Suggestion(Model):
    """One thing to do.

    Attributes:
        kind: patch_input (`patch` is there), correct_input (what is wrong is known, what is right is not), retry,
            fix_task, configure, look.
        text: What to do and what makes it likely.
        confidence: high where the failure itself says so; low where another execution merely did it that way.
        patch: RFC 6902, for the execution's input; what it makes of it fits the task's schema.
    """

    kind: Kind
    text: str
    confidence: Confidence
    patch: list[JsonObject] | None = None


class Difference(Model):
    """A value of the input that was another one; None where it was not there (or is null)."""

    path: str  # JSON Pointer
    then: Any = None
    now: Any = None


class Versions(Model):
    """Of the task, or of what ran it."""

    then: str | None
    now: str | None


class Changes(Model):
    """What differs between this execution and the last one of the task that completed before it.

    Attributes:
        execution_id: That one.
        completed_at: ISO 8601.
        task_version: Where the task's files changed since.
        input: At most a few; `input_total` counts all.
        worker: Where another worker ran it.
    """

    execution_id: str
    completed_at: str | None
    summary: str
    task_version: Versions | None = None
    input: list[Difference] = Field(default_factory=list[Difference])
    input_total: int = 0
    worker: Versions | None = None


class SimilarFailures(Model):
    """Other executions of the task that failed in the same way.

    Attributes:
        fingerprint: What "the same way" means (`ratchet.analysis.fingerprint`).
        count: How many others there are among those looked at.
        same_input: How many of them had this very input.
        first_seen: When the first of them was created; of this one where it is alone.
        execution_ids: The newest few.
        later_success: An execution with the same input as one of these failures that completed after it.
    """

    fingerprint: str
    count: int
    same_input: int
    first_seen: str | None
    execution_ids: list[str] = Field(default_factory=list[str])
    later_success: str | None = None


class NextCall(Model):
    """The call to make now."""

    tool: str
    arguments: JsonObject
    why: str


class Analysis(Model):
    """Why an execution failed and what to do about it.

    Attributes:
        error_type: Type of the failure as the execution has it.
        category: Name of a row of the taxonomy.
        summary: One sentence, the cause first.
        chain: From the raised exception to its causes; empty where no exception was raised.
        process: How the process ended, where it died.
        last_log_lines: The end of the log, newest last.
        note: What was left out and which call shows it.
    """

    execution_id: str
    task_id: str
    status: Status
    error_type: str
    category: str
    summary: str
    root_cause: RootCause
    retryable: Retryable
    failing_frame: FailingFrame | None = None
    suggestions: list[Suggestion] = Field(default_factory=list[Suggestion])
    next: NextCall | None = None
    changed_since_last_success: Changes | None = None
    similar_failures: SimilarFailures
    chain: list[Link] = Field(default_factory=list[Link])
    process: JsonObject | None = None
    last_log_lines: list[str] = Field(default_factory=list[str])
    note: str | None = None
