"""One child process as its worker sees it: two channels, two pipes of raw output, and how it ended."""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog

from actors.worker.lines import LineReader
from actors.worker.zygote import ChildExit, Zygote
from ratchet.channel import Channel, ChannelError, encode, pair

log = structlog.stdlib.get_logger("worker")

_LINES_KEPT = 20

OnMessage = Callable[[str, dict[str, Any]], None]
OnLine = Callable[[str, str], None]


class Child:
    """A child and the attempt it has at the moment.

    Attributes:
        version: The task version it has loaded; None while it has none.
        runs: Attempts it has taken.
        exit: How it ended, once it has.
    """

    def __init__(self, zygote: Zygote, channel: Channel, calls: Channel, out: int, err: int) -> None:
        self._zygote = zygote
        self._channel = channel
        self._calls = calls
        self._answering = asyncio.Lock()
        self._reading_calls = False
        self._pipes = (
            LineReader(out, lambda line: self._line("stdout", line)),
            LineReader(err, lambda line: self._line("stderr", line)),
        )
        self._on_message: OnMessage | None = None
        self._on_line: OnLine | None = None
        self._on_call: OnMessage | None = None
        self._reading = False
        self._closed = False
        self.slot = 0
        self.pid = 0
        self.version: str | None = None
        self.runs = 0
        self.last_lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self.exit: asyncio.Future[ChildExit] = asyncio.get_running_loop().create_future()

    @classmethod
    async def fork(cls, zygote: Zygote) -> "Child":
        """A new child of this zygote.

        Raises:
            UnavailableError: The zygote is gone.
        """
        ours, theirs = pair()
        our_calls, their_calls = pair()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        ours.setblocking(False)
        our_calls.setblocking(False)
        child = cls(zygote, Channel(ours), Channel(our_calls), out_read, err_read)
        try:
            child.slot, child.pid = await zygote.fork([theirs.fileno(), out_write, err_write, their_calls.fileno()])
        except BaseException:
            child.close()
            raise
        finally:
            theirs.close()
            their_calls.close()
            os.close(out_write)
            os.close(err_write)
        child.resume()
        child.read_calls()
        return child

    def attach(self, on_message: OnMessage, on_line: OnLine, on_call: OnMessage | None = None) -> None:
        """From now on, what it says and asks belongs to these listeners."""
        self._on_message, self._on_line, self._on_call = on_message, on_line, on_call
        self.last_lines.clear()

    def detach(self) -> None:
        """Nobody listens any more."""
        self._on_message = self._on_line = self._on_call = None

    async def send(self, kind: str, body: dict[str, Any]) -> None:
        """Write a message, however long it is.

        Raises:
            OSError: It is gone.
        """
        await asyncio.get_running_loop().sock_sendall(self._channel.socket, encode(kind, body))

    async def answer(self, kind: str, body: dict[str, Any]) -> None:
        """Write an answer to one of its calls, after those that are being written.

        Raises:
            ChannelError: The answer is larger than a frame may be; nothing was written.
            OSError: It is gone.
        """
        frame = encode(kind, body)
        async with self._answering:
            await asyncio.get_running_loop().sock_sendall(self._calls.socket, frame)

    def signal(self, number: int, *, tree: bool = False) -> None:
        """Send a signal to it, or to it and its descendants."""
        if not self.exit.done():
            self._zygote.signal(self.slot, number, tree=tree)

    def pause(self) -> None:
        """Read no more: a full socket makes the task wait, which is how it learns that logs are slower than it."""
        if self._reading:
            self._reading = False
            asyncio.get_running_loop().remove_reader(self._channel.socket)
            for pipe in self._pipes:
                pipe.pause()

    def resume(self) -> None:
        """Read again."""
        if not self._reading and not self._closed:
            self._reading = True
            asyncio.get_running_loop().add_reader(self._channel.socket, self._read)
            for pipe in self._pipes:
                pipe.resume()

    def read_calls(self) -> None:
        """Take what it asks from now on, also while it is paused."""
        self._reading_calls = True
        asyncio.get_running_loop().add_reader(self._calls.socket, self._read_calls)

    def drain_calls(self) -> None:
        """Take what it has asked already: what is left there would be taken for the next attempt's."""
        while self._read_calls():
            pass

    def drain_pipes(self) -> None:
        """Take what its raw output holds now, an unfinished line included."""
        for pipe in self._pipes:
            pipe.drain()

    def ended(self, how: ChildExit) -> None:
        """The zygote reaped it: read what it said before it died, then let go."""
        while not self._closed and self._read():
            pass
        self.drain_pipes()
        if not self.exit.done():
            self.exit.set_result(how)
        self.close()

    def close(self) -> None:
        """Close the worker's ends; a child that lives exits then."""
        self.pause()
        if not self._closed:
            self._closed = True
            self._stop_reading_calls()
            self._channel.close()
            self._calls.close()
            for pipe in self._pipes:
                pipe.close()

    def _read(self) -> bool:
        """Take what there is. Returns False where there is nothing more for now."""
        try:
            messages = self._channel.receive()
        except (BlockingIOError, ConnectionResetError):
            return False
        except ChannelError as error:
            log.warning("a child broke its channel and is killed", pid=self.pid, error=str(error))
            self._zygote.signal(self.slot, 9, tree=True)
            messages = None
        if messages is None:
            self.pause()
            return False
        for kind, body in messages:
            if self._on_message is not None:
                self._on_message(kind, body)
        return True

    def _read_calls(self) -> bool:
        """Take what it asks. Returns False where there is nothing more for now."""
        try:
            messages = None if self._closed else self._calls.receive()
        except (BlockingIOError, ConnectionResetError):
            return False
        except ChannelError as error:
            log.warning("a child broke the channel of its calls and is killed", pid=self.pid, error=str(error))
            self._zygote.signal(self.slot, 9, tree=True)
            messages = None
        if messages is None:
            self._stop_reading_calls()
            return False
        for kind, body in messages:
            if self._on_call is not None:
                self._on_call(kind, body)
        return True

    def _stop_reading_calls(self) -> None:
        if self._reading_calls:
            self._reading_calls = False
            asyncio.get_running_loop().remove_reader(self._calls.socket)

    def _line(self, stream: str, line: str) -> None:
        self.last_lines.append(line)
        if self._on_line is not None:
            self._on_line(stream, line)
