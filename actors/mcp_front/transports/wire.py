"""MCP messages over two file descriptors, line by line: what a stdio front reads and writes.

Not the SDK's `stdio_server`: its reads cannot be cancelled, so a draining front would wait for a client that keeps its
pipe open. And not non-blocking descriptors: the flag belongs to the open file, which the agent's host may share. So two
daemon threads block in `read` and `write`; the process may end without them.
"""

import asyncio
import os
import queue
import select
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, suppress
from typing import cast

import anyio
import mcp_types as t
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

log = structlog.stdlib.get_logger("mcp-front")

LINE_BYTES_MAX = 8 * 1024 * 1024
_LAST_ANSWERS_SECONDS = 0.7
_HURRIED_ANSWERS_SECONDS = 0.3
_READ_BYTES = 256 * 1024
_FLUSH_SECONDS = 0.5

Incoming = SessionMessage | Exception


class Wire:
    """Both directions of a connection to an agent.

    Attributes:
        ended: Set once stdin has ended or the agent no longer reads.
    """

    def __init__(self, stdin: int, stdout: int, *, hurry: Callable[[], None]) -> None:
        """Make a wire that does nothing until `streams`.

        Args:
            stdin: Where the agent's messages come from.
            stdout: Where answers go.
            hurry: Has whatever still waits answered at once.
        """
        self.ended = asyncio.Event()
        self._stdin = stdin
        self._stdout = stdout
        self._hurry = hurry
        self._loop = asyncio.get_running_loop()
        self._outbox: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        self._unanswered: set[str | int] = set()
        self._all_answered = asyncio.Event()
        self._all_answered.set()

    @asynccontextmanager
    async def streams(
        self,
    ) -> AsyncGenerator[tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]]]:
        """What the SDK reads from and writes to, while it lasts."""
        incoming, read_stream = anyio.create_memory_object_stream[Incoming](0)
        write_stream, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
        threading.Thread(target=self._read, args=(incoming,), name="wire in", daemon=True).start()
        threading.Thread(target=self._write, name="wire out", daemon=True).start()
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(self._send_all(outgoing))
            try:
                yield read_stream, write_stream
            finally:
                incoming.close()
                write_stream.close()
                await asyncio.wait([writer], timeout=_FLUSH_SECONDS)
                writer.cancel()

    async def settle(self) -> None:
        """Have every request that came in answered, soon; an agent that is gone is not waited for."""
        self._hurry()
        await self._answered_within(_HURRIED_ANSWERS_SECONDS)

    async def _answered_within(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._all_answered.wait()

    # --- in -------------------------------------------------------------------------------------------------------

    def _read(self, incoming: MemoryObjectSendStream[Incoming]) -> None:
        """A thread: hands on each line and waits until it is taken, so that nothing piles up."""
        pending = bytearray()
        skipping = False
        with suppress(RuntimeError, CancelledError):  # the loop is gone, and the process about to end
            while data := _read_some(self._stdin):
                pending += data
                *lines, rest = pending.split(b"\n")
                for line in lines:
                    if not skipping and line.strip():
                        asyncio.run_coroutine_threadsafe(self._take(line, incoming), self._loop).result()
                    skipping = False
                pending = rest
                if len(pending) > LINE_BYTES_MAX:
                    if not skipping:
                        self._call(self._refuse, f"Parse error: a message exceeds {LINE_BYTES_MAX} bytes")
                    skipping = True
                    pending.clear()
            if pending.strip() and not skipping:
                asyncio.run_coroutine_threadsafe(self._take(pending, incoming), self._loop).result()
            asyncio.run_coroutine_threadsafe(self._end(incoming), self._loop).result()

    async def _take(self, line: bytes | bytearray, incoming: MemoryObjectSendStream[Incoming]) -> None:
        try:
            message = t.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            self._refuse("Parse error: a line is not a JSON-RPC message")
            return
        self._note_request(message)
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # nobody reads any more
            await incoming.send(SessionMessage(message))

    def _note_request(self, message: t.JSONRPCMessage) -> None:
        if isinstance(message, t.JSONRPCRequest):
            self._unanswered.add(message.id)
            self._all_answered.clear()
        elif isinstance(message, t.JSONRPCNotification) and message.method == "notifications/cancelled":
            self._note_answer(cast("str | int | None", (message.params or {}).get("requestId")))

    async def _end(self, incoming: MemoryObjectSendStream[Incoming]) -> None:
        """The agent says no more; what it asked before is still answered where somebody reads the answer."""
        if _has_reader(self._stdout):
            await self._answered_within(_LAST_ANSWERS_SECONDS)
            await self.settle()
        self.ended.set()
        incoming.close()

    # --- out ------------------------------------------------------------------------------------------------------

    async def _send_all(self, outgoing: MemoryObjectReceiveStream[SessionMessage]) -> None:
        async for item in outgoing:
            await self._queue(item.message)
            if isinstance(item.message, t.JSONRPCResponse | t.JSONRPCError):
                self._note_answer(item.message.id)

    def _queue(self, message: t.JSONRPCMessage) -> asyncio.Future[None]:
        line = message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
        written: asyncio.Future[None] = self._loop.create_future()
        self._outbox.put((line, written))
        return written

    def _refuse(self, reason: str) -> None:
        """Answer what is no message; whose it was cannot be told."""
        log.warning("the agent sent what is no message", reason=reason)
        self._queue(t.JSONRPCError(jsonrpc="2.0", id=None, error=t.ErrorData(code=t.PARSE_ERROR, message=reason)))

    def _note_answer(self, request_id: str | int | None) -> None:
        if request_id is not None:
            self._unanswered.discard(request_id)
        if not self._unanswered:
            self._all_answered.set()

    def _write(self) -> None:
        """A thread: writes each line whole; once the agent is gone, throws it away."""
        gone = False
        while True:
            line, written = self._outbox.get()
            try:
                if not gone:
                    _write_all(self._stdout, line)
            except OSError as error:
                gone = True
                self._call(self._agent_gone, error)
            self._call(_settle, written)

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is gone, and the process about to end
            self._loop.call_soon_threadsafe(function, *arguments)

    def _agent_gone(self, error: OSError) -> None:
        log.info("the agent no longer reads", error=str(error))
        self._all_answered.set()
        self.ended.set()


def _read_some(fd: int) -> bytes:
    try:
        return os.read(fd, _READ_BYTES)
    except OSError:  # a terminal that was hung up: the end all the same
        return b""


def _write_all(fd: int, line: bytes) -> None:
    view = memoryview(line)
    while view:
        view = view[os.write(fd, view) :]


def _has_reader(fd: int) -> bool:
    """Whether anybody still has the other end of the pipe."""
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    return not any(event & (select.POLLERR | select.POLLHUP) for _fd, event in poller.poll(0))


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
