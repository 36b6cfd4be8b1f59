"""aiohttp: at its sessions, each request with its redirects as one call."""

import time
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from ratchet.runtime.http_spans.calls import HttpCall, HttpCalls
from ratchet.runtime.http_spans.wrapping import Function, wrap

_in_progress: ContextVar[HttpCall | None] = ContextVar("ratchet_aiohttp_call", default=None)


def patch(module: ModuleType, calls: HttpCalls) -> None:
    """Record every request of a session."""
    wrap(module.ClientSession, "_request", lambda original: _request(original, calls))
    wrap(module.TCPConnector, "_create_connection", _create_connection)


def _request(original: Function, calls: HttpCalls) -> Function:
    async def request(self: Any, method: str, str_or_url: Any, **kwargs: Any) -> Any:
        call = calls.begin(lambda: (method, _url(self, str_or_url, kwargs.get("params"))))
        if call is None:
            return await original(self, method, str_or_url, **kwargs)
        outer = _in_progress.get()
        _in_progress.set(call)
        try:
            with call:
                response = await original(self, method, str_or_url, **kwargs)
        finally:
            _in_progress.set(outer)
        call.answered(response)
        return response

    return request


def _url(session: Any, str_or_url: Any, params: Any) -> str:
    url = session._build_url(str_or_url)  # noqa: SLF001 - it may be relative to the session's base
    return str(url.extend_query(params) if params else url)


def _create_connection(original: Function) -> Function:
    async def create_connection(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _in_progress.get()
        started = time.perf_counter()
        try:
            return await original(self, *args, **kwargs)
        finally:
            if call is not None:
                call.connected(1000 * (time.perf_counter() - started))

    return create_connection
