"""`http.client`, and with it urllib.request, xmlrpc and whatever else uses its connections.

A request begins with `putrequest` and ends with `getresponse`; between the two the call is kept on the connection.
Whoever covers a connection with a call of its own (`cover`), as urllib3's pool does, is not recorded twice.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ratchet.runtime.http_spans.calls import HttpCall, HttpCalls
from ratchet.runtime.http_spans.wrapping import Function, wrap

_CALL = "_ratchet_http_call"
_COVERED = "_ratchet_http_covered"
_CONNECT_MS = "_ratchet_http_connect_ms"


def patch(module: ModuleType, calls: HttpCalls) -> None:
    """Record what the connections of `http.client` do."""
    connection, secure = module.HTTPConnection, module.HTTPSConnection
    wrap(connection, "putrequest", lambda original: _putrequest(original, calls, secure))
    wrap(connection, "send", _send)
    wrap(connection, "getresponse", _getresponse)
    wrap(connection, "close", _close)
    for one in (connection, secure):
        time_connect(one)


def time_connect(connection: type) -> None:
    """Have a class of connections remember how long connecting took."""
    if "connect" in vars(connection):
        wrap(connection, "connect", _connect)


@contextmanager
def cover(connection: Any) -> Generator[None]:
    """What the connection does meanwhile is part of a call that is recorded already."""
    kept = _kept(connection)
    kept[_COVERED] = True
    kept.pop(_CONNECT_MS, None)
    try:
        yield
    finally:
        kept.pop(_COVERED, None)


def take_connect_ms(connection: Any) -> float | None:
    """How long it took to connect since this was last asked; None where it was connected already."""
    return _kept(connection).pop(_CONNECT_MS, None)


def url_of(scheme: str, host: str, port: int | None, target: str) -> str:
    """The absolute URL of a request's target, which is one already where a proxy is asked."""
    if target.startswith(("http://", "https://")):
        return target
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{scheme}://{name}{'' if port is None else f':{port}'}{target if target.startswith('/') else '/'}"


def _kept(connection: Any) -> dict[str, Any]:
    """Where things are kept on a connection; one that takes none keeps nothing."""
    return getattr(connection, "__dict__", {})


def _take(connection: Any) -> HttpCall | None:
    return _kept(connection).pop(_CALL, None)


def _putrequest(original: Function, calls: HttpCalls, secure: type) -> Function:
    def putrequest(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        kept = _kept(self)
        call = None if _COVERED in kept else calls.begin(lambda: (method, _url(self, url, secure)))
        if call is None:
            return original(self, method, url, *args, **kwargs)
        kept.pop(_CONNECT_MS, None)
        with call:
            result = original(self, method, url, *args, **kwargs)
        kept[_CALL] = call
        return result

    return putrequest


def _url(connection: Any, target: str, secure: type) -> str:
    scheme = "https" if isinstance(connection, secure) else "http"
    tunnel = getattr(connection, "_tunnel_host", None)
    if tunnel:
        return url_of(scheme, tunnel, getattr(connection, "_tunnel_port", None), target)
    return url_of(scheme, connection.host, connection.port, target)


def _send(original: Function) -> Function:
    """Connecting happens in here too, and within it, through a proxy, another `send`."""

    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _take(self)
        if call is None:
            return original(self, *args, **kwargs)
        with call:
            result = original(self, *args, **kwargs)
        call.connected(take_connect_ms(self))
        _kept(self)[_CALL] = call
        return result

    return send


def _getresponse(original: Function) -> Function:
    def getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _take(self)
        if call is None:
            return original(self, *args, **kwargs)
        with call:
            response = original(self, *args, **kwargs)
        call.answered(response)
        return response

    return getresponse


def _close(original: Function) -> Function:
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _take(self)
        if call is not None:
            call.abandoned()
        return original(self, *args, **kwargs)

    return close


def _connect(original: Function) -> Function:
    def connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return original(self, *args, **kwargs)
        finally:
            _kept(self)[_CONNECT_MS] = 1000 * (time.perf_counter() - started)

    return connect
