"""What really happened in a simulated world, which nobody in it knows: what the invariants are checked against."""

from collections import Counter
from dataclasses import dataclass, field

from ratchet.models import Execution


@dataclass
class Ran:
    """One attempt in the hands of a child.

    Attributes:
        worker: Incarnation of the worker.
        logged: Records that it wrote.
        spans: Spans that it wrote.
        ended: returned, raised, cancelled, or died; None while it runs.
    """

    worker: str
    began_at: float
    logged: int = 0
    spans: int = 0
    ended: str | None = None
    ended_at: float = 0.0


@dataclass
class Truth:
    """Everything that counts.

    Attributes:
        effects: How often the task's function did what cannot be undone, by execution.
        ran: Attempts that a child began, by execution and fence.
        asked: Executions that a client submitted.
        accepted: Those that it got an answer about.
        ends: The first end that anybody was told of, by execution.
        refused: Executions that were refused for good, with the code.
        cancelled: Executions that a client asked to stop.
        worker_ends: Incarnations of workers that are gone.
        drained: Incarnations of workers that were asked to end.
        zygote_ends: Incarnations of workers whose zygote died at least once.
        unheard: Workers that were stopped, parted or slowed down at some time, or whose runner was.
        clock_set: The wall clock was set at some time.
        lies: What somebody was told and was not so.
        tracebacks: What an actor logged that its authors did not expect.
    """

    effects: Counter[str] = field(default_factory=Counter[str])
    ran: dict[tuple[str, int], Ran] = field(default_factory=dict[tuple[str, int], Ran])
    asked: set[str] = field(default_factory=set[str])
    accepted: set[str] = field(default_factory=set[str])
    ends: dict[str, Execution] = field(default_factory=dict[str, Execution])
    refused: dict[str, str] = field(default_factory=dict[str, str])
    cancelled: set[str] = field(default_factory=set[str])
    worker_ends: set[str] = field(default_factory=set[str])
    drained: set[str] = field(default_factory=set[str])
    zygote_ends: set[str] = field(default_factory=set[str])
    unheard: bool = False
    clock_set: bool = False
    lies: list[str] = field(default_factory=list[str])
    tracebacks: list[str] = field(default_factory=list[str])

    def told(self, execution: Execution, *, known: bool = False) -> None:
        """Somebody was told of an execution; `known`: its end was known before they asked."""
        key = execution.execution_id
        self.accepted.add(key)
        if not execution.status.terminal:
            if known:
                self.lies.append(f"{key} had ended and is told to be {execution.status.value}")
            return
        first = self.ends.setdefault(key, execution)
        if (first.status, first.output, first.failure) != (execution.status, execution.output, execution.failure):
            self.lies.append(f"{key} ended as {_end(first)} and then as {_end(execution)}")


def _end(execution: Execution) -> str:
    failure = execution.failure
    return execution.status.value + (f" ({failure.category.value}, {failure.message})" if failure is not None else "")
