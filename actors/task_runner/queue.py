"""The executions that wait for a slot: the deepest called first, then by priority, then the oldest.

What a task called comes before everything that clients wait for, whatever their priority: only its end lets those above
it, which hold processes, go on.
"""

import heapq
from collections.abc import Iterator


class ReadyQueue:
    """Execution ids in the order in which they should run."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, str]] = []
        self._waiting: set[str] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, execution_id: object) -> bool:
        return execution_id in self._waiting

    def push(self, execution_id: str, *, priority: int, created_ns: int, depth: int = 0) -> None:
        """Queue an execution; one that waits already stays where it is."""
        if execution_id not in self._waiting:
            self._waiting.add(execution_id)
            heapq.heappush(self._heap, (-depth, -priority, created_ns, execution_id))

    def pop(self) -> str | None:
        """Take the next one, or None where none waits."""
        while self._heap:
            execution_id = heapq.heappop(self._heap)[-1]
            if execution_id in self._waiting:
                self._waiting.remove(execution_id)
                return execution_id
        return None

    def discard(self, execution_id: str) -> None:
        """Take one out of turn, if it waits."""
        self._waiting.discard(execution_id)

    def __iter__(self) -> Iterator[str]:
        """In the order in which they would be popped."""
        return (one for *_, one in sorted(self._heap) if one in self._waiting)
