"""Calls of a child to other actors: which it may make, in whose name, and for how long.

A child says a method and a body. Nothing passes that has no row here; the body is validated as the procedure's request,
and stamped with what a child cannot say of itself: the execution, its attempt and its owner. A call ends with its reply
or error, its time or the attempt's, a `cancel` of the child, or the attempt.
"""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any

import structlog
from pydantic import ValidationError

from actors.worker import questions
from actors.worker.child import Child
from ipc.errors import BusyError, ExpiredError, IpcError, LostError, TooLargeError, UnreachableError
from ipc.link import Link
from ratchet import messages, rpc
from ratchet.bodies.attempts import AttemptOrder
from ratchet.calling import OUTSTANDING_MAX, STREAM_ITEMS
from ratchet.channel import ChannelError
from ratchet.errors import (
    CallError,
    CallLostError,
    CallTimeoutError,
    RatchetError,
    RequestError,
    UnavailableError,
)
from ratchet.messages import Procedure, StreamProcedure
from ratchet.models import FromTask, Model

log = structlog.stdlib.get_logger("worker")

Table = Mapping[str, Procedure[Any, Any] | StreamProcedure[Any, Any]]

# Everything a task may ask of other actors. The request of each is a `FromTask`.
METHODS: Table = {
    procedure.name: procedure
    for procedure in (
        messages.RUN_TASK,
        messages.LLM_COMPLETE,
        messages.LLM_STREAM,
        messages.MCP_LIST_SERVERS,
        messages.MCP_LIST_TOOLS,
        messages.MCP_CALL_TOOL,
    )
}

_UNLIMITED_SECONDS = 365 * 86_400.0
_MARGIN_SECONDS = 0.05  # an attempt that runs out of time fails for that, not because its last call did


