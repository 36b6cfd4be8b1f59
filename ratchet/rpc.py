"""Typed calls: the procedures of `ratchet.messages` over an `ipc` link.

Bodies travel as JSON (pydantic reads and writes it in one pass); the callee validates what arrives. Errors of the
`RatchetError` tree cross the wire with their code and come out as the same class on the other side.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ipc.errors import RemoteError
from ipc.link import Handler, Link, Request
from ratchet.errors import RequestError, from_code, knows_code
from ratchet.messages import Procedure
from ratchet.models import JsonObject, Model

RequestT = TypeVar("RequestT", bound=Model)
ReplyT = TypeVar("ReplyT", bound=Model)
Served = Callable[[Any, Request], Awaitable[Model]]

_JSON_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)

CALL_SECONDS = 30.0


async def call(
    link: Link,
    procedure: Procedure[RequestT, ReplyT],
    request: RequestT,
    *,
    target: str | None = None,
    timeout_seconds: float = CALL_SECONDS,
    on_progress: Callable[[JsonObject], None] | None = None,
) -> ReplyT:
    """Call `procedure` on `target` (by default the role that serves it) and wait for its reply.

    Args:
        link: The caller's link.
        procedure: A row of the table in `ratchet.messages`.
        request: The body.
        target: Full name of the callee, where the role alone does not say it ("worker:1").
        timeout_seconds: After this the call is cancelled.
        on_progress: Receives each progress body; conflated, so some may be skipped.

    Raises:
        ratchet.errors.RatchetError: The callee refused; same class and code as raised there.
        ipc.errors.IpcError: No answer: unreachable, lost, busy or expired.
    """
    listener = None if on_progress is None else _decoding(on_progress)
    try:
        body = await link.call(
            target or procedure.role,
            procedure.name,
            encode(request),
            timeout_seconds=timeout_seconds,
            idempotent=procedure.idempotent,
            on_progress=listener,
            patient=procedure.patient,
        )
    except RemoteError as error:
        if knows_code(error.code):
            raise from_code(error.code, error.message, error.details) from None
        raise
    return procedure.reply.model_validate_json(body)


def cast(link: Link, procedure: Procedure[RequestT, ReplyT], request: RequestT, *, target: str | None = None) -> None:
    """Send an event; nobody answers it."""
    link.cast(target or procedure.role, procedure.name, encode(request))


def methods(table: Mapping[Procedure[Any, Any], Served]) -> dict[str, Handler]:
    """What a link serves: each procedure's handler behind the validation of its request."""
    return {procedure.name: _validating(procedure, handler) for procedure, handler in table.items()}


def encode(model: Model) -> bytes:
    """A body."""
    return model.model_dump_json().encode()


def encode_progress(body: JsonObject) -> bytes:
    """The body of a progress message."""
    return _JSON_OBJECT.dump_json(body)


def _validating(procedure: Procedure[Any, Any], handler: Served) -> Handler:
    async def handle(request: Request) -> bytes:
        try:
            body = procedure.request.model_validate_json(request.body)
        except ValidationError as error:
            raise RequestError(f"{procedure.name}: {_problems(error)}", details={"procedure": procedure.name}) from None
        return encode(await handler(body, request))

    return handle


def _problems(error: ValidationError) -> str:
    listed = error.errors(include_url=False, include_input=False)[:5]
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in listed)


def _decoding(listener: Callable[[JsonObject], None]) -> Callable[[bytes], None]:
    def listen(body: bytes) -> None:
        listener(_JSON_OBJECT.validate_json(body))

    return listen
