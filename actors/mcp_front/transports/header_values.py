"""Header values without the blanks around them, which are no part of them (RFC 9110, 5.5): the parser leaves some."""

from starlette.types import ASGIApp, Receive, Scope, Send

_BLANKS = b" \t"


class HeaderValues:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its headers as they are meant."""
        if scope["type"] == "http":
            scope = {**scope, "headers": [(name, value.strip(_BLANKS)) for name, value in scope["headers"]]}
        await self._app(scope, receive, send)
