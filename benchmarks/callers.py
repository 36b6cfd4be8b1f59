"""Who calls in the benchmarks of messages: one caller a way, so that all are timed and paced alike."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import zmq
import zmq.asyncio

from benchmarks.call_peer import CALLER
from ipc.curve import CurveClient, key_text
from ipc.link import Link
from ipc.zeromq import ZmqLinkTransport

_TRY_MS = 50
_TRIES = 200
_WELCOME_SECONDS = 10.0
_CALL_SECONDS = 30.0


@dataclass(slots=True)
class Took:
    """What calls took.

    Attributes:
        milliseconds: Of every call that ended in its round.
        seconds: How long the rounds were in all.
    """

    milliseconds: list[float] = field(default_factory=list[float])
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Calls per second."""
        return len(self.milliseconds) / self.seconds


class Caller(ABC):
    """Calls `echo` in one way."""

    @abstractmethod
    async def meet(self) -> None:
        """Wait until the other side answers.

        Raises:
            RuntimeError: It does not.
        """

    @abstractmethod
    async def call(self, body: bytes, outstanding: int, seconds: float, took: Took) -> None:
        """Keep so many calls under way for so long, and add what they took."""


class LinkCaller(Caller):
    """Over Ratchet's link."""

    def __init__(self, link: Link, target: str) -> None:
        self._link = link
        self._target = target

    async def meet(self) -> None:  # noqa: D102
        await self._link.wait_welcomed(_WELCOME_SECONDS)
        await self._link.call(self._target, "echo", b"", timeout_seconds=_WELCOME_SECONDS, idempotent=True)

    async def call(self, body: bytes, outstanding: int, seconds: float, took: Took) -> None:  # noqa: D102
        async def calling() -> None:
            while (started := time.perf_counter()) < until:
                await self._link.call(self._target, "echo", body, timeout_seconds=_CALL_SECONDS)
                took.milliseconds.append(1000 * (time.perf_counter() - started))

        began = time.perf_counter()
        until = began + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(outstanding):
                group.create_task(calling())
        took.seconds += time.perf_counter() - began


class RawCaller(Caller):
    """Over a bare DEALER, blocking: the loop of this process stands still meanwhile."""

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self._socket = socket

    async def meet(self) -> None:  # noqa: D102
        for _ in range(_TRIES):
            self._socket.send(b"")
            if self._socket.poll(_TRY_MS):
                break
        else:
            raise RuntimeError("the bare sockets did not meet")
        while self._socket.poll(_TRY_MS):
            self._socket.recv()

    async def call(self, body: bytes, outstanding: int, seconds: float, took: Took) -> None:  # noqa: D102
        socket = self._socket
        started: deque[float] = deque()
        began = time.perf_counter()
        until = began + seconds
        for _ in range(outstanding):
            started.append(time.perf_counter())
            socket.send(body)
        while started:
            socket.recv()
            now = time.perf_counter()
            took.milliseconds.append(1000 * (now - started.popleft()))
            if now < until:
                started.append(now)
                socket.send(body)
        took.seconds += time.perf_counter() - began


class AsyncioCaller(Caller):
    """Over a DEALER of `zmq.asyncio`."""

    def __init__(self, socket: zmq.asyncio.Socket) -> None:
        self._socket = socket

    async def meet(self) -> None:  # noqa: D102
        for _ in range(_TRIES):
            await self._socket.send(b"")
            if await self._socket.poll(_TRY_MS):
                break
        else:
            raise RuntimeError("the sockets of zmq.asyncio did not meet")
        while await self._socket.poll(_TRY_MS):
            await self._socket.recv()

    async def call(self, body: bytes, outstanding: int, seconds: float, took: Took) -> None:  # noqa: D102
        socket = self._socket
        started: deque[float] = deque()
        began = time.perf_counter()
        until = began + seconds
        for _ in range(outstanding):
            started.append(time.perf_counter())
            await socket.send(body)
        while started:
            await socket.recv()
            now = time.perf_counter()
            took.milliseconds.append(1000 * (now - started.popleft()))
            if now < until:
                started.append(now)
                await socket.send(body)
        took.seconds += time.perf_counter() - began


@asynccontextmanager
async def linked(
    context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, name: str, curve: CurveClient | None = None
) -> AsyncGenerator[Link]:
    """A welcomed link for the time of the block."""
    link = Link(ZmqLinkTransport(context, endpoint, curve=curve), name=name, incarnation="bench", methods={})
    running = asyncio.create_task(link.run())
    try:
        await link.wait_welcomed(_WELCOME_SECONDS)
        yield link
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):  # ours, of the line above
            await running


def dealer(
    context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, curve: CurveClient | None = None
) -> "zmq.Socket[bytes]":
    """A bare socket that is known as the caller."""
    socket = context.socket(zmq.DEALER)
    if curve is not None:
        socket.curve_serverkey = key_text(curve.server_public).encode()
        socket.curve_publickey = key_text(curve.own.public).encode()
        socket.curve_secretkey = key_text(curve.own.secret).encode()
    socket.setsockopt(zmq.ROUTING_ID, CALLER)
    socket.connect(endpoint)
    return socket


def asyncio_dealer(context: zmq.asyncio.Context, endpoint: str) -> zmq.asyncio.Socket:
    """The same with coroutines."""
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.ROUTING_ID, CALLER)
    socket.connect(endpoint)
    return socket
