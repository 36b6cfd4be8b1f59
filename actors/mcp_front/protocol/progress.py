"""Progress of a waiting call as notifications: conflated, paced, and never in the way of the answer.

A client that does not read makes a notification block; so they are sent by a task of their own, one at a time, and the
answer waits for the last one only briefly. The pace bounds what piles up in buffers during one wait.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ratchet.models import JsonObject

PACE_SECONDS = 0.1
_FLUSH_SECONDS = 0.25
_MESSAGE_CHARACTERS_MAX = 200

Send = Callable[[float, float | None, str | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Step:
    current: float
    total: float | None
    message: str | None


class ProgressRelay:
    """`async with` it around a wait and hand its `push` to whoever hears of progress.

    The protocol wants every notification to be further than the one before, so a step back (a new attempt) is not sent.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._newest: _Step | None = None
        self._reached = -math.inf
        self._news = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    def push(self, body: JsonObject) -> None:
        """Take a progress body of `executions.submit` or `executions.get`."""
        step = _step(body)
        if step is None or step.current <= self._reached:
            return
        self._newest = step
        self._news.set()
        if self._pump is None:
            self._pump = asyncio.create_task(self._run(), name="progress")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pump, self._pump = self._pump, None
        if pump is None:
            return
        pump.cancel()
        await asyncio.wait([pump])
        if kind is None:
            with suppress(TimeoutError):  # the client does not read: the answer is what matters
                async with asyncio.timeout(_FLUSH_SECONDS):
                    await self._send_newest()

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await self._send_newest()
            await asyncio.sleep(PACE_SECONDS)

    async def _send_newest(self) -> None:
        step, self._newest = self._newest, None
        if step is not None and step.current > self._reached:
            self._reached = step.current
            await self._send(step.current, step.total, step.message)


def _step(body: JsonObject) -> _Step | None:
    match body:
        case {"current": int() | float() as current} if math.isfinite(current):
            total, message = body.get("total"), body.get("message")
            return _Step(
                current=float(current),
                total=float(total) if isinstance(total, int | float) and math.isfinite(total) else None,
                message=str(message)[:_MESSAGE_CHARACTERS_MAX] if message else None,
            )
        case _:
            return None
