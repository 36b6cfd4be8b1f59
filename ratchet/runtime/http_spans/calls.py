"""One HTTP request as a span: it begins before anything is sent, and ends when the answer's headers are there.

Attributes are those of OpenTelemetry's HTTP semantic conventions, and `ratchet.http.connect_ms` where a connection was
made. Whatever goes wrong in here is nobody's business: the request is made all the same, and the span is missing.

Everything happens under the shield, so that an exception of an author's signal handler is not taken for one of ours.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from ratchet.context import Span, current_span
from ratchet.plain import text
from ratchet.runtime.http_spans.address import address_of
from ratchet.runtime.recorder import Recorder

Shield = AbstractContextManager[None]

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"))
_MESSAGE_CHARACTERS_MAX = 1024
_STATUS_MIN, _STATUS_ERROR, _STATUS_MAX = 100, 400, 599


class HttpCalls:
    """Begins the calls of the run in progress."""

    def __init__(self, recorder: Recorder, shield: Shield) -> None:
        self._recorder = recorder
        self._shield = shield

    def begin(self, describe: Callable[[], tuple[str, str]]) -> "HttpCall | None":
        """A call that is about to be made; None where it is not recorded.

        Args:
            describe: Says method and absolute URL.
        """
        if not self._recorder.traces:
            return None
        parent = current_span()
        if parent is None:  # nobody's: made while a file is loaded, or between runs
            return None
        with self._shield:
            try:
                method, url = describe()
                return HttpCall(self._recorder, self._shield, parent, method, url)
            except Exception:  # noqa: BLE001 - nothing in here may fail a request
                return None


class HttpCall:
    """A call in progress; its first end stands. As a context manager it ends as failed where an exception leaves it."""

    def __init__(self, recorder: Recorder, shield: Shield, parent: Span, method: str, url: str) -> None:
        self._recorder = recorder
        self._shield = shield
        self._url = url
        self._address = address = address_of(url)
        known = method.upper() if method.upper() in _METHODS else None
        attributes: dict[str, Any] = {"http.request.method": known or "_OTHER", "url.full": address.url}
        if known is None:
            attributes["http.request.method_original"] = text(method, 64)
        attributes["server.address"] = address.host
        if address.port is not None:
            attributes["server.port"] = address.port
        self._span = Span(recorder, f"{known or 'HTTP'} {address.origin}", attributes, None, "client")
        self._span.parent_id = parent.span_id
        self._span.start_ns = time.time_ns()

    def __enter__(self) -> None:
        """Nothing: it has begun."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.failed(error)

    def connected(self, milliseconds: float | None) -> None:
        """How long it took to make the connection; None where there was one."""
        if milliseconds is not None:
            self._span.set("ratchet.http.connect_ms", round(milliseconds, 3))

    def answered(self, response: object) -> None:
        """The answer's headers are there."""
        self._end(lambda: self._describe_answer(response))

    def failed(self, error: BaseException) -> None:
        """It ended without an answer."""
        self._end(lambda: self._describe_error(error))

    def abandoned(self) -> None:
        """Nobody waited for the answer."""
        self._end(lambda: self._span.fail("the connection was closed before the answer came"))

    def _end(self, describe: Callable[[], None]) -> None:
        span = self._span
        if span.end_ns:
            return
        span.end_ns = time.time_ns()
        with self._shield:
            try:
                describe()
                self._recorder.span(span)
            except Exception:  # noqa: BLE001 - nothing in here may fail a request
                return

    def _describe_answer(self, response: object) -> None:
        status, size = _status(response), _body_bytes(response)
        if size is not None and self._span.attributes["http.request.method"] != "HEAD":
            self._span.set("http.response.body.size", size)
        resent = getattr(response, "history", None)
        if isinstance(resent, (list, tuple)) and resent:
            self._span.set("http.request.resend_count", len(resent))  # pyright: ignore[reportUnknownArgumentType]
        self._answered_with(status)

    def _describe_error(self, error: BaseException) -> None:
        kind = type(error)
        qualified = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        self._answered_with(_status(error))
        self._span.set("error.type", qualified)
        message = text(error, _MESSAGE_CHARACTERS_MAX).replace(self._url, self._address.url)
        self._span.fail(f"{kind.__name__}: {message}" if message else kind.__name__)

    def _answered_with(self, status: int | None) -> None:
        if status is not None:
            self._span.set("http.response.status_code", status)
        if status is not None and status >= _STATUS_ERROR:
            self._span.set("error.type", str(status))
            self._span.fail(f"HTTP {status}")
        else:
            self._span.status = "ok"


def _status(holder: object) -> int | None:
    """The status code, wherever that library keeps it."""
    for name in ("status_code", "status"):
        value = getattr(holder, name, None)
        if isinstance(value, int) and _STATUS_MIN <= value <= _STATUS_MAX:
            return int(value)
    return None


def _body_bytes(response: Any) -> int | None:
    size = response.headers.get("content-length")
    return int(size) if size is not None and size.isdecimal() else None
