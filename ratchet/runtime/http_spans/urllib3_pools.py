"""urllib3, and with it requests and botocore.

Its connections are those of `http.client`, but it connects to HTTPS servers before the request begins there: only its
pool sees a connection that is refused.
"""

from types import ModuleType
from typing import Any

from ratchet.runtime.http_spans.calls import HttpCalls
from ratchet.runtime.http_spans.http_client import cover, take_connect_ms, time_connect, url_of
from ratchet.runtime.http_spans.wrapping import Function, wrap


def patch(module: ModuleType, calls: HttpCalls) -> None:
    """Record every request that a pool sends, each redirect and retry as one of its own."""
    wrap(module.HTTPConnectionPool, "_make_request", lambda original: _make_request(original, calls))
    for name in ("HTTPConnection", "HTTPSConnection"):
        time_connect(getattr(module.connection, name))


def _make_request(original: Function, calls: HttpCalls) -> Function:
    def make_request(self: Any, conn: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        call = calls.begin(lambda: (method, url_of(self.scheme, self.host, self.port, url)))
        if call is None:
            return original(self, conn, method, url, *args, **kwargs)
        with call, cover(conn):
            response = original(self, conn, method, url, *args, **kwargs)
        call.connected(take_connect_ms(conn))
        call.answered(response)
        return response

    return make_request
