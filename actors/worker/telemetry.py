"""Log records and spans of one attempt on their way to the stores.

Redacted and numbered as they arrive, sent in batches, kept until the store has them on disk. A record that is sent
twice is ignored there by its number, so sending again is harmless.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import structlog
from pydantic import ValidationError

from ipc.errors import IpcError
from ipc.link import Link
from ratchet import messages, rpc
from ratchet.errors import RatchetError
from ratchet.messages import AppendLogs, AppendSpans, AttemptOrder
from ratchet.models import Level, LogRecord, Model, Span, Telemetry
from ratchet.redaction import Redactor

log = structlog.stdlib.get_logger("worker")

FLUSH_SECONDS_MAX = 5.0
_BATCH_ITEMS = 500
_BATCH_DELAY_SECONDS = 0.05
_PENDING_MAX = 4_000
_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5)

ItemT = TypeVar("ItemT", bound=Model)


class Batches(Generic[ItemT]):
    """One stream of items towards one store, in order."""

    def __init__(self, send: Callable[[list[ItemT]], Awaitable[None]], on_room: Callable[[], None]) -> None:
        self._send = send
        self._on_room = on_room
        self._pending: list[ItemT] = []
        self._flusher: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether whoever adds should wait."""
        return len(self._pending) >= _PENDING_MAX

    def add(self, item: ItemT) -> None:
        """Take an item; it leaves with the next batch."""
        self._pending.append(item)
        if len(self._pending) >= _BATCH_ITEMS:
            self._hurry.set()
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())

    async def finish(self) -> None:
        """Return when everything is stored."""
        self._hurry.set()
        while self._flusher is not None:
            await asyncio.shield(self._flusher)

    def abandon(self) -> None:
        """Give up what is not stored."""
        if self._flusher is not None:
            self._flusher.cancel()

    async def _flush(self) -> None:
        try:
            if not self._hurry.is_set():
                await self._linger()
            while self._pending:
                batch = self._pending[:_BATCH_ITEMS]
                await self._store(batch)
                del self._pending[: len(batch)]
                self._on_room()
        finally:
            self._flusher = None

    async def _linger(self) -> None:
        try:
            async with asyncio.timeout(_BATCH_DELAY_SECONDS):
                await self._hurry.wait()
        except TimeoutError:
            return

    async def _store(self, batch: list[ItemT]) -> None:
        attempt = 0
        while True:
            try:
                return await self._send(batch)
            except (IpcError, RatchetError) as error:
                log.warning("a batch could not be stored; trying again", items=len(batch), error=str(error))
            await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
            attempt += 1


class AttemptTelemetry:
    """Everything that one attempt says about itself."""

    def __init__(
        self,
        link: Link,
        order: AttemptOrder,
        redactor: Redactor,
        *,
        on_full: Callable[[], None],
        on_room: Callable[[], None],
    ) -> None:
        self._link = link
        self._order = order
        self._redactor = redactor
        self._on_full = on_full
        self._on_room = on_room
        self._sequences = {"log": 0, "span": 0}
        self._logs: Batches[LogRecord] = Batches(self._send_logs, self._room)
        self._spans: Batches[Span] = Batches(self._send_spans, self._room)

    def log(self, body: dict[str, Any]) -> None:
        """A record from the child, or None of it where it is malformed: task code can write anything to its channel."""
        self._add(self._logs, LogRecord, "log", body)

    def line(self, stream: str, text: str) -> None:
        """A raw line of output."""
        level: Level = "info" if stream == "stdout" else "warn"
        self.log({"at_ns": time.time_ns(), "level": level, "logger": stream, "message": text})

    def span(self, body: dict[str, Any]) -> None:
        """A finished span from the child."""
        self._add(self._spans, Span, "span", body)

    async def finish(self) -> Telemetry:
        """Flush, for at most `FLUSH_SECONDS_MAX`. Returns whether everything is stored."""
        try:
            async with asyncio.timeout(FLUSH_SECONDS_MAX):
                await asyncio.gather(self._logs.finish(), self._spans.finish())
        except TimeoutError:
            self._logs.abandon()
            self._spans.abandon()
            return "incomplete"
        return "complete"

    def _add(self, batches: "Batches[Any]", model: type[Model], kind: str, body: dict[str, Any]) -> None:
        try:
            item = model.model_validate({**self._redactor.value(body), "sequence": self._sequences[kind]})
        except ValidationError as error:
            log.warning("a child sent something malformed; it is dropped", kind=kind, error=str(error))
            return
        self._sequences[kind] += 1
        batches.add(item)
        if batches.full:
            self._on_full()

    def _room(self) -> None:
        if not (self._logs.full or self._spans.full):
            self._on_room()

    async def _send_logs(self, batch: list[LogRecord]) -> None:
        body = AppendLogs(execution_id=self._order.execution_id, attempt=self._order.attempt, records=batch)
        await rpc.call(self._link, messages.APPEND_LOGS, body)

    async def _send_spans(self, batch: list[Span]) -> None:
        body = AppendSpans(execution_id=self._order.execution_id, attempt=self._order.attempt, spans=batch)
        await rpc.call(self._link, messages.APPEND_SPANS, body)
