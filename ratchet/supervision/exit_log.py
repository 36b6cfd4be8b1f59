"""Exits of actors that the task-runner has not acknowledged yet."""

from ratchet.supervision.children import Actor
from ratchet.supervision.exits import ExitReport
from ratchet.supervision.states import State

# Beyond that the oldest are dropped: leases run out where a report is lost.
KEPT_MAX = 1000


class ExitLog:
    """Repeats every report to each new process of the actor that it is for, until one acknowledges it."""

    def __init__(self) -> None:
        self._pending: dict[tuple[str, str], ExitReport] = {}

    def add(self, report: ExitReport, reader: Actor | None) -> None:
        """Keep a report, and send it if somebody reads."""
        self._pending[report.name, report.incarnation] = report
        if len(self._pending) > KEPT_MAX:
            del self._pending[next(iter(self._pending))]
        if reader and reader.process and reader.state is State.RUNNING:
            reader.process.control.send("exit", **report.to_body())

    def repeat(self, reader: Actor) -> None:
        """Send all of them to a process that just got ready."""
        assert reader.process
        for report in self._pending.values():
            reader.process.control.send("exit", **report.to_body())

    def acknowledge(self, name: str, incarnation: str) -> None:
        """Forget one."""
        self._pending.pop((name, incarnation), None)

    def __len__(self) -> int:
        return len(self._pending)
