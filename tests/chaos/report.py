"""A run in figures, for people."""

import shlex
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ratchet.models import Execution
from tests.chaos.faults import Strike
from tests.chaos.load import Told
from tests.chaos.watch import Watch


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run.

    Attributes:
        replay: The command that does the same to the same processes.
        complaints: What should not be; none in a good run.
        seconds: How long the load ran.
    """

    replay: Sequence[str]
    told: Told
    strikes: Sequence[Strike]
    missed: Mapping[str, int]
    executions: Sequence[Execution]
    watch: Watch
    complaints: Sequence[str]
    seconds: float


def told(outcome: Outcome) -> str:
    """The whole report."""
    rate = len(outcome.executions) / max(outcome.seconds, 0.001)
    took = f"{len(outcome.executions)} executions in {outcome.seconds:.0f} s ({rate:.0f} a second)"
    parts = [
        f"chaos: {took}; again: {shlex.join(outcome.replay)}",
        _table("fault", ("times", "median s", "longest s"), _faults(outcome.strikes)),
        _table("no victim at that moment", ("times",), [(name, [n]) for name, n in sorted(outcome.missed.items())]),
        _table("ends", ("times",), _counted(_end(one) for one in outcome.executions)),
        _table("clients asked again after", ("times",), _counted(outcome.told.asked_again.elements())),
        _table("peak memory", ("MiB",), [(name, [used // 2**20]) for name, used in outcome.watch.memory.items()]),
        _table("task-runner counted", ("most",), [(name, [n]) for name, n in sorted(outcome.watch.counters.items())]),
        f"most that waited: {outcome.watch.queued} executions, {outcome.watch.waiting_envelopes} envelopes of a peer",
    ]
    parts += [f"VIOLATED: {one}" for one in outcome.complaints]
    parts += [f"{len(outcome.complaints)} violations" if outcome.complaints else "every invariant holds"]
    return "\n\n".join(part for part in parts if part) + "\n"


def say(line: str) -> None:
    """Progress, for whoever waits."""
    sys.stderr.write(f"{line}\n")


def _faults(strikes: Sequence[Strike]) -> list[tuple[str, list[object]]]:
    by_kind: dict[str, list[float]] = {}
    for one in strikes:
        by_kind.setdefault(f"{one.fault.kind} {one.fault.target}", []).append(one.seconds)
    return [
        (kind, [len(took), f"{statistics.median(took):.2f}", f"{max(took):.2f}"])
        for kind, took in sorted(by_kind.items())
    ]


def _end(execution: Execution) -> str:
    telemetry = ", telemetry incomplete" if any(one.telemetry == "incomplete" for one in execution.attempts) else ""
    if execution.failure is None:
        return f"{execution.status}{telemetry}"
    return f"{execution.status}: {execution.failure.category}: {execution.failure.type}{telemetry}"


def _counted(found: Iterable[str]) -> list[tuple[str, list[object]]]:
    return [(name, [count]) for name, count in sorted(Counter(found).items())]


def _table(what: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[object]]]) -> str:
    if not rows:
        return ""
    width = max(len(what), *(len(name) for name, _ in rows))
    lines = [f"{what:<{width}}" + "".join(f"{column:>12}" for column in columns)]
    lines += [f"{name:<{width}}" + "".join(f"{cell!s:>12}" for cell in cells) for name, cells in rows]
    return "\n".join(lines)
