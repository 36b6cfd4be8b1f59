"""What goes to and fro between one client and the SDK, watched: what is unanswered, and how long nothing was said.

The SDK's streams in streams of the same shape. The contexts that they carry (whose message it is) pass through.
"""

import asyncio
from contextvars import Context
from types import TracebackType
from typing import Self, cast

import mcp_types as t
import structlog
from anyio import BrokenResourceError
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage

log = structlog.stdlib.get_logger("mcp-front")

_SEND_SECONDS = 30.0

Incoming = SessionMessage | Exception


class Conversation:
    """Both directions of one connection.

    Attributes:
        reader: What the client says.
        writer: What it is told.
        answered: Set while every request has its answer.
        stuck: Set once the client no longer reads.
    """

    def __init__(self, read_stream: ReadStream[Incoming], write_stream: WriteStream[SessionMessage]) -> None:
        self.reader = _Reader(read_stream, self)
        self.writer = _Writer(write_stream, self)
        self.answered = asyncio.Event()
        self.answered.set()
        self.stuck = asyncio.Event()
        self._unanswered: set[str | int] = set()
        self._loop = asyncio.get_running_loop()
        self._said_at = self._loop.time()

    def idle_seconds(self) -> float:
        """How long nothing has been said; 0 while something is asked."""
        return 0.0 if self._unanswered else self._loop.time() - self._said_at

    def note(self, message: t.JSONRPCMessage) -> None:
        """Take into account what was said, by either side."""
        self._said_at = self._loop.time()
        match message:
            case t.JSONRPCRequest(id=request_id):
                self._unanswered.add(request_id)
            case t.JSONRPCResponse(id=request_id) | t.JSONRPCError(id=request_id):
                self._unanswered.discard(cast("str | int", request_id))
            case t.JSONRPCNotification(method="notifications/cancelled", params=params):
                self._unanswered.discard(cast("str | int", (params or {}).get("requestId")))
            case _:
                pass
        (self.answered.clear if self._unanswered else self.answered.set)()


class _Stream:
    """What both directions of a conversation do alike: they close what they wrap."""

    def __init__(self, inner: ReadStream[Incoming] | WriteStream[SessionMessage]) -> None:
        self._wrapped = inner

    async def aclose(self) -> None:
        await self._wrapped.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()


class _Reader(_Stream):
    def __init__(self, inner: ReadStream[Incoming], conversation: Conversation) -> None:
        super().__init__(inner)
        self._inner = inner
        self._conversation = conversation

    @property
    def last_context(self) -> Context | None:
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> Incoming:
        return self._noted(await self._inner.receive())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Incoming:
        return self._noted(await self._inner.__anext__())

    def _noted(self, item: Incoming) -> Incoming:
        if isinstance(item, SessionMessage):
            self._conversation.note(item.message)
        return item


class _Writer(_Stream):
    def __init__(self, inner: WriteStream[SessionMessage], conversation: Conversation) -> None:
        super().__init__(inner)
        self._inner = inner
        self._conversation = conversation

    async def send(self, item: SessionMessage, /) -> None:
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._inner.send(item)
        except TimeoutError:
            log.warning("a client does not read its stream", seconds=_SEND_SECONDS)
            self._conversation.stuck.set()
            raise BrokenResourceError from None
        # A request of the server's own is not one that the client waits for.
        if not isinstance(item.message, t.JSONRPCRequest):
            self._conversation.note(item.message)
