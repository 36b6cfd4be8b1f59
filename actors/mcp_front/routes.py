"""The front's own HTTP routes beside `/mcp`: traces and logs as JSON, and whether the front is well.

A route answers what the tool of the same purpose answers, with the tool's arguments in the query.
"""

import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.auth.middleware.bearer_auth import RequireAuthMiddleware
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from actors.mcp_front.answers import Answer
from actors.mcp_front.caller import Caller, client_of
from actors.mcp_front.failures import refusal
from actors.mcp_front.front import Front
from actors.mcp_front.gate import Asked, answer
from actors.mcp_front.tools import TOOLS, Tool
from ratchet.errors import InvalidArgumentsError, RatchetError
from ratchet.models import JsonObject, Source

_STATUS_OF_CATEGORY = {"unavailable": 503, "internal": 500, "request": 400}
_STATUS_OF_CODE = {"unknown_execution": 404, "forbidden": 403, "rate_limited": 429}


def make_routes(front: Front, security: TransportSecuritySettings, *, authenticated: bool) -> list[Route]:
    """Every route beside the protocol's own."""

    def page(path: str, tool: str) -> Route:
        guarded: ASGIApp = _Checked(_Page(front, TOOLS[tool]), security)
        if authenticated:
            guarded = RequireAuthMiddleware(guarded, [])
        return Route(path, endpoint=guarded, methods=["GET"])

    return [
        page("/traces/{execution_id}", "get_execution_trace"),
        page("/logs/{execution_id}", "get_execution_logs"),
        Route("/healthz", endpoint=_healthz(front), methods=["GET"]),
    ]


class _Checked:
    """The SDK's checks of Host and Origin around a route of ours: a page of the web must not read traces either."""

    def __init__(self, app: ASGIApp, security: TransportSecuritySettings) -> None:
        self._app = app
        self._security = TransportSecurityMiddleware(security)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = await self._security.validate_request(Request(scope, receive))
        await (refused or self._app)(scope, receive, send)


class _Page:
    """A tool that only reads, as a GET route."""

    def __init__(self, front: Front, tool: Tool) -> None:
        self._front = front
        self._tool = tool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = await self._answer(Request(scope, receive))
        headers = {"Cache-Control": "no-store"}
        if (seconds := found.structured.get("error", {}).get("retry_after")) is not None:
            headers["Retry-After"] = str(math.ceil(seconds))
        response = JSONResponse(found.structured, status_code=_status(found), headers=headers)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Answer:
        try:
            client = client_of(self._front.profiles)
            given = {name: self._value(name, text) for name, text in request.query_params.items()}
        except RatchetError as error:
            return refusal(error, self._front.wording.names)
        arguments = {**given, "execution_id": request.path_params["execution_id"]}
        caller = Caller(client, Source(kind="mcp", client=client.name))
        return await answer(self._front, Asked(self._tool, arguments, caller))

    def _value(self, name: str, text: str) -> Any:
        """A query parameter as the JSON value that its schema wants; what does not fit is left for the validation."""
        declared: JsonObject = self._tool.input_schema["properties"].get(name, {})
        if declared.get("type") in ("integer", "number", "boolean"):
            try:
                return json.loads(text)
            except ValueError:
                raise InvalidArgumentsError(f"{name} must be of type {declared['type']}, not {text[:80]!r}") from None
        return text


def _status(answer: Answer) -> int:
    error = answer.structured.get("error")
    if error is None or not answer.failed:
        return 200
    return _STATUS_OF_CODE.get(error["type"]) or _STATUS_OF_CATEGORY.get(error["category"], 500)


def _healthz(front: Front) -> Callable[[Request], Awaitable[Response]]:
    async def healthz(_request: Request) -> Response:
        """200 while calls can be answered; says nothing else, because it asks for no key."""
        connected = front.link.welcomed.is_set()
        return JSONResponse({"status": "ok" if connected else "unavailable"}, status_code=200 if connected else 503)

    return healthz
