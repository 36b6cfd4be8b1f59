"""httpx and httpx2, synchronous and not: at the transports that use the network, below redirects and authentication."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ratchet.runtime.http_spans.calls import HttpCall, HttpCalls
from ratchet.runtime.http_spans.wrapping import Function, wrap

_CONNECTING = frozenset(("connect_tcp", "connect_unix_socket", "start_tls", "setup_socks5_connection"))


def patch(module: ModuleType, calls: HttpCalls) -> None:
    """Record every request that a transport sends, each redirect as one of its own."""
    wrap(module.HTTPTransport, "handle_request", lambda original: _handle_request(original, calls))
    wrap(module.AsyncHTTPTransport, "handle_async_request", lambda original: _handle_async_request(original, calls))


def _handle_request(original: Function, calls: HttpCalls) -> Function:
    def handle_request(self: Any, request: Any) -> Any:
        call = calls.begin(lambda: (request.method, str(request.url)))
        if call is None:
            return original(self, request)
        watch = _ConnectWatch(call)
        with call, _watched(request, watch.saw):
            response = original(self, request)
        call.answered(response)
        return response

    return handle_request


def _handle_async_request(original: Function, calls: HttpCalls) -> Function:
    async def handle_async_request(self: Any, request: Any) -> Any:
        call = calls.begin(lambda: (request.method, str(request.url)))
        if call is None:
            return await original(self, request)
        watch = _ConnectWatch(call)
        with call, _watched(request, watch.saw_async):
            response = await original(self, request)
        call.answered(response)
        return response

    return handle_async_request


class _ConnectWatch:
    """Adds up what httpcore's "trace" extension tells of making a connection."""

    def __init__(self, call: HttpCall) -> None:
        self._call = call
        self._started = 0.0
        self._seconds = 0.0

    def saw(self, event: str, _info: object) -> None:
        """An event such as "connection.connect_tcp.started"."""
        step, _, stage = event.partition(".")[2].partition(".")
        if step not in _CONNECTING:
            return
        now = time.perf_counter()
        if stage == "started":
            self._started = now
        else:
            self._seconds += now - self._started
            self._call.connected(1000 * self._seconds)

    async def saw_async(self, event: str, info: object) -> None:
        """The same for asynchronous transports."""
        self.saw(event, info)


@contextmanager
def _watched(request: Any, saw: Function) -> Generator[None]:
    """Lend the request an extension while it is sent, unless its author has one there."""
    extensions = getattr(request, "extensions", None)
    if not isinstance(extensions, dict) or "trace" in extensions:
        yield
        return
    extensions["trace"] = saw
    try:
        yield
    finally:
        extensions.pop("trace", None)  # pyright: ignore[reportUnknownMemberType]
