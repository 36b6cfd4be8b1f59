"""Who was not let in: the audit trail has it, but nobody can fill a disk by knocking."""

import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actors.mcp_front.front import Front
from actors.mcp_front.gate import note_refusal

NOTED_MAX = 60
_PERIOD_SECONDS = 60.0


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
            if message["type"] == "http.response.start" and message["status"] == HTTPStatus.UNAUTHORIZED:
                self._note(f"{scope['method']} {scope['path']}")
            await send(message)

        await self._app(scope, receive, look if scope["type"] == "http" else send)

    def _note(self, asked_for: str) -> None:
        now = self._now()
        if now >= self._period_ends:
            self._period_ends, self._noted = now + _PERIOD_SECONDS, 0
        self._noted += 1
        if self._noted <= NOTED_MAX:
            note_refusal(self._front, "unauthenticated", asked_for)
