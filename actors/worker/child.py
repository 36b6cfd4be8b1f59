"""One child process as its worker sees it: a channel, two pipes of raw output, and how it ended."""

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

    def __init__(self, zygote: Zygote, channel: Channel, out: int, err: int) -> None:
        self._zygote = zygote
        self._channel = channel
        self._pipes = (
            LineReader(out, lambda line: self._line("stdout", line)),
            LineReader(err, lambda line: self._line("stderr", line)),
        )
        self._on_message: OnMessage | None = None
        self._on_line: OnLine | None = None
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
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        ours.setblocking(False)
        child = cls(zygote, Channel(ours), out_read, err_read)
        try:
            child.slot, child.pid = await zygote.fork([theirs.fileno(), out_write, err_write])
        except BaseException:
            child.close()
            raise
        finally:
            theirs.close()
            os.close(out_write)
            os.close(err_write)
        child.resume()
        return child

    def attach(self, on_message: OnMessage, on_line: OnLine) -> None:
        """From now on, what it says belongs to this listener."""
        self._on_message, self._on_line = on_message, on_line
        self.last_lines.clear()

    def detach(self) -> None:
        """Nobody listens any more."""
        self._on_message = self._on_line = None

    async def send(self, kind: str, body: dict[str, Any]) -> None:
        """Write a message, however long it is.

        Raises:
            OSError: It is gone.
        """
        await asyncio.get_running_loop().sock_sendall(self._channel.socket, encode(kind, body))

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
            self._channel.close()
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

    def _line(self, stream: str, line: str) -> None:
        self.last_lines.append(line)
        if self._on_line is not None:
            self._on_line(stream, line)
