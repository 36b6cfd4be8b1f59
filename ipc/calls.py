"""The caller's half of a link: outstanding calls, their deadlines, and what becomes of them when something goes away.

Exactly one thing ends a call: a reply, an error, its deadline, its cancellation, or the loss of its outcome. Whatever
arrives later is dropped and counted. Does not know sessions or transports: it is told of their changes.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable

import structlog

from ipc.alarm import Alarm
from ipc.codec import decode_error
from ipc.envelope import BODY_BYTES_MAX, REMAINING_MS_MAX, Envelope, Kind, check_address, fitting_trace
from ipc.errors import (
    BusyError,
    ExpiredError,
    IpcError,
    LostError,
    TooLargeError,
    UnreachableError,
)

RESEND_SECONDS_MIN = 0.02
RESEND_SECONDS_MAX = 0.5
OUTSTANDING_MAX = 8192
CALL_SECONDS_MAX = 10 * 365 * 86_400.0

log = structlog.stdlib.get_logger("ipc.calls")


class Call:
    """One outstanding call. Made by `Calls.start`; `future` is what the caller waits for."""

    __slots__ = (
        "accepted",
        "body",
        "deadline",
        "future",
        "idempotent",
        "key",
        "method",
        "on_progress",
        "patient",
        "resend_at",
        "resend_seconds",
        "sent",
        "target",
        "timeout_seconds",
        "trace",
        "trouble",
    )

    def __init__(
        self,
        key: bytes,
        target: str,
        method: str,
        body: bytes,
        *,
        future: asyncio.Future[bytes],
        now: float,
        timeout_seconds: float,
        idempotent: bool,
        trace: str | None,
        on_progress: Callable[[bytes], None] | None,
        patient: bool,
    ) -> None:
        self.key = key
        self.target = target
        self.method = method
        self.body = body
        self.future = future
        self.patient = patient
        self.timeout_seconds = timeout_seconds
        self.deadline = now + min(timeout_seconds, CALL_SECONDS_MAX)
        self.idempotent = idempotent
        self.trace = trace
        self.on_progress = on_progress
        self.sent = False
        self.accepted = False
        self.resend_at = float("inf")
        self.resend_seconds = RESEND_SECONDS_MIN
        self.trouble: UnreachableError | None = None


class Calls:
    """The outstanding calls of one link."""

    def __init__(
        self,
        name: str,
        *,
        send: Callable[[Envelope], None],
        counters: Counter[str],
        clock: Callable[[], float],
    ) -> None:
        """Make an empty table, offline.

        Args:
            name: The caller's.
            send: Queues an envelope or raises BusyError.
            counters: Where late answers and the like are counted.
            clock: The event loop's.
        """
        self._name = name
        self._send = send
        self._counters = counters
        self._clock = clock
        self._online = False
        self._closed = False
        self._calls: dict[bytes, Call] = {}
        self._alarm = Alarm(self._sweep)
        self._key_prefix = os.urandom(8)
        self._minted = 0

    def __len__(self) -> int:
        return len(self._calls)

    def start(
        self,
        target: str,
        method: str,
        body: bytes,
        *,
        timeout_seconds: float,
        idempotent: bool,
        trace: str | None,
        on_progress: Callable[[bytes], None] | None,
        patient: bool = False,
    ) -> Call:
        """Begin a call; it is sent now, or as soon as there is a session.

        Raises:
            BusyError: Too many calls are outstanding, or the link's own queue is full.
            MalformedError: The target or the method cannot be a name.
            TooLargeError: The body exceeds `BODY_BYTES_MAX`.
            UnreachableError: The link is closed.
        """
        if len(body) > BODY_BYTES_MAX:
            raise TooLargeError(f"{method}: a body of {len(body)} bytes; {BODY_BYTES_MAX} are allowed")
        check_address(target, method)
        if self._closed:
            raise UnreachableError(f"{method} on {target}: the link of {self._name} is closed")
        if len(self._calls) >= OUTSTANDING_MAX:
            raise BusyError(f"{method} on {target}: {OUTSTANDING_MAX} calls are outstanding already; try again later")
        self._minted += 1
        call = Call(
            self._key_prefix + self._minted.to_bytes(8, "big"),
            target,
            method,
            body,
            future=asyncio.get_running_loop().create_future(),
            now=self._clock(),
            timeout_seconds=timeout_seconds,
            idempotent=idempotent,
            trace=fitting_trace(trace),
            on_progress=on_progress,
            patient=patient,
        )
        if self._online:
            self._transmit(call)
        self._calls[call.key] = call
        self._alarm.by(call.deadline)
        return call

    def withdraw(self, call: Call) -> None:
        """The caller no longer waits: tell the callee."""
        if self._calls.pop(call.key, None) is not None and call.sent:
            self._cancel(call)

    def settle(self, envelope: Envelope) -> None:
        """A reply or an error arrived."""
        call = self._calls.get(envelope.key)
        if call is None or call.target != envelope.source:
            self._counters["late"] += 1
        elif envelope.kind is Kind.REPLY:
            self._end(call, envelope.body)
        else:
            self._fail(call, decode_error(envelope.body))

    def accepted(self, envelope: Envelope) -> None:
        """The callee has the call and takes its time."""
        call = self._calls.get(envelope.key)
        if call is not None:
            call.accepted = True

    def progress(self, envelope: Envelope) -> None:
        """Hand progress to whoever asked for it."""
        call = self._calls.get(envelope.key)
        if call is None or call.target != envelope.source:
            self._counters["late"] += 1
        elif call.on_progress is not None:
            try:
                call.on_progress(envelope.body)
            except Exception:  # the caller's code: it must not take down everybody's messages
                log.exception("a listener to progress raised", method=call.method, target=call.target)
                call.on_progress = None

    def online(self) -> None:
        """There is a new session. Whatever the old one carried may have been lost."""
        self._online = True
        for call in tuple(self._calls.values()):
            if not call.sent:
                self._transmit_later(call)
            elif call.idempotent:
                self._counters["resent"] += 1
                self._transmit_later(call)
            else:
                self._lose(call, "the session with the hub was interrupted")

    def offline(self) -> None:
        """There is no session now; calls wait for the next."""
        self._online = False

    def peer_gone(self, name: str) -> None:
        """A callee went away; another of that name may come."""
        for call in tuple(self._calls.values()):
            if call.target == name and call.sent:
                if call.idempotent:
                    self._retry(call)
                else:
                    self._lose(call, f"{name} went away")

    def close(self) -> None:
        """End every call."""
        self._closed = True
        self._online = False
        self._alarm.cancel()
        for call in tuple(self._calls.values()):
            if call.sent:
                self._lose(call, "the link was closed")
            else:
                self._raise(call, UnreachableError(f"{call.method} on {call.target}: the link was closed"))

    def _transmit(self, call: Call) -> None:
        call.resend_at = float("inf")
        call.sent = True
        remaining_ms = min(int((call.deadline - self._clock()) * 1000), REMAINING_MS_MAX)
        self._send(
            Envelope(
                Kind.CALL,
                call.key,
                self._name,
                call.target,
                call.method,
                max(remaining_ms, 0),
                call.idempotent,
                call.trace,
                0,
                call.body,
                call.patient,
            )
        )

    def _transmit_later(self, call: Call) -> None:
        """Send what has waited; a queue that is full by that is no reason to fail it before its deadline."""
        sent_before = call.sent
        try:
            self._transmit(call)
        except BusyError:
            call.sent = sent_before
            self._retry(call)

    def _cancel(self, call: Call) -> None:
        try:
            self._send(Envelope(Kind.CANCEL, call.key, self._name, call.target))
        except BusyError:
            self._counters["dropped.cancel"] += 1

    def _fail(self, call: Call, error: IpcError) -> None:
        if isinstance(error, UnreachableError) and call.idempotent:
            call.trouble = error
            self._retry(call)
        else:
            self._raise(call, error)

    def _retry(self, call: Call) -> None:
        call.resend_at = self._clock() + call.resend_seconds
        call.resend_seconds = min(2 * call.resend_seconds, RESEND_SECONDS_MAX)
        self._alarm.by(call.resend_at)

    def _lose(self, call: Call, why: str) -> None:
        self._counters["lost"] += 1
        self._raise(call, LostError(f"{call.method} on {call.target}: {why}; whether it was done is unknown"))

    def _end(self, call: Call, body: bytes) -> None:
        self._calls.pop(call.key, None)
        if not call.future.done():
            call.future.set_result(body)

    def _raise(self, call: Call, error: IpcError) -> None:
        self._calls.pop(call.key, None)
        if not call.future.done():
            call.future.set_exception(error)

    def _sweep(self) -> float | None:
        now = self._clock()
        after = float("inf")
        for call in tuple(self._calls.values()):
            if call.deadline <= now:
                self._expire(call)
                continue
            if call.resend_at <= now:
                call.resend_at = float("inf")
                if self._online:
                    self._counters["resent"] += 1
                    self._transmit_later(call)
            after = min(after, call.deadline, call.resend_at)
        return None if after == float("inf") else after

    def _expire(self, call: Call) -> None:
        where = f"{call.method} on {call.target}"
        if not call.sent:
            self._raise(call, UnreachableError(f"{where}: no hub within {call.timeout_seconds:g} s"))
            return
        self._cancel(call)
        if call.trouble is not None:
            self._raise(call, call.trouble)
            return
        self._counters["expired"] += 1
        seen = "accepted but not answered" if call.accepted else "not answered"
        self._raise(call, ExpiredError(f"{where}: {seen} within {call.timeout_seconds:g} s"))
