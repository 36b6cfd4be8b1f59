"""Wakes readers that wait for something new about one execution; nobody polls."""

import asyncio
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager, suppress


class Arrivals:
    """Who waits for news of which execution."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._closed = False

    @contextmanager
    def subscribe(self, execution_id: str) -> Generator[asyncio.Event]:
        """An event that every `notify` sets while the context lasts; subscribe *before* looking what is there."""
        event = asyncio.Event()
        self._waiting[execution_id].add(event)
        try:
            yield event
        finally:
            self._waiting[execution_id].discard(event)
            if not self._waiting[execution_id]:
                del self._waiting[execution_id]

    def notify(self, execution_id: str) -> None:
        """Something new about this execution is stored now."""
        for event in self._waiting.get(execution_id, ()):
            event.set()

    async def wait(self, event: asyncio.Event, deadline: float) -> bool:
        """Wait for `event`, at most until `deadline` (loop time). Returns whether to look again."""
        if self._closed or deadline <= asyncio.get_running_loop().time():
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await event.wait()
        return event.is_set() and not self._closed

    async def next(self, event: asyncio.Event, over: asyncio.Event) -> bool:
        """Wait for `event` or `over`. Returns False when waiting has ended for everybody."""
        if self._closed:
            return False
        waits = [asyncio.ensure_future(one.wait()) for one in (event, over)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        return not self._closed

    def close(self) -> None:
        """End every wait, now and from now on: readers get what there is."""
        self._closed = True
        for events in self._waiting.values():
            for event in events:
                event.set()
