"""Typed calls and streams: the procedures of `ratchet.messages` over an `ipc` link.

Bodies travel as JSON (pydantic reads and writes it in one pass); the callee validates what arrives. Errors of the
`RatchetError` tree cross the wire with their code and come out as the same class on the other side.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ipc.errors import RemoteError
from ipc.link import Handler, Link, Request, Stream, StreamHandler
from ratchet.errors import RequestError, from_code, knows_code
from ratchet.messages import Procedure, StreamProcedure
from ratchet.models import JsonObject, Model

RequestT = TypeVar("RequestT", bound=Model)
ReplyT = TypeVar("ReplyT", bound=Model)
Served = Callable[[Any, Request], Awaitable[Model]]
ServedStream = Callable[[Any, Request], AsyncGenerator[Model]]

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
        raise _meant(error) from None
    return procedure.reply.model_validate_json(body)


@asynccontextmanager
async def stream(
    link: Link,
    procedure: StreamProcedure[RequestT, ReplyT],
    request: RequestT,
    *,
    target: str | None = None,
    timeout_seconds: float | None = None,
) -> AsyncGenerator[AsyncIterator[ReplyT]]:
    """Open a stream of `procedure` on `target` (by default the role that serves it); leaving the block closes it.

    Reading it raises:
        ratchet.errors.RatchetError: The callee refused or failed; same class and code as raised there.
        ipc.errors.IpcError: The stream was not to be had, expired, or was lost: it may be asked for again.
    """
    body = encode(request)
    async with link.stream(target or procedure.role, procedure.name, body, timeout_seconds=timeout_seconds) as items:
        yield _decoded(items, procedure.item)


def cast(link: Link, procedure: Procedure[RequestT, ReplyT], request: RequestT, *, target: str | None = None) -> None:
    """Send an event; nobody answers it."""
    link.cast(target or procedure.role, procedure.name, encode(request))


def methods(table: Mapping[Procedure[Any, Any], Served]) -> dict[str, Handler]:
    """What a link serves: each procedure's handler behind the validation of its request."""
    return {procedure.name: _validating(procedure, handler) for procedure, handler in table.items()}


def streams(table: Mapping[StreamProcedure[Any, Any], ServedStream]) -> dict[str, StreamHandler]:
    """What a link serves with streams, likewise."""
    return {procedure.name: _validating_stream(procedure, handler) for procedure, handler in table.items()}


def encode(model: Model) -> bytes:
    """A body."""
    return model.model_dump_json().encode()


def encode_progress(body: JsonObject) -> bytes:
    """The body of a progress message."""
    return _JSON_OBJECT.dump_json(body)


def _validating(procedure: Procedure[Any, Any], handler: Served) -> Handler:
    async def handle(request: Request) -> bytes:
        return encode(await handler(_validated(procedure, request), request))

    return handle


def _validating_stream(procedure: StreamProcedure[Any, Any], handler: ServedStream) -> StreamHandler:
    async def handle(request: Request) -> AsyncIterator[bytes]:
        async with aclosing(handler(_validated(procedure, request), request)) as items:
            async for item in items:
                yield encode(item)

    return handle


def _validated(procedure: Procedure[Any, Any] | StreamProcedure[Any, Any], request: Request) -> Model:
    try:
        return procedure.request.model_validate_json(request.body)
    except ValidationError as error:
        raise RequestError(f"{procedure.name}: {_problems(error)}", details={"procedure": procedure.name}) from None


async def _decoded(items: Stream, model: type[ReplyT]) -> AsyncIterator[ReplyT]:
    try:
        async for item in items:
            yield model.model_validate_json(item)
    except RemoteError as error:
        raise _meant(error) from None


def _meant(error: RemoteError) -> Exception:
    """What the callee raised, where it is of the tree."""
    return from_code(error.code, error.message, error.details) if knows_code(error.code) else error


def _problems(error: ValidationError) -> str:
    listed = error.errors(include_url=False, include_input=False)[:5]
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in listed)


def _decoding(listener: Callable[[JsonObject], None]) -> Callable[[bytes], None]:
    def listen(body: bytes) -> None:
        listener(_JSON_OBJECT.validate_json(body))

    return listen
