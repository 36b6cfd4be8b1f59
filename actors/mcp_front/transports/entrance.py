"""Who was not let in: the audit trail has it, but nobody can fill a disk by knocking."""

import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actors.mcp_front.front import Front
from actors.mcp_front.gate import note_refusal

NOTED_MAX = 60
_PERIOD_SECONDS = 60.0
_SESSIONS_AT = ("/mcp", "/sse")


class NotedRefusals:
    """ASGI middleware: the first refusals of every minute are recorded, each with what was asked for."""

    def __init__(self, app: ASGIApp, front: Front, now: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._front = front
        self._now = now
        self._period_ends = 0.0
        self._noted = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and look at the status of the response."""

        async def look(message: Message) -> None:
            if message["type"] == "http.response.start" and (code := _refused(scope["path"], message["status"])):
                self._note(code, f"{scope['method']} {scope['path']}")
            await send(message)

        await self._app(scope, receive, look if scope["type"] == "http" else send)

    def _note(self, code: str, asked_for: str) -> None:
        now = self._now()
        if now >= self._period_ends:
            self._period_ends, self._noted = now + _PERIOD_SECONDS, 0
        self._noted += 1
        if self._noted <= NOTED_MAX:
            note_refusal(self._front, code, asked_for)


def _refused(path: str, status: int) -> str | None:
    """Why; None: what was asked for was looked into, and whoever did so records it."""
    if status == HTTPStatus.UNAUTHORIZED:
        return "unauthenticated"
    if path in _SESSIONS_AT and status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return "too_many_sessions"
    return None
