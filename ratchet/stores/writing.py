"""Lets a read see every write that was asked for before it.

A result may be announced while the last records of its attempt are still being committed; whoever reads them because
of that announcement must find them.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager

SETTLE_SECONDS_MAX = 5.0


class Writing:
    """Writes under way, by the execution they belong to. `hurry` has patient ones done now."""

    def __init__(self, hurry: Callable[[], None]) -> None:
        self._hurry = hurry
        self._under_way: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def of(self, execution_id: str) -> Generator[None]:
        """A write is under way while the block runs."""
        over = asyncio.Event()
        writes = self._under_way.setdefault(execution_id, set())
        writes.add(over)
        try:
            yield
        finally:
            over.set()
            writes.discard(over)
            if not writes:
                self._under_way.pop(execution_id, None)

    async def settled(self, execution_id: str) -> None:
        """Return when the writes that are under way now are over, or after `SETTLE_SECONDS_MAX`."""
        writes = tuple(self._under_way.get(execution_id, ()))
        if not writes:
            return
        self._hurry()
        try:
            async with asyncio.timeout(SETTLE_SECONDS_MAX):
                for over in writes:
                    await over.wait()
        except TimeoutError:
            return
