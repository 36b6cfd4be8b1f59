"""Attempts by execution and fence, where most executions have one."""

from collections.abc import Mapping

from ratchet.models import Attempt

_NONE: Mapping[int, Attempt] = {}


class AttemptTable:
    """Whether there is any of an execution is a single look, however many there are: pruning asks for each one.

    Its length is the number of executions.
    """

    def __init__(self) -> None:
        self._by_execution: dict[str, dict[int, Attempt]] = {}

    def __contains__(self, execution_id: object) -> bool:
        return execution_id in self._by_execution

    def __len__(self) -> int:
        return len(self._by_execution)

    def put(self, execution_id: str, attempt: Attempt) -> None:
        """Add one, or replace the one of its fence."""
        self._by_execution.setdefault(execution_id, {})[attempt.fence] = attempt

    def pop(self, execution_id: str, fence: int) -> Attempt | None:
        """Remove one and return it; None where it is not there."""
        attempts = self._by_execution.get(execution_id, {})
        found = attempts.pop(fence, None)
        if not attempts:
            self._by_execution.pop(execution_id, None)
        return found

    def of(self, execution_id: str) -> Mapping[int, Attempt]:
        """Those of an execution, by fence."""
        return self._by_execution.get(execution_id, _NONE)

    def all(self) -> list[tuple[str, Attempt]]:
        """Every one, with its execution."""
        return [(one, attempt) for one, attempts in self._by_execution.items() for attempt in attempts.values()]
