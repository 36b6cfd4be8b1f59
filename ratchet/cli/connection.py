"""The CLI's way into a running project: one link to its hub, named `cli:PID-RANDOM`.

That a supervisor runs is seen on its control socket, which answers at once. A connection to it stays open: its end is
how a waiting command learns, without polling, that the supervisor has gone.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ratchet.errors import NotRunningError, UnavailableError
from ratchet.messages import Procedure, StreamProcedure
from ratchet.models import JsonObject, Model
from ratchet.project import Project

# What is imported inside functions is what costs: commands that need no connection start without it.
if TYPE_CHECKING:
    from ipc.link import Link
    from ratchet.supervision.status import SupervisorStatus

WELCOME_SECONDS = 3.0
CALL_SECONDS = 30.0
# How long calls may still be answered after the supervisor has gone.
FAREWELL_SECONDS = 1.0
_READ_BYTES = 4096

RequestT = TypeVar("RequestT", bound=Model)
ReplyT = TypeVar("ReplyT", bound=Model)
T = TypeVar("T")


class Caller(Protocol):
    """Whoever can call the procedures of a project: a `Client`, or a test's double."""

    async def call(
        self,
        procedure: Procedure[RequestT, ReplyT],
        request: RequestT,
        *,
        target: str | None = None,
        timeout_seconds: float = CALL_SECONDS,
        on_progress: Callable[[JsonObject], None] | None = None,
    ) -> ReplyT:
        """Call `procedure` on `target` (by default the role that serves it).

        Raises:
            ratchet.errors.RatchetError: The callee refused; NotRunningError when the supervisor goes meanwhile.
            ipc.errors.IpcError: There was no answer.
        """
        ...


class Client:
    """Calls to the actors of a running project.

    Attributes:
        supervisor: What the supervisor said of itself when the connection was made.
    """

    def __init__(
        self, link: "Link", gone: "asyncio.Task[None]", project: Project, supervisor: "SupervisorStatus"
    ) -> None:
        self.supervisor = supervisor
        self._link = link
        self._gone = gone
        self._project = project

    async def call(
        self,
        procedure: Procedure[RequestT, ReplyT],
        request: RequestT,
        *,
        target: str | None = None,
        timeout_seconds: float = CALL_SECONDS,
        on_progress: Callable[[JsonObject], None] | None = None,
    ) -> ReplyT:
        """As `Caller` says."""
        from ratchet import rpc

        return await self._unless_gone(
            rpc.call(
                self._link,
                procedure,
                request,
                target=target,
                timeout_seconds=timeout_seconds,
                on_progress=on_progress,
            )
        )

    async def stream(self, procedure: StreamProcedure[RequestT, ReplyT], request: RequestT) -> AsyncGenerator[ReplyT]:
        """The items of a stream of the role that serves `procedure`; close it to end it early.

        Raises:
            ratchet.errors.RatchetError: The callee refused; NotRunningError when the supervisor goes meanwhile.
            ipc.errors.IpcError: It was not to be had, or was lost: it may be asked for again.
        """
        from ratchet import rpc

        async with rpc.stream(self._link, procedure, request) as items:
            while (item := await self._unless_gone(_next(items))) is not None:
                yield item

    async def _unless_gone(self, work: Coroutine[Any, Any, T]) -> T:
        working = asyncio.create_task(work)
        try:
            await asyncio.wait({working, self._gone}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await asyncio.wait({working}, timeout=FAREWELL_SECONDS)
            if not working.done():
                raise NotRunningError(
                    f"the supervisor of {self._project.folder} has stopped meanwhile: `ratchet up` starts it again, "
                    "and nothing that was accepted is lost"
                )
            return working.result()
        finally:
            working.cancel()


async def _next(items: AsyncIterator[ReplyT]) -> ReplyT | None:
    return await anext(items, None)


@asynccontextmanager
async def connect(project: Project, *, welcome_seconds: float = WELCOME_SECONDS) -> AsyncGenerator[Client, None]:
    """A client of the supervisor that runs for `project`.

    Raises:
        NotRunningError: None runs; seen at once.
        RefusedError: It is of another version.
        UnavailableError: One runs, but its hub did not answer in `welcome_seconds`.
    """
    from ratchet.supervision.client import SupervisorClient

    with SupervisorClient(project) as supervisor:
        status = supervisor.status()
        gone = asyncio.create_task(_until_closed(supervisor.socket))
        try:
            async with _linked(project, welcome_seconds) as link:
                yield Client(link, gone, project, status)
        finally:
            gone.cancel()


@asynccontextmanager
async def _linked(project: Project, welcome_seconds: float) -> "AsyncGenerator[Link, None]":
    import structlog
    import zmq

    from ipc.link import Link
    from ipc.zeromq import ZmqLinkTransport

    # What a link logs is for an actor's file; here it would land in the output, and its errors are raised as well.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    name = f"cli:{os.getpid()}-{secrets.token_hex(2)}"
    context = zmq.Context()
    link = Link(
        ZmqLinkTransport(context, project.hub_endpoint), name=name, incarnation=secrets.token_hex(6), methods={}
    )
    running = asyncio.create_task(link.run())
    try:
        await _welcomed(link, running, project, welcome_seconds)
        yield link
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):  # ours, of the line above
            await running
        context.term()


async def _welcomed(link: "Link", running: "asyncio.Task[None]", project: Project, seconds: float) -> None:
    welcome = asyncio.create_task(link.wait_welcomed(seconds))
    try:
        await asyncio.wait({welcome, running}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        welcome.result()
    except TimeoutError:
        raise UnavailableError(
            f"a supervisor runs for {project.folder}, but its task-runner did not answer within {seconds:g} s: "
            "it may be starting or restarting; see `ratchet status`"
        ) from None
    finally:
        welcome.cancel()


async def _until_closed(watched: socket.socket) -> None:
    watched.setblocking(False)
    loop = asyncio.get_running_loop()
    with suppress(ConnectionResetError):  # an end like any other
        while await loop.sock_recv(watched, _READ_BYTES):
            pass
