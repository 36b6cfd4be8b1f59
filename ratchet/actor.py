"""What every actor process does: run one asyncio loop, talk to the supervisor, own its tasks, end for a reason.

An actor's module has `def start(setup: ActorSetup) -> None`, which calls `run_actor(setup, main)`. How actors come to
be processes, and when they are started again, is the supervisor's business.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
import uvloop
import zmq

from ipc.link import Link, Method
from ipc.transport import HubTransport, LinkTransport
from ipc.zeromq import ZmqHubTransport, ZmqLinkTransport
from ratchet import channel
from ratchet.errors import RatchetError, StartupError
from ratchet.logging_setup import setup_logging
from ratchet.supervision.exits import ExitReport

if TYPE_CHECKING:
    from ratchet.cluster.membership import Membership
    from ratchet.config import Config
    from ratchet.project import Project
    from ratchet.stores.database import Database

DRAIN_SECONDS_DEFAULT = 10.0
FAREWELL_SECONDS = 3.0  # for what was asked before the end
# A crashed actor may clean up for this long; then it ends as it is, so that the supervisor can replace it.
_CRASH_SECONDS_MAX = 5.0
_READ_BYTES = 64 * 1024

log = structlog.stdlib.get_logger("ratchet.actor")


@dataclass(frozen=True)
class ActorSetup:
    """What the supervisor hands to an actor's process.

    Attributes:
        name: `role` or `role:instance`.
        incarnation: 12 random hex digits, new with every process.
        project: Where the project is and where its sockets are.
        config: The configuration, secrets unresolved.
        control: This actor's end of its channel to the supervisor.
        sockets: The listening sockets that its child spec wants, by name.
        fds: A stdio front's stdin, stdout and stderr.
        extras: What only this kind of actor needs.
        membership: On a machine that joined: where the head is. None: the hub is on this machine.
    """

    name: str
    incarnation: str
    project: "Project"
    config: "Config"
    control: socket.socket
    sockets: Mapping[str, socket.socket] = field(default_factory=dict[str, socket.socket])
    fds: tuple[int, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict[str, Any])
    membership: "Membership | None" = None

    @property
    def role(self) -> str:
        """The name without its instance."""
        return self.name.partition(":")[0]


class ActorHost:
    """What an actor's `main` works with; made by `run_actor`. All that reaches out of the process comes from here.

    Attributes:
        setup: What the supervisor handed over.
        clock: The event loop's.
        drain: Set when the actor is asked to finish. SIGTERM asks the supervisor to do so.
        drain_seconds: How long it may take from then on.
        hastened: Set whenever `drain_seconds` is another one, counted anew, while the actor drains.
        on_exit_report: Called with the exit of every actor, once this one is ready; the report is acknowledged when
            it returns and comes again, to this or a later process, until then. Only the task-runner gets any.
    """

    def __init__(self, setup: ActorSetup, tasks: asyncio.TaskGroup, writer: asyncio.StreamWriter) -> None:
        self.setup = setup
        self.clock: Callable[[], float] = time.monotonic
        self.drain = asyncio.Event()
        self.hastened = asyncio.Event()
        self.drain_seconds = DRAIN_SECONDS_DEFAULT
        self.on_exit_report: Callable[[ExitReport], Awaitable[None]] | None = None
        self._tasks = tasks
        self._writer = writer
        self._owned: set[asyncio.Task[Any]] = set()
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._link: Link | None = None
        self._ready = asyncio.Event()
        self._reports: asyncio.Queue[ExitReport] = asyncio.Queue()  # bounded by what the supervisor keeps

    @property
    def link(self) -> Link:
        """The link to the hub, once `connect` made it."""
        assert self._link is not None, "host.connect() comes before host.link"
        return self._link

    @property
    def context(self) -> "zmq.Context[zmq.Socket[bytes]]":
        """This process's ZeroMQ context, made at first use and ended by `run_actor`."""
        if self._context is None:
            self._context = zmq.Context()
        return self._context

    def connect(
        self,
        methods: Mapping[str, Method],
        *,
        hello_body: Callable[[], bytes] = bytes,
        on_welcome: Callable[[str], None] | None = None,
    ) -> Link:
        """Make the link to the hub and keep it running; it says hello until the hub answers.

        An actor that embeds the hub does not call this.

        Args:
            methods: What this actor serves, by procedure (`ratchet.rpc.methods` and `streams` make them).
            hello_body: Asked for what to say of itself with each hello.
            on_welcome: Told the hub's incarnation with each welcome.
        """
        link = self.make_link(methods, hello_body=hello_body, on_welcome=on_welcome)
        self.own(link.run(), name="link")
        return link

    def make_link(
        self,
        methods: Mapping[str, Method],
        *,
        hello_body: Callable[[], bytes] = bytes,
        on_welcome: Callable[[str], None] | None = None,
        on_refused: Callable[[], None] = lambda: None,
    ) -> Link:
        """The same, for an actor that runs it itself.

        Args:
            methods: As of `connect`.
            hello_body: Likewise.
            on_welcome: Likewise.
            on_refused: Called when the head does not admit this machine's key; the link tries no more then.
        """
        self._link = Link(
            self._link_transport(on_refused),
            name=self.setup.name,
            incarnation=self.setup.incarnation,
            methods=methods,
            hello_body=hello_body,
            on_welcome=on_welcome,
        )
        return self._link

    def _link_transport(self, on_refused: Callable[[], None]) -> LinkTransport:
        member = self.setup.membership
        if member is None:
            return ZmqLinkTransport(self.context, self.setup.project.hub_endpoint)
        return ZmqLinkTransport(self.context, member.head, curve=member.keys(), refused=on_refused)

    def hub_transport(self) -> HubTransport:
        """What carries the hub, for the actor that embeds it."""
        return ZmqHubTransport(self.context, self.setup.project.hub_endpoint)

    def database(self, name: str, *, store: str) -> "AbstractAsyncContextManager[Database]":
        """A store file of the project, as `Database.open` opens it."""
        from ratchet.stores.database import Database  # a command that asks a supervisor has no use for it

        return Database.open(self.setup.config.data_dir / name, store=store)

    async def farewell(self, seconds: float = FAREWELL_SECONDS) -> None:
        """Take no more calls, and answer those at work: the last act of an actor on its link.

        The hub refuses what comes later as unreachable, so that whoever may ask again asks this actor's successor.
        """
        await self.link.drain(max(0.0, min(seconds, self.drain_seconds)))

    def own(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run `work` beside `main` until it ends or `main` returns. If it raises, the whole actor ends with it."""
        task = self._tasks.create_task(self._guard(work, name), name=name)
        self._owned.add(task)
        task.add_done_callback(self._owned.discard)
        return task

    def ready(self, **info: Any) -> None:
        """Tell the supervisor that this actor does its work now; `info` appears in the start-up report."""
        self._send("ready", info)
        self._ready.set()

    def fail(self, error: RatchetError) -> NoReturn:
        """End the actor: it cannot start, and `error` says why. Raising from `main` before `ready` does the same."""
        raise error

    def give_up(self, reason: str) -> None:
        """Tell the supervisor that all of it is of no use any more: it drains, and ends with a code that says so."""
        self._send("give_up", {"reason": reason})

    def busy(self, busy: bool) -> None:
        """Tell the supervisor whether there is work that should keep an on-demand supervisor up."""
        self._send("busy", {"busy": busy})

    def _send(self, kind: str, body: dict[str, Any]) -> None:
        self._writer.write(channel.encode(kind, body))

    async def _guard(self, work: Coroutine[Any, Any, Any], name: str) -> Any:
        try:
            return await work
        except Exception:
            log.exception("a task of this actor crashed", task=name)
            asyncio.get_running_loop().call_later(_CRASH_SECONDS_MAX, os._exit, 1)
            raise

    async def _control(self, reader: asyncio.StreamReader) -> None:
        """Follow the supervisor's words; its end is this actor's, at once."""
        decoder = channel.Decoder()
        while data := await reader.read(_READ_BYTES):
            for kind, body in decoder.feed(data):
                self._on_message(kind, body)
        os._exit(1)

    def _on_message(self, kind: str, body: dict[str, Any]) -> None:
        match kind:
            case "drain":
                self.drain_seconds = float(body["grace_seconds"])
                self.hastened.set()
                self.drain.set()
            case "exit":
                self._reports.put_nowait(ExitReport.from_body(body))
            case _:
                log.warning("the supervisor sent an unknown message", kind=kind)

    async def _pass_reports(self) -> None:
        await self._ready.wait()
        while True:
            report = await self._reports.get()
            if self.on_exit_report is not None:
                await self.on_exit_report(report)
                self._send("exit_seen", {"name": report.name, "incarnation": report.incarnation})

    async def run(self, main: "Main", reader: asyncio.StreamReader) -> None:
        """Run `main` beside the supervisor's channel; then end what it started. For `run_actor`."""
        loop = asyncio.get_running_loop()
        # Whoever ends a whole process group means the supervisor, which then asks one stage after the other; whoever
        # means this process alone has it drained, too, by way of the supervisor.
        loop.add_signal_handler(signal.SIGTERM, lambda: self._send("asked_to_end", {}))
        self.own(self._control(reader), name="control")
        self.own(self._pass_reports(), name="exit reports")
        try:
            await main(self)
        except Exception as error:
            self._report_failure(error)
            loop.call_later(_CRASH_SECONDS_MAX, os._exit, 1)
            raise
        finally:
            for task in tuple(self._owned):
                task.cancel()

    def _report_failure(self, error: Exception) -> None:
        if self._ready.is_set():
            log.error("the actor crashed", exc_info=error)
            return
        if isinstance(error, RatchetError):
            log.error("the actor cannot start", code=error.code, error=error.message)
            told = error
        else:
            log.error("the actor cannot start", exc_info=error)
            told = StartupError(f"{self.setup.name} cannot start: {type(error).__name__}: {error}")
        self._send("failed", {"error": {"code": told.code, "message": told.message, "details": told.details}})

    async def close(self) -> None:
        """Flush what the supervisor should still hear and let go of ZeroMQ. For `run_actor`."""
        self._writer.close()
        with suppress(ConnectionError):  # the supervisor is gone already
            await self._writer.wait_closed()
        if self._context is not None:
            self._context.destroy(linger=0)


Main = Callable[[ActorHost], Awaitable[None]]


async def _host(setup: ActorSetup, main: Main) -> None:
    setup.control.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=setup.control)
    host: ActorHost | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            host = ActorHost(setup, tasks, writer)
            await host.run(main, reader)
    finally:
        if host is not None:
            await host.close()


def run_actor(setup: ActorSetup, main: Main) -> None:
    """Be this actor until `main` returns.

    Every task that `host.own` started is cancelled then. If `main` or one of them raises, the others are cancelled, the
    traceback is logged and the process ends with code 1. SIGINT is ignored: a terminal sends it to every process of
    the group, and the supervisor decides what it means.

    Raises:
        SystemExit: With code 1, after a crash or a failed start.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setup_logging(setup.config.data_dir / "logs", setup.name, setup.incarnation, setup.config.logging.level)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # a call passes four loops: it adds up
            runner.run(_host(setup, main))
    except* Exception:  # noqa: BLE001 - logged where it was raised; the exit code is what is left to say
        sys.exit(1)