class Relay:
    """The calls of one attempt.

    Args:
        order: The attempt.
        child: Who makes them.
        link: Where they go.
        table: What may be called.
        refusal: Why the configuration does not allow a method; None: it does.
        keeps: Whether a question is found again where the way to it was lost.
    """

    def __init__(
        self,
        order: AttemptOrder,
        child: Child,
        link: Link,
        table: Table = METHODS,
        refusal: Callable[[str], RatchetError | None] = lambda _method: None,
        keeps: Callable[[FromTask], bool] = lambda _request: False,
    ) -> None:
        self._order = order
        self._child = child
        self._link = link
        self._table = table
        self._refusal = refusal
        self._keeps = keeps
        loop = asyncio.get_running_loop()
        self._deadline = None if order.timeout_seconds is None else loop.time() + order.timeout_seconds
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}  # in order of arrival
        self._credits: dict[int, _Credit] = {}

    def take(self, kind: str, body: dict[str, Any]) -> None:
        """A message of the child, which may be anything: its task can write to the channel too."""
        match kind, body:
            case "call", {"id": int(call_id)}:
                if len(self._tasks) >= 2 * OUTSTANDING_MAX or call_id in self._calls:
                    log.warning("a child abuses the channel of its calls and is killed", pid=self._child.pid)
                    self._child.signal(signal.SIGKILL, tree=True)
                else:
                    self._calls[call_id] = self._spawn(self._relay(call_id, body))
            case "credit", {"id": int(call_id), "items": int(items)}:
                credit = self._credits.get(call_id)
                if credit is not None:
                    credit.give(items)
            case "cancel", {"id": int(call_id)}:
                call = self._calls.pop(call_id, None)
                if call is not None:
                    call.cancel()
            case _:
                log.warning("a child sent an unknown message", pid=self._child.pid, kind=kind)

    def close(self) -> None:
        """The attempt is over: nobody waits for anything any more."""
        self._calls.clear()
        for task in tuple(self._tasks):
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(lambda ended: self._tasks.pop(ended, None))
        return task

    async def _relay(self, call_id: int, body: dict[str, Any]) -> None:
        try:
            procedure, request = self._asked(body)
            deadline = asyncio.get_running_loop().time() + self._seconds(body.get("timeout_seconds"))
            if isinstance(procedure, StreamProcedure):
                await self._pass_items(call_id, procedure, request, deadline)
                await self._answer("end", call_id, {"id": call_id})
                return
            reply = (await self._called(procedure, request, deadline)).model_dump(mode="json")
        except (RatchetError, IpcError) as error:
            known = _translated(error)
            answer = {"id": call_id, "code": known.code, "message": known.message, "details": known.details}
            await self._answer("error", call_id, answer)
        else:
            await self._answer("reply", call_id, {"id": call_id, "body": reply})

    async def _called(self, procedure: Procedure[Any, Any], request: FromTask, deadline: float) -> Model:
        async def call(asked: FromTask) -> Model:
            return await rpc.call(self._link, procedure, asked, timeout_seconds=_left(deadline))

        if not self._keeps(request):
            return await call(request)
        try:
            return await questions.kept(request, call)
        except BaseException:
            questions.withdraw(self._link, request)
            raise

    async def _pass_items(
        self, call_id: int, procedure: StreamProcedure[Any, Any], request: FromTask, deadline: float
    ) -> None:
        """Hand on what a stream has as far as the child wants it; whoever makes it waits for a child that does not."""
        credit = self._credits[call_id] = _Credit()
        try:
            async with aclosing(self._items(procedure, request, deadline)) as items:
                async for item in items:
                    await credit.take()
                    try:
                        await self._child.answer("item", {"id": call_id, "body": item.model_dump(mode="json")})
                    except ChannelError as error:
                        raise RequestError(f"an item of {procedure.name} is too large: {error}") from None
                    except OSError:
                        return  # it is dying, and its exit will say so
        except BaseException:
            if self._keeps(request):
                questions.withdraw(self._link, request)
            raise
        finally:
            del self._credits[call_id]

    def _items(self, procedure: StreamProcedure[Any, Any], request: FromTask, deadline: float) -> AsyncGenerator[Model]:
        async def stream(asked: FromTask) -> AsyncGenerator[Model]:
            async with rpc.stream(self._link, procedure, asked, timeout_seconds=_left(deadline)) as items:
                async for item in items:
                    yield item

        return questions.kept_items(request, stream) if self._keeps(request) else stream(request)

    def _asked(self, body: dict[str, Any]) -> "tuple[Procedure[Any, Any] | StreamProcedure[Any, Any], FromTask]":
        """What is called, and the request in the child's name.

        Raises:
            RatchetError: It is not to be called, or not like this.
        """
        method, given = str(body.get("method")), body.get("body")
        procedure = self._table.get(method)
        if procedure is None or not isinstance(given, dict):
            raise RequestError(f"tasks cannot call {method!r}; they can call {', '.join(sorted(self._table))}")
        if (refused := self._refusal(method)) is not None:
            raise refused
        stamp = {
            "execution_id": self._order.execution_id,
            "fence": self._order.fence,
            "client": self._order.client,
            "span_id": body.get("span_id"),
            "call_id": body["id"],
        }
        try:
            request: FromTask = procedure.request.model_validate({**given, **stamp})
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)[:5]
            listed = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems)
            raise RequestError(f"{method}: {listed}") from None
        return procedure, request

    def _seconds(self, asked: object) -> float:
        """The time that a call gets: its own, or what the attempt has left and a little, so that this ends first."""
        left = _UNLIMITED_SECONDS
        if self._deadline is not None:
            left = max(0.0, self._deadline - asyncio.get_running_loop().time()) + _MARGIN_SECONDS
        return min(left, max(0.0, float(asked))) if isinstance(asked, (int, float)) else left

    async def _answer(self, kind: str, call_id: int, body: dict[str, Any]) -> None:
        self._calls.pop(call_id, None)
        try:
            await self._child.answer(kind, body)
        except ChannelError as error:
            await self._child.answer("error", {"id": call_id, "code": CallError.code, "message": str(error)})
        except OSError as error:  # it is dying, and its exit will say so
            log.info("a child did not take an answer", pid=self._child.pid, error=str(error))


def _left(deadline: float) -> float:
    return max(0.0, deadline - asyncio.get_running_loop().time())


class _Credit:
    """Items that a child still takes; it begins with what a stream may send unasked."""

    def __init__(self) -> None:
        self._items = STREAM_ITEMS
        self._more = asyncio.Event()

    def give(self, items: int) -> None:
        self._items = min(STREAM_ITEMS, self._items + max(0, items))
        self._more.set()

    async def take(self) -> None:
        while self._items == 0:
            self._more.clear()
            await self._more.wait()
        self._items -= 1


def _translated(error: RatchetError | IpcError) -> RatchetError:
    """What a task gets to see of what went wrong on the way: errors it knows, with `retryable` right."""
    match error:
        case RatchetError():
            return error
        case UnreachableError() | BusyError():
            return UnavailableError(f"{error}; try again later")
        case LostError():
            return CallLostError(str(error))
        case ExpiredError():
            return CallTimeoutError(str(error))
        case TooLargeError():
            return RequestError(str(error))
        case _:
            return CallError(str(error), details={"code": error.code})
