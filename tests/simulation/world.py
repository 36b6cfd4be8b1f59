"""A whole Ratchet on one simulated machine: the real actors, and a supervisor that starts them again."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

from actors import log_store, trace_store
from actors.task_runner.actor import TaskRunner
from actors.worker.actor import WorkerActor
from ipc.link import Link
from ipc.memory import MemoryHubTransport, MemoryLinkTransport
from ratchet.actor import ActorSetup
from ratchet.config import Config
from ratchet.config.model import ExecutionsConfig, TasksConfig, WorkersConfig
from ratchet.project import Project
from ratchet.supervision.exits import ExitReport
from tests.simulation.children import SimulatedChild, SimulatedZygote
from tests.simulation.disk import Disk
from tests.simulation.host import SimulatedHost
from tests.simulation.loop import Process, SimulatedLoop, context_of
from tests.simulation.machine import Machine
from tests.simulation.network import FaultyNetwork
from tests.simulation.truth import Truth

RUNNER, LOGS, SPANS, CLIENT = "task-runner", "log-store", "trace-store", "cli:1"
WORKERS = ("worker:1", "worker:2")
ACTORS = (RUNNER, LOGS, SPANS, *WORKERS, CLIENT)
CHILDREN = 2
QUEUE_SIZE = 6
GRACE_SECONDS = 0.5
RESTART_SECONDS = 2.0
_REAP_SECONDS = 0.05

Main = Callable[[SimulatedHost], Coroutine[Any, Any, None]]


class World:
    """One schedule's."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance = Random(seed)
        self.loop = SimulatedLoop(self.chance)
        self.truth = Truth()
        self.machine = Machine(self.loop, self.chance, self.truth, folder)
        self.network = FaultyNetwork(self.loop, self.chance)
        self.disk = Disk(self.chance)
        self.hosts: dict[str, SimulatedHost] = {}
        self.runner: TaskRunner | None = None
        self.workers: dict[str, WorkerActor] = {}
        self.link: Link | None = None
        self._config = _config(folder)
        self._started = 0
        self._ready: set[str] = set()
        self._exits: dict[str, ExitReport] = {}
        self._mains: dict[str, Main] = {
            RUNNER: self._be_runner,
            LOGS: log_store.main,
            SPANS: trace_store.main,
            CLIENT: self._be_client,
            **dict.fromkeys(WORKERS, self._be_worker),
        }

    # --- the supervisor -------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start a process of this name."""
        self._started += 1
        incarnation = f"{name}.{self._started}".replace(":", "-")
        setup = ActorSetup(
            name=name,
            incarnation=incarnation,
            project=_PROJECT,
            config=self._config,
            control=_NO_SOCKET,
        )
        process = Process(incarnation)
        self.loop.create_task(self._live(setup, process), context=context_of(process))

    async def _live(self, setup: ActorSetup, process: Process) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                host = self.hosts[setup.name] = SimulatedHost(
                    setup,
                    tasks,
                    process=process,
                    loop=self.loop,
                    network=self.network,
                    disk=self.disk,
                    supervisor=self,
                )
                await host.live(self._mains[setup.name])
        except Exception as error:  # noqa: BLE001 - no actor may crash, whatever happens around it
            self.loop.crashes.append((process.name, error))
        self.loop.call_soon(self._end, self.hosts[setup.name], context=context_of(self.loop.world))

    def kill(self, name: str) -> None:
        """End the process of this name as SIGKILL does; it is started again a little later."""
        host = self.hosts.get(name)
        if host is None or not host.process.alive:
            return
        self.machine.note(f"{host.process.name} is killed")
        self._end(host)

    def _end(self, host: SimulatedHost) -> None:
        name, incarnation = host.setup.name, host.setup.incarnation
        if not host.process.alive:
            return
        self.loop.kill(host.process)
        self._ready.discard(name)
        if host.transport is not None:
            host.transport.cut()
        if name in WORKERS:
            self.truth.worker_ends.add(incarnation)
            zygote = self.machine.zygotes.get(incarnation)
            if zygote is not None:
                zygote.die()
        self.machine.later(_REAP_SECONDS, self._reaped, name, incarnation)
        self.machine.later(RESTART_SECONDS, self.start, name)

    def _reaped(self, name: str, incarnation: str) -> None:
        report = ExitReport(name, incarnation, 1, None, 9, 0.0, 0, 0)
        self._exits[incarnation] = report
        if RUNNER in self._ready:
            self.hosts[RUNNER].report(report)

    def on_ready(self, host: SimulatedHost) -> None:
        self._ready.add(host.setup.name)
        if host.setup.name == RUNNER:
            for report in self._exits.values():
                host.report(report)

    def on_exit_seen(self, incarnation: str) -> None:
        self._exits.pop(incarnation, None)

    def drain(self, name: str) -> None:
        """Ask the process of this name to end; it is started again."""
        host = self.hosts.get(name)
        if host is not None and host.process.runs and name in self._ready:
            self.machine.note(f"{host.process.name} is asked to end")
            self.truth.drained.add(host.setup.incarnation)
            host.drain.set()
            deadline = self.loop.now + host.drain_seconds
            self.loop.call_at(deadline, self._overdue, host)

    def _overdue(self, host: SimulatedHost) -> None:
        if host.process.alive:
            self.machine.note(f"{host.process.name} did not end in time")
            self._end(host)

    # --- the actors ---------------------------------------------------------------------------------------------------

    async def _be_runner(self, host: SimulatedHost) -> None:
        async with host.database("executions.db", store="executions") as database:
            self.runner = TaskRunner(host, database)
            await self.runner.run()

    async def _be_worker(self, host: SimulatedHost) -> None:
        zygote = functools.partial(SimulatedZygote, machine=self.machine, worker=host.setup.incarnation)
        worker = WorkerActor(host, zygote=zygote, fork=SimulatedChild.fork)
        self.workers[host.setup.name] = worker
        await worker.run()

    async def _be_client(self, host: SimulatedHost) -> None:
        self.link = host.connect({})
        host.ready()
        await host.drain.wait()

    @property
    def ready(self) -> bool:
        """Whether every actor is up."""
        return self._ready == set(ACTORS)

    @property
    def reported(self) -> bool:
        """Whether every exit was acknowledged."""
        return not self._exits

    def link_of(self, name: str) -> MemoryLinkTransport | None:
        """The end of this actor's connection; the runner has none."""
        host = self.hosts.get(name)
        transport = host.transport if host is not None else None
        return transport if isinstance(transport, MemoryLinkTransport) else None

    def hub_transport(self) -> MemoryHubTransport | None:
        return self.network.hub


class _NoSocket:
    """A simulated process has no control channel."""


_NO_SOCKET: Any = _NoSocket()
_PROJECT = Project(
    folder="/", config_path=None, config_digest="", data_dir_override=None, key="simulated", runtime_dir="/nonexistent"
)


@functools.cache
def _config(folder: Path) -> Config:
    return Config(
        data_dir=folder,
        tasks=TasksConfig(paths=(folder,)),
        workers=WorkersConfig(count=len(WORKERS), children=CHILDREN),
        executions=ExecutionsConfig(queue_size=QUEUE_SIZE, grace_seconds=GRACE_SECONDS, depth_max=3, child_reuse=5),
    )
