"""The callee's half of a link: running handlers, their one answer each, and the answers given lately.

A call that comes again (its caller lost the session meanwhile) joins the handler that runs for it, or gets the same
answer again; it never runs twice while the answer is remembered.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import structlog

from ipc.alarm import Alarm
from ipc.codec import encode_error
from ipc.envelope import BODY_BYTES_MAX, Envelope, Kind
from ipc.errors import BusyError, ExpiredError, IpcError, RemoteError, TooLargeError, UnknownMethodError

ACCEPT_SECONDS = 0.05
ANSWER_SECONDS = 60.0
ANSWERS_MAX = 4096
ANSWERS_BYTES_MAX = 8 * 1024 * 1024
RUNNING_MAX = 4096
OVERDUE_SECONDS = 1.0  # the caller's own CANCEL comes first unless the caller is gone

log = structlog.stdlib.get_logger("ipc.serving")


@dataclass(frozen=True, slots=True)
class Request:
    """What a handler is given.

    Attributes:
        source: Name of the caller.
        method: What was called.
        body: Opaque.
        deadline: Loop time after which nobody waits for the answer; None for an event.
        trace: The caller's traceparent.
        progress: Sends a body to whoever waits; conflated, and dropped rather than queued without bound.
    """

    source: str
    method: str
    body: bytes
    deadline: float | None
    trace: str | None
    progress: Callable[[bytes], None]


Handler = Callable[[Request], Awaitable[bytes]]


class _Running:
    """A handler at work; `task` is set right after."""

    __slots__ = ("accept_at", "cancelled", "envelope", "overdue_at", "started", "task")

    def __init__(self, envelope: Envelope, now: float, deadline: float | None) -> None:
        self.envelope = envelope
        self.accept_at = now + ACCEPT_SECONDS
        self.overdue_at = float("inf") if deadline is None else deadline + OVERDUE_SECONDS
        self.task: asyncio.Task[None] | None = None
        self.started = False
        self.cancelled = False


class Serving:
    """What one link serves."""

    def __init__(
        self,
        name: str,
        methods: Mapping[str, Handler],
        *,
        send: Callable[[Envelope], None],
        counters: Counter[str],
        clock: Callable[[], float],
    ) -> None:
        """Serve nothing yet.

        Args:
            name: The callee's.
            methods: Handlers by method; looked up at each call.
            send: Queues an envelope or raises BusyError.
            counters: Where dropped answers and the like are counted.
            clock: The event loop's.
        """
        self._name = name
        self._methods = methods
        self._send = send
        self._counters = counters
        self._clock = clock
        self._closing = False
        self._running: dict[bytes, _Running] = {}
        self._events: set[asyncio.Task[None]] = set()
        self._answers: OrderedDict[bytes, tuple[float, Envelope]] = OrderedDict()
        self._answers_bytes = 0
        self._alarm = Alarm(self._sweep)

    def __len__(self) -> int:
        return len(self._running)

    def call(self, envelope: Envelope) -> None:
        """Run the handler, unless the call is expired, known, or cannot be served."""
        if self._seen(envelope):
            return
        now = self._clock()
        handler = self._methods.get(envelope.method)
        remaining_ms = envelope.remaining_ms
        if remaining_ms == 0:
            self._counters["expired"] += 1
            self._refuse(envelope, ExpiredError(f"{envelope.method} arrived at {self._name} after its deadline"))
        elif handler is None:
            self._refuse(envelope, UnknownMethodError(f"{self._name} serves no method {envelope.method!r}"))
        elif len(self._running) + len(self._events) >= RUNNING_MAX:
            self._refuse(envelope, BusyError(f"{self._name} runs {RUNNING_MAX} calls already; try again later"))
        else:
            deadline = None if remaining_ms is None else now + remaining_ms / 1000
            running = _Running(envelope, now, deadline)
            request = Request(
                envelope.source,
                envelope.method,
                envelope.body,
                deadline,
                envelope.trace,
                partial(self._progress, running),
            )
            self._running[envelope.key] = running
            running.task = asyncio.get_running_loop().create_task(self._serve(running, handler, request))
            self._alarm.by(running.accept_at)

    def event(self, envelope: Envelope) -> None:
        """Run the handler; nobody hears of its end."""
        handler = self._methods.get(envelope.method)
        if handler is None or len(self._events) >= RUNNING_MAX:
            self._counters["dropped.event"] += 1
            return
        request = Request(envelope.source, envelope.method, envelope.body, None, envelope.trace, _ignore)
        task = asyncio.get_running_loop().create_task(self._observe(handler, request))
        self._events.add(task)
        task.add_done_callback(self._events.discard)

    def cancel(self, envelope: Envelope) -> None:
        """The caller no longer waits. Idempotent; an answered or unknown call is left alone."""
        running = self._running.get(envelope.key)
        if running is not None and running.envelope.source == envelope.source and not running.cancelled:
            self._cancel(running, "cancelled")

    async def close(self) -> None:
        """Cancel every handler and wait for its end."""
        self._closing = True
        self._alarm.cancel()
        tasks = [*self._events, *(running.task for running in self._running.values() if running.task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._running.clear()

    def _seen(self, envelope: Envelope) -> bool:
        running = self._running.get(envelope.key)
        if running is not None:
            self._counters["joined" if running.envelope.source == envelope.source else "forged"] += 1
            return True
        answered = self._answers.get(envelope.key)
        if answered is None or answered[0] <= self._clock():
            return False
        if answered[1].target == envelope.source:
            self._counters["replayed"] += 1
            self._answer(answered[1])
        else:
            self._counters["forged"] += 1
        return True

    async def _serve(self, running: _Running, handler: Handler, request: Request) -> None:
        running.started = True
        try:
            body = await handler(request)
        except asyncio.CancelledError:
            if self._closing:
                raise
            error = RemoteError("cancelled", f"{request.method} was cancelled at {self._name}")
            self._settle(running, Kind.ERROR, encode_error(error, own=False))
            if running.cancelled:
                raise
        except Exception as error:  # noqa: BLE001 - the boundary of foreign code: the caller gets what it may know
            self._settle(running, Kind.ERROR, encode_error(self._presentable(error, request), own=False))
        else:
            if len(body) <= BODY_BYTES_MAX:
                self._settle(running, Kind.REPLY, body)
            else:
                large = TooLargeError(f"{request.method}: a reply of {len(body)} bytes; {BODY_BYTES_MAX} are allowed")
                self._settle(running, Kind.ERROR, encode_error(large, own=True))

    async def _observe(self, handler: Handler, request: Request) -> None:
        try:
            await handler(request)
        except Exception:  # the boundary of foreign code, and nobody to tell
            log.exception("the handler of an event raised", method=request.method, source=request.source)

    def _presentable(self, error: Exception, request: Request) -> IpcError:
        """What the caller may know: errors that bring a code are meant for it, others are only logged."""
        code: object = getattr(error, "code", None)
        message: object = getattr(error, "message", None)
        details: object = getattr(error, "details", None)
        if isinstance(code, str) and isinstance(message, str):
            return RemoteError(code, message, cast("dict[str, Any]", details) if isinstance(details, dict) else None)
        log.error("a handler raised", method=request.method, source=request.source, exc_info=error)
        return RemoteError("internal", f"{request.method} failed inside {self._name}; its log has the traceback")

    def _settle(self, running: _Running, kind: Kind, body: bytes) -> None:
        """The one answer of a call: given, and remembered."""
        call = running.envelope
        if self._running.pop(call.key, None) is None:
            return
        answer = Envelope(kind, call.key, self._name, call.source, "", None, False, None, 0, body, call.patient)
        self._remember(answer)
        self._answer(answer)

    def _refuse(self, call: Envelope, error: IpcError) -> None:
        """Answer a call that was not run; not remembered, since a later attempt may fare better."""
        body = encode_error(error, own=True)
        self._answer(Envelope(Kind.ERROR, call.key, self._name, call.source, "", None, False, None, 0, body))

    def _answer(self, answer: Envelope) -> None:
        try:
            self._send(answer)
        except BusyError:  # kept for a resend; without one the caller's deadline ends it
            self._counters["dropped.answer"] += 1

    def _remember(self, answer: Envelope) -> None:
        now = self._clock()
        answers = self._answers
        answers[answer.key] = (now + ANSWER_SECONDS, answer)
        self._answers_bytes += answer.payload_bytes
        while answers:
            expires, oldest = next(iter(answers.values()))
            if expires > now and len(answers) <= ANSWERS_MAX and self._answers_bytes <= ANSWERS_BYTES_MAX:
                break
            answers.popitem(last=False)
            self._answers_bytes -= oldest.payload_bytes

    def _progress(self, running: _Running, body: bytes) -> None:
        call = running.envelope
        if call.key not in self._running:
            return
        if len(body) > BODY_BYTES_MAX:
            raise TooLargeError(f"{call.method}: progress of {len(body)} bytes; {BODY_BYTES_MAX} are allowed")
        try:
            self._send(Envelope(Kind.PROGRESS, call.key, self._name, call.source, "", None, False, None, 0, body))
        except BusyError:
            self._counters["dropped.progress"] += 1

    def _cancel(self, running: _Running, counter: str) -> None:
        self._counters[counter] += 1
        running.cancelled = True
        assert running.task is not None
        running.task.cancel()
        if not running.started:  # then its coroutine will never run, nor settle
            error = RemoteError("cancelled", f"{running.envelope.method} was cancelled before it began")
            self._settle(running, Kind.ERROR, encode_error(error, own=False))

    def _sweep(self) -> float | None:
        now = self._clock()
        after = float("inf")
        for running in tuple(self._running.values()):
            if running.accept_at <= now:
                running.accept_at = float("inf")
                call = running.envelope
                self._answer(Envelope(Kind.ACCEPT, call.key, self._name, call.source))
            if running.overdue_at <= now and not running.cancelled:
                self._cancel(running, "overdue")
            else:
                after = min(after, running.accept_at, running.overdue_at)
        return None if after == float("inf") else after


def _ignore(_body: bytes) -> None:
    """Progress of an event: nobody waits for it."""
