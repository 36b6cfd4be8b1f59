"""What can be seen of an execution that runs; asked of the task-runner, and by it of the worker that has it."""

from typing import Literal

from pydantic import Field

from ratchet.bodies.common import OnBehalf
from ratchet.models import Model


class InspectExecution(OnBehalf):
    """Look into the process of a running execution."""

    execution_id: str


class InspectAttempt(Model):
    """The same, of the attempt under this fence."""

    execution_id: str
    fence: int


class Frame(Model):
    """One call on a stack; `source` is the text of the line, where its file could be read."""

    file: str
    line: int
    function: str
    source: str | None = None


class Stack(Model):
    """Where a thread or a coroutine is: innermost call first."""

    name: str
    frames: list[Frame]


class OpenSpan(Model):
    """A span that was entered and not left yet."""

    span_id: str
    parent_id: str | None = None
    name: str
    seconds: float


class ProcessSample(Model):
    """A child and everything that descends from it, at one moment.

    Attributes:
        state: What the kernel says of the child itself: running, sleeping, disk-sleep, stopped.
        cpu_seconds: Used so far.
        cpu_share: Of one core, while it was looked at.
        memory_bytes: Resident.
        threads: Of the child itself.
        processes: The child and its descendants.
    """

    pid: int
    state: str
    cpu_seconds: float
    cpu_share: float
    memory_bytes: int
    threads: int
    processes: int


class Inspection(Model):
    """What a running attempt is doing.

    Attributes:
        seen: Who told of the stacks. python: the interpreter, everything. native: it runs no Python code now (a C
            function keeps the interpreter's lock), so only the stack that leads there is known. nothing: the process
            did not react, as one that is stopped or waits for a disk.
        silent_seconds: Since it last logged, printed, made progress or ended a span; None: it never did.
        threads: The main thread first.
        coroutines: Of the event loop that runs, if one does.
        spans: Open ones, oldest first.
        process: None where it has just ended.
    """

    execution_id: str
    attempt: int
    worker: str
    seen: Literal["python", "native", "nothing"]
    running_seconds: float
    silent_seconds: float | None = None
    threads: list[Stack] = Field(default_factory=list[Stack])
    coroutines: list[Stack] = Field(default_factory=list[Stack])
    spans: list[OpenSpan] = Field(default_factory=list[OpenSpan])
    process: ProcessSample | None = None
