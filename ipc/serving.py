"""The callee's half of a link: running handlers, their one answer each, and the answers given lately.

A call that comes again (its caller lost the session meanwhile) joins the handler that runs for it, or gets the same
answer again; it never runs twice while the answer is remembered. A call that opens a stream is answered by items and
then, as every call, by one reply (an END) or error; it ends with its reader.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, cast

import structlog

from ipc.alarm import Alarm
from ipc.codec import decode_error, encode_error
from ipc.envelope import BODY_BYTES_MAX, Envelope, Kind
from ipc.errors import (
    BusyError,
    ExpiredError,
    IpcError,
    LostError,
    MalformedError,
    RemoteError,
    TooLargeError,
    UnknownMethodError,
)
from ipc.outgoing import Outgoing, once

ACCEPT_SECONDS = 0.05
ACCEPT_SPACING_SECONDS = 0.01  # what falls due this soon is told along with what is due: many calls, few sweeps
ANSWER_SECONDS = 60.0
ANSWERS_MAX = 4096
ANSWERS_BYTES_MAX = 8 * 1024 * 1024
RUNNING_MAX = 4096
OVERDUE_SECONDS = 1.0  # the caller's own CANCEL comes first unless the caller is gone
SILENCE_SECONDS = 30.0  # the reader of a stream is heard of every few seconds unless it is gone
DOUBT_SECONDS = 2.0  # a process that stood still itself has not read yet what the reader said meanwhile

log = structlog.stdlib.get_logger("ipc.serving")


class Request(NamedTuple):
    """What a handler is given.

    A named tuple and not a frozen dataclass for the reason of `Envelope`.

    Attributes:
        source: Name of the caller.
        method: What was called.
        body: Opaque.
        deadline: Loop time after which nobody waits for the answer; None for an event.
        trace: The caller's traceparent.
        progress: Sends a body to whoever waits; conflated, and dropped rather than queued without bound. Of an event
            and of a stream nobody does.
    """

    source: str
    method: str
    body: bytes
    deadline: float | None
    trace: str | None
    progress: Callable[[bytes], None]


Handler = Callable[[Request], Awaitable[bytes]]
StreamHandler = Callable[[Request], AsyncIterator[bytes]]
"""An async generator, say. It waits at each item while the reader has no room for more."""
Method = Handler | StreamHandler


class _Running:
    """A handler at work; `task` is set right after."""

    __slots__ = ("accept_at", "cancelled", "envelope", "outgoing", "overdue_at", "started", "task", "trouble")

    def __init__(self, envelope: Envelope, now: float, deadline: float | None) -> None:
        self.envelope = envelope
        self.accept_at = now + ACCEPT_SECONDS
        self.outgoing: Outgoing | None = None
        self.trouble: IpcError | None = None  # why it is cancelled, if not by its caller
        self.overdue_at = float("inf") if deadline is None else deadline + OVERDUE_SECONDS
        self.task: asyncio.Task[None] | None = None
        self.started = False
        self.cancelled = False


class Serving:
    """What one link serves."""

    def __init__(
        self,
        name: str,
        methods: Mapping[str, Method],
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
        self._unheard: set[asyncio.Task[None]] = set()  # of events, and of streams whose reader is gone
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
        elif len(self._running) + len(self._unheard) >= RUNNING_MAX:
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
                _ignore if envelope.credit else partial(self._progress, running),
            )
            if envelope.credit:
                self._begin_stream(running, now)
            self._running[envelope.key] = running
            running.task = asyncio.get_running_loop().create_task(self._serve(running, handler, request))
            self._alarm.by(running.accept_at)

    def event(self, envelope: Envelope) -> None:
        """Run the handler; nobody hears of its end."""
        handler = self._methods.get(envelope.method)
        if handler is None or len(self._unheard) >= RUNNING_MAX:
            self._counters["dropped.event"] += 1
            return
        request = Request(envelope.source, envelope.method, envelope.body, None, envelope.trace, _ignore)
        task = asyncio.get_running_loop().create_task(self._observe(handler, request))
        self._let_end(task)

    def cancel(self, envelope: Envelope) -> None:
        """The caller no longer waits. Idempotent; an answered or unknown call is left alone."""
        running = self._running.get(envelope.key)
        if running is not None and running.envelope.source == envelope.source and not running.cancelled:
            self._cancel(running, "cancelled")

    def credit(self, envelope: Envelope) -> None:
        """The reader of a stream takes items, or says that it is there: then it is told of an end that it missed."""
        running = self._running.get(envelope.key)
        if running is None:
            self._credit_of_no_stream(envelope)
        elif running.envelope.source != envelope.source or running.outgoing is None:
            self._counters["forged"] += 1
        else:
            try:
                running.outgoing.give(envelope, self._clock())
            except (MalformedError, LostError) as error:
                self._counters["malformed"] += isinstance(error, MalformedError)
                self._fail_stream(running, error)

    def undelivered(self, envelope: Envelope) -> bool:
        """The hub could not pass an item on. Returns whether it was one of a stream that runs."""
        running = self._running.get(envelope.key)
        if running is None or running.outgoing is None or running.envelope.source != envelope.source:
            return False
        self._fail_stream(running, decode_error(envelope.body))
        return True

    def peer_gone(self, name: str) -> None:
        """A reader went away, and its streams with it. Who calls may come back, and ask again."""
        self._abandon(lambda running: running.envelope.source == name)

    def offline(self) -> None:
        """There is no session now, and with the old one every stream is over."""
        self._abandon(lambda _running: True)

    @property
    def handlers(self) -> "list[asyncio.Task[None]]":
        """Those at work for calls and streams."""
        return [running.task for running in self._running.values() if running.task]

    async def close(self) -> None:
        """Cancel every handler and wait for its end."""
        self._closing = True
        self._alarm.cancel()
        tasks = [*self._unheard, *self.handlers]
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

    async def _serve(self, running: _Running, handler: Method, request: Request) -> None:
        running.started = True
        outgoing = running.outgoing
        try:
            produced = handler(request)
            body = b"" if outgoing else await once(produced, request.method)
            if outgoing:
                await outgoing.run(produced)
        except asyncio.CancelledError:
            if self._closing:
                raise
            error = running.trouble or RemoteError("cancelled", f"{request.method} was cancelled at {self._name}")
            self._settle(running, Kind.ERROR, encode_error(error, own=running.trouble is not None))
            if running.cancelled:
                raise
        except Exception as error:  # noqa: BLE001 - the boundary of foreign code: the caller gets what it may know
            self._settle(running, Kind.ERROR, encode_error(self._presentable(error, request), own=False))
        else:
            if outgoing:
                self._settle(running, Kind.END, b"", outgoing.credit.sent)
            elif len(body) <= BODY_BYTES_MAX:
                self._settle(running, Kind.REPLY, body)
            else:
                large = TooLargeError(f"{request.method}: a reply of {len(body)} bytes; {BODY_BYTES_MAX} are allowed")
                self._settle(running, Kind.ERROR, encode_error(large, own=True))

    async def _observe(self, handler: Method, request: Request) -> None:
        try:
            await once(handler(request), request.method)
        except Exception as error:  # noqa: BLE001 - the boundary of foreign code, and nobody to tell
            self._counters["refused"] += 1
            refusal = self._presentable(error, request)
            log.warning("an event was refused", method=request.method, source=request.source, error=str(refusal))

    def _presentable(self, error: Exception, request: Request) -> IpcError:
        """What the caller may know: errors that bring a code are meant for it, others are only logged."""
        code: object = getattr(error, "code", None)
        message: object = getattr(error, "message", None)
        details: object = getattr(error, "details", None)
        if isinstance(code, str) and isinstance(message, str):
            return RemoteError(code, message, cast("dict[str, Any]", details) if isinstance(details, dict) else None)
        log.error("a handler raised", method=request.method, source=request.source, exc_info=error)
        return RemoteError("internal", f"{request.method} failed inside {self._name}; its log has the traceback")

    def _settle(self, running: _Running, kind: Kind, body: bytes, credit: int = 0) -> None:
        """The one answer of a call: given, and remembered."""
        call = running.envelope
        if self._running.pop(call.key, None) is None:
            return
        answer = Envelope(kind, call.key, self._name, call.source, "", None, False, None, credit, body, call.patient)
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

    # --- streams -------------------------------------------------------------------------------------------------

    def _begin_stream(self, running: _Running, now: float) -> None:
        running.outgoing = Outgoing(running.envelope, send=self._send, now=now)
        running.accept_at = float("inf")  # its items say so
        self._alarm.by(min(now + SILENCE_SECONDS, running.overdue_at))

    def _credit_of_no_stream(self, envelope: Envelope) -> None:
        """Credit may cross the end on its way. An ack that finds no stream says that the end was lost."""
        answered = self._answers.get(envelope.key)
        if answered is None:
            self._refuse(envelope, LostError(f"{self._name} has no such stream"))
        elif answered[1].target != envelope.source:
            self._counters["forged"] += 1
        elif envelope.kind is Kind.ACK:
            self._counters["replayed"] += 1
            self._answer(answered[1])

    def _fail_stream(self, running: _Running, error: IpcError) -> None:
        if not running.cancelled:
            running.trouble = error
            self._cancel(running, "lost.stream")

    def _abandon(self, which: Callable[[_Running], bool]) -> None:
        """End streams that nobody reads: there is nobody to answer."""
        for running in tuple(self._running.values()):
            if running.outgoing is not None and which(running):
                del self._running[running.envelope.key]
                self._counters["lost.stream"] += 1
                assert running.task is not None
                running.task.cancel()
                self._let_end(running.task)

    def _let_end(self, task: "asyncio.Task[None]") -> None:
        self._unheard.add(task)
        task.add_done_callback(self._unheard.discard)

    # --- time ----------------------------------------------------------------------------------------------------

    def _cancel(self, running: _Running, counter: str) -> None:
        self._counters[counter] += 1
        running.cancelled = True
        assert running.task is not None
        running.task.cancel()
        if not running.started:  # then its coroutine will never run, nor settle
            error = running.trouble or RemoteError(
                "cancelled", f"{running.envelope.method} was cancelled before it began"
            )
            self._settle(running, Kind.ERROR, encode_error(error, own=running.trouble is not None))

    def _sweep(self) -> float | None:
        now = self._clock()
        after = float("inf")
        for running in tuple(self._running.values()):
            if running.accept_at <= now + ACCEPT_SPACING_SECONDS:
                running.accept_at = float("inf")
                call = running.envelope
                self._answer(Envelope(Kind.ACCEPT, call.key, self._name, call.source))
            if running.cancelled:
                continue
            if running.overdue_at <= now:
                self._cancel(running, "overdue")
                continue
            if running.outgoing is not None:
                after = min(after, self._watch(running, running.outgoing, now))
            after = min(after, running.accept_at, running.overdue_at)
        return None if after == float("inf") else after

    def _watch(self, running: _Running, outgoing: Outgoing, now: float) -> float:
        """Give up a stream whose reader is not heard of. Returns when to look again."""
        silent_at = outgoing.heard_at + SILENCE_SECONDS
        if silent_at > now:
            return silent_at
        if outgoing.doubted_at is None or outgoing.doubted_at < outgoing.heard_at:
            outgoing.doubted_at = now
        if outgoing.doubted_at + DOUBT_SECONDS > now:
            return outgoing.doubted_at + DOUBT_SECONDS
        self._fail_stream(running, LostError(f"nothing was heard of the reader for {SILENCE_SECONDS:g} s"))
        return float("inf")


def _ignore(_body: bytes) -> None:
    """Progress of an event: nobody waits for it."""
