"""The process of one simulated actor: the real one's duties, with a simulated machine around it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, cast

from ipc.link import Link, Method
from ipc.memory import MemoryHubTransport, MemoryLinkTransport
from ipc.transport import HubTransport
from ratchet.actor import ActorHost, ActorSetup
from ratchet.stores.database import Database
from ratchet.supervision.exits import ExitReport
from tests.simulation.disk import Disk
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.network import FaultyNetwork

DRAIN_SECONDS = 8.0


class Supervising(Protocol):
    """What a process tells the supervisor."""

    def on_ready(self, host: "SimulatedHost") -> None: ...

    def on_exit_seen(self, incarnation: str) -> None: ...


class SimulatedHost(ActorHost):
    """An `ActorHost` on a simulated machine."""

    def __init__(
        self,
        setup: ActorSetup,
        tasks: asyncio.TaskGroup,
        *,
        process: Process,
        loop: SimulatedLoop,
        network: FaultyNetwork,
        disk: Disk,
        supervisor: Supervising,
    ) -> None:
        super().__init__(setup, tasks, cast("asyncio.StreamWriter", None))
        self.process = process
        self.clock = loop.time
        self.drain_seconds = DRAIN_SECONDS
        self._in_order: dict[asyncio.Task[Any], None] = {}
        self.transport: MemoryHubTransport | MemoryLinkTransport | None = None
        self._loop = loop
        self._network = network
        self._disk = disk
        self._supervisor = supervisor

    def hub_transport(self) -> HubTransport:
        self.transport = self._network.hub_transport()
        return self.transport

    def database(self, name: str, *, store: str) -> AbstractAsyncContextManager[Database]:
        return self._disk.open(store)

    def connect(
        self,
        methods: Mapping[str, Method],
        *,
        hello_body: Callable[[], bytes] = bytes,
        on_welcome: Callable[[str], None] | None = None,
    ) -> Link:
        self.transport = self._network.link_transport()
        self._link = Link(
            self.transport,
            name=self.setup.name,
            incarnation=self.setup.incarnation,
            methods=methods,
            hello_body=hello_body,
            on_welcome=on_welcome,
            clock=self.clock,
        )
        self.own(self._link.run(), name="link")
        return self._link

    def own(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        task = super().own(work, name=name)
        self._in_order[task] = None
        task.add_done_callback(lambda task: self._in_order.pop(task, None))
        return task

    def report(self, exit_report: ExitReport) -> None:
        """The supervisor tells of an exit."""
        self._reports.put_nowait(exit_report)

    async def live(self, main: Callable[["SimulatedHost"], Coroutine[Any, Any, None]]) -> None:
        """Run the actor's `main`, then end what it started, as `ActorHost.run` does."""
        self.own(self._pass_reports(), name="exit reports")
        try:
            await main(self)
        finally:
            for task in tuple(self._in_order):
                task.cancel()

    async def _guard(self, work: Coroutine[Any, Any, Any], name: str) -> Any:
        try:
            return await work
        except Exception as error:
            self._loop.crashes.append((f"{self.setup.name}, {name}", error))
            raise

    def _send(self, kind: str, body: dict[str, Any]) -> None:
        match kind:
            case "ready":
                self._supervisor.on_ready(self)
            case "exit_seen":
                self._supervisor.on_exit_seen(body["incarnation"])
            case _:
                pass
