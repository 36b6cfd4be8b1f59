"""The line of a child to other actors: calls that the worker relays, over a channel of their own.

Protocol with the worker (framing of `ratchet.channel`): says `call {id, method, body, timeout_seconds, span_id}`,
`cancel {id}` and, to a stream, `credit {id, items}`; takes `reply {id, body}`, or of a stream `item {id, body}` and
`end {id}`, and `error {id, code, message, details}`.

The only reader is a daemon thread, which the first call starts: a run that calls nobody pays nothing. It lives as long
as the process, takes no signals (they are the main thread's, which would otherwise wait on), and belongs to no run.
"""

import signal
import socket
import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractContextManager, suppress
from typing import Any

from ratchet.calling import OUTSTANDING_MAX
from ratchet.channel import Channel
from ratchet.errors import CallError, from_code
from ratchet.runtime.items import IncomingItems
from ratchet.runtime.outlet import Outlet

_IN_A_FORK = "is called in a process that the task has forked; only the task's own process can call"
_NO_RUN = "is called after its execution has ended"


class CallLine:
    """Calls of the run in progress.

    Args:
        sock: The child's end of the calls channel.
        shield: Keeps signal handlers from raising in the middle of a frame.
    """

    def __init__(self, sock: socket.socket, shield: AbstractContextManager[None]) -> None:
        self._channel = Channel(sock)
        self._shield = shield
        self._outlet = Outlet(sock, shield)
        self._lock = threading.Lock()
        self._outstanding: dict[int, Future[dict[str, Any]] | IncomingItems] = {}
        self._last_id = 0
        self._closed: str | None = _NO_RUN
        self.reader: threading.Thread | None = None

    def open(self) -> None:
        """A run begins."""
        self._closed = None

    def close(self) -> None:
        """The run is over: whatever it still waits for, in threads it left behind, is withdrawn."""
        if self.reader is None:
            self._closed = _NO_RUN
            return
        with self._lock:
            self._closed = _NO_RUN
            left, self._outstanding = self._outstanding, {}
        for call_id, future in left.items():
            self._outlet.send("cancel", {"id": call_id})
            _fail(future, CallError("the execution ended before the call was answered"))

    def detach(self) -> None:
        """In a process that the task has forked: what it wrote or read would be the child's."""
        self._closed = _IN_A_FORK
        self._channel.close()

    def start(
        self, method: str, body: dict[str, Any], *, timeout_seconds: float | None, span_id: str | None
    ) -> "Future[dict[str, Any]]":
        """Begin a call, as `ratchet.calling.Line` has it.

        Raises:
            CallError: No run is in progress, too many calls are outstanding, or the task has forked this process.
            ChannelError: The body is larger than a frame may be.
        """
        future: Future[dict[str, Any]] = Future()
        call_id = self._send(future, method, body, timeout_seconds, span_id)
        future.add_done_callback(lambda ended: self._withdraw(call_id) if ended.cancelled() else None)
        return future

    def open_stream(
        self, method: str, body: dict[str, Any], *, timeout_seconds: float | None, span_id: str | None
    ) -> "IncomingItems":
        """Begin a stream, as `ratchet.calling.Line` has it; errors as of `start`."""
        items = IncomingItems(self._credit, self._withdraw)
        items.call_id = self._send(items, method, body, timeout_seconds, span_id)
        return items

    def _send(
        self,
        answer: "Future[dict[str, Any]] | IncomingItems",
        method: str,
        body: dict[str, Any],
        timeout_seconds: float | None,
        span_id: str | None,
    ) -> int:
        with self._shield:
            if self._closed is not None:  # before the lock, which another thread may have held when this was forked
                raise CallError(f"{method} {self._closed}")
            self._start_reader()
            with self._lock:
                if len(self._outstanding) >= OUTSTANDING_MAX:
                    raise CallError(f"{method}: {OUTSTANDING_MAX} calls are outstanding; await some of them first")
                self._last_id += 1
                call_id = self._last_id
                self._outstanding[call_id] = answer
            request = {"id": call_id, "method": method, "body": body, "span_id": span_id}
            try:
                self._outlet.send("call", {**request, "timeout_seconds": timeout_seconds})
            except BaseException:
                self._take(call_id)
                raise
        return call_id

    def _credit(self, call_id: int, items: int) -> None:
        if self._closed is None:
            self._outlet.send("credit", {"id": call_id, "items": items})

    def _start_reader(self) -> None:
        with self._lock:
            if self.reader is None:
                self.reader = threading.Thread(target=self._read, name="ratchet-calls", daemon=True)
                self.reader.start()

    def _withdraw(self, call_id: int) -> None:
        if self._take(call_id) is not None and self._closed is None:
            self._outlet.send("cancel", {"id": call_id})

    def _take(self, call_id: int) -> "Future[dict[str, Any]] | IncomingItems | None":
        with self._shield, self._lock:
            return self._outstanding.pop(call_id, None)

    def _read(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        while (messages := self._received()) is not None:
            for kind, body in messages:
                call_id = int(body.get("id", 0))
                answer = self._outstanding.get(call_id) if kind == "item" else self._take(call_id)
                match kind, answer:
                    case _, None:
                        continue  # withdrawn meanwhile
                    case "item", IncomingItems():
                        answer.put(body["body"])
                    case "end", IncomingItems():
                        answer.end(None)
                    case "reply", Future():
                        with suppress(InvalidStateError):
                            answer.set_result(body["body"])
                    case _:
                        _fail(answer, from_code(str(body["code"]), str(body["message"]), body.get("details")))

    def _received(self) -> list[tuple[str, dict[str, Any]]] | None:
        try:
            return self._channel.receive()
        except OSError:
            return None  # the worker is gone; the main thread learns it from its own channel


def _fail(future: "Future[dict[str, Any]] | IncomingItems", error: Exception) -> None:
    if isinstance(future, IncomingItems):
        future.end(error)
        return
    with suppress(InvalidStateError):  # cancelled in this moment
        future.set_exception(error)
