"""The front's own HTTP routes beside `/mcp`: traces and logs as JSON or as pages, and whether the front is well.

A route answers what the tool of the same purpose answers, with the tool's arguments in the query. Programs get JSON;
who says that it prefers HTML, as browsers do, gets a page.
"""

import json
import math
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, RequireAuthMiddleware
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.answers.failures import refusal
from actors.mcp_front.caller import Caller, client_of
from actors.mcp_front.front import Front
from actors.mcp_front.gate import Asked, answer, wording_for
from actors.mcp_front.pages.accept import prefers_html
from actors.mcp_front.tools.table import TOOLS, Tool
from ratchet.errors import InvalidArgumentsError, RatchetError
from ratchet.models import JsonObject, Source

Form = Literal["negotiated", "html"]

_STATUS_OF_CATEGORY = {"unavailable": 503, "internal": 500, "request": 400}
_STATUS_OF_CODE = {"unknown_execution": 404, "forbidden": 403, "rate_limited": 429}


def make_routes(front: Front, security: TransportSecuritySettings, *, authenticated: bool) -> list[Route]:
    """Every route beside the protocol's own."""

    def reading(path: str, tool: str, form: Form = "negotiated") -> Route:
        reads = _Reading(front, TOOLS[tool], form)
        guarded: ASGIApp = _Checked(reads, security)
        if authenticated:
            guarded = _Authenticated(guarded, front, reads)
        return Route(path, endpoint=guarded, methods=["GET"])

    return [
        reading("/traces/{execution_id}", "get_execution_trace"),
        reading("/traces/{execution_id}/visualize", "get_execution_trace", "html"),
        reading("/logs/{execution_id}", "get_execution_logs"),
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


class _Authenticated:
    """The SDK's refusal of whoever has no key; a browser is told in words what to do."""

    def __init__(self, app: ASGIApp, front: Front, reads: "_Reading") -> None:
        self._app = RequireAuthMiddleware(app, [])
        self._front = front
        self._reads = reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = self._app
        if not isinstance(scope.get("user"), AuthenticatedUser) and self._reads.wants_html(Request(scope)):
            from actors.mcp_front.pages import views

            app = views.unauthenticated(self._front.wording.links.base, scope["path"])
        await app(scope, receive, send)


class _Reading:
    """A tool that only reads, as a GET route."""

    def __init__(self, front: Front, tool: Tool, form: Form) -> None:
        self._front = front
        self._tool = tool
        self._form = form

    def wants_html(self, request: Request) -> bool:
        """Whether this request is answered by a page."""
        return self._form == "html" or prefers_html(request.headers.get("accept", ""))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        respond = self._page if self.wants_html(request) else self._json
        found = await respond(request)
        await found(scope, receive, send)

    async def _json(self, request: Request) -> Response:
        try:
            caller = self._caller()
            found = await answer(self._front, Asked(self._tool, self._given(request), caller))
        except RatchetError as error:
            found = refusal(error, self._front.wording.names)
        headers = {"Cache-Control": "no-store", "Vary": "Accept", **_retry_after(found)}
        return JSONResponse(found.structured, status_code=_status(found), headers=headers)

    async def _page(self, request: Request) -> Response:
        # Beside the template engine these are what only people need, who are few.
        from actors.mcp_front.pages import views

        try:
            caller = self._caller()
            # A form sends what was left empty, too.
            given = {name: value for name, value in self._given(request).items() if value != ""}
        except RatchetError as error:
            found: Answer | Response = refusal(error, self._front.wording.names)
        else:

            async def ask(tool: str, arguments: JsonObject) -> Answer:
                return await answer(self._front, Asked(TOOLS[tool], arguments, caller))

            links = wording_for(self._front, caller.client).links
            if self._tool.name == "get_execution_trace":
                found = await views.trace(ask, given, with_logs=links.lines)
            else:
                found = await views.logs(ask, given, with_trace=links.traces)
        if isinstance(found, Response):
            return found
        response = views.refused(found, _status(found))
        response.headers.update(_retry_after(found))
        return response

    def _caller(self) -> Caller:
        client = client_of(self._front.profiles)
        return Caller(client, Source(kind="mcp", client=client.name))

    def _given(self, request: Request) -> JsonObject:
        given = {name: self._value(name, text) for name, text in request.query_params.items()}
        return {**given, "execution_id": request.path_params["execution_id"]}

    def _value(self, name: str, text: str) -> Any:
        """A query parameter as the JSON value that its schema wants; what does not fit is left for the validation."""
        declared: JsonObject = self._tool.input_schema["properties"].get(name, {})
        if declared.get("type") in ("integer", "number", "boolean"):
            try:
                return json.loads(text)
            except (ValueError, RecursionError):  # a query of brackets alone is nested more deeply than can be read
                raise InvalidArgumentsError(f"{name} must be of type {declared['type']}, not {text[:80]!r}") from None
        return text


def _retry_after(found: Answer) -> dict[str, str]:
    seconds = found.structured.get("error", {}).get("retry_after")
    return {} if seconds is None else {"Retry-After": str(math.ceil(seconds))}


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
