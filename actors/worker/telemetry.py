"""Log records and spans of one attempt on their way to the stores.

Redacted and numbered as they arrive, sent in batches, kept until the store has them on disk. A record that is sent
twice is ignored there by its number, so sending again is harmless.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from pydantic import ValidationError

from ipc.errors import IpcError
from ipc.link import Link
from ratchet import messages, rpc
from ratchet.bodies.attempts import AttemptOrder
from ratchet.bodies.telemetry import AppendLogs, AppendSpans
from ratchet.errors import RatchetError
from ratchet.models import Level, LogRecord, Model, Span, Telemetry
from ratchet.redaction import Redactor

log = structlog.stdlib.get_logger("worker")

FLUSH_SECONDS_MAX = 5.0
CARRIED_ITEMS_MAX = 20
CARRIED_BYTES_MAX = 64 * 1024
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
        self._sending = False
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

    def take(self) -> list[ItemT] | None:
        """Everything that is not stored, if it is little and none of it is on its way; else None."""
        if self._sending or len(self._pending) > CARRIED_ITEMS_MAX:
            return None
        if sum(len(one.model_dump_json()) for one in self._pending) > CARRIED_BYTES_MAX:
            return None
        if self._flusher is not None:
            self._flusher.cancel()
            self._flusher = None
        taken, self._pending = self._pending, []
        return taken

    def abandon(self) -> None:
        """Give up what is not stored."""
        if self._flusher is not None:
            self._flusher.cancel()

    async def _flush(self) -> None:
        try:
            if not self._hurry.is_set():
                await self._linger()
            self._sending = True
            while self._pending:
                batch = self._pending[:_BATCH_ITEMS]
                await self._store(batch)
                del self._pending[: len(batch)]
                self._on_room()
        finally:
            self._sending = False
            if self._flusher is asyncio.current_task():
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


async def _finished(streams: "list[Batches[Any]]") -> bool:
    """Whether everything of these streams was stored in time; what was not is given up."""
    try:
        async with asyncio.timeout(FLUSH_SECONDS_MAX):
            await asyncio.gather(*(one.finish() for one in streams))
    except TimeoutError:
        for one in streams:
            one.abandon()
        return False
    return True


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left of an attempt's telemetry at its end: little enough for the report to carry.

    Attributes:
        telemetry: Whether everything else is stored.
    """

    telemetry: Telemetry
    logs: list[LogRecord]
    spans: list[Span]


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

    async def finish(self) -> Rest:
        """Flush what is much, for at most `FLUSH_SECONDS_MAX`; what is little is returned instead."""
        logs, spans = self._logs.take(), self._spans.take()
        much: list[Batches[Any]] = []
        if logs is None:
            much.append(self._logs)
        if spans is None:
            much.append(self._spans)
        return Rest("complete" if not much or await _finished(much) else "incomplete", logs or [], spans or [])

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
