"""What the processes use while they are struck, and whether they are idle and whole afterwards."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import psutil

from ipc.errors import IpcError
from ratchet import messages
from ratchet.bodies.common import Empty
from ratchet.bodies.health import Health
from ratchet.cli.connection import connect
from ratchet.errors import RatchetError
from tests.chaos.faults import processes
from tests.chaos.plan import ACTORS
from tests.harness import RunningProject

SETTLE_SECONDS: Final = 90.0
_LOOK_SECONDS: Final = 0.5
_HEALTH_SECONDS: Final = 5.0
_FDS_MORE_MAX: Final = 16
_MEMORY_BYTES_MAX: Final = 400 * 2**20
_UNFINISHED: Final = ("queued", "running", "input_required")


@dataclass
class Watch:
    """Peaks, and how many descriptors there were before."""

    project: RunningProject
    workers: int
    slots: int
    memory: dict[str, int] = field(default_factory=dict[str, int])
    queued: int = 0
    waiting_envelopes: int = 0
    counters: dict[str, int] = field(default_factory=dict[str, int])
    _descriptors: dict[str, int] = field(default_factory=dict[str, int])

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            await asyncio.to_thread(self._measure)
            with suppress(IpcError, RatchetError, OSError):
                self._note(await self._health("task-runner"))
            await asyncio.sleep(_LOOK_SECONDS)

    def begin(self) -> None:
        """Remember what an idle system looks like."""
        self._descriptors = self._count_descriptors()

    async def settled(self) -> list[str]:
        """What is not idle or not whole, once everything had the time to become so."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            problems = await self._problems()
            if not problems or time.monotonic() > deadline:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        return [f"afterwards: {one}" for one in problems] + self._bounds()

    async def _problems(self) -> list[str]:
        try:
            runner = await self._health("task-runner")
            healths = [await self._health(name) for name in self._names() if name != "task-runner"]
        except (IpcError, RatchetError, OSError) as error:
            return [f"somebody does not answer: {error}"]
        self._note(runner)
        found = [f"{runner.executions[one]} executions are {one}" for one in _UNFINISHED if runner.executions[one]]
        if runner.slots != self.slots or runner.slots_busy:
            found += [f"{runner.slots_busy} of {runner.slots} slots are busy; there should be {self.slots}, all free"]
        found += [f"{one.name} still has {one.slots_busy} attempts" for one in healths if one.slots_busy]
        found += [f"{one.name} is {one.liveness}" for one in runner.peers if one.liveness != "alive"]
        found += [f"{one.queued_envelopes} wait for {one.name}" for one in runner.peers if one.queued_envelopes]
        found += sorted(f"{name} is no peer" for name in set(self._names()) - {one.name for one in runner.peers})
        if not self.project.all_running():
            found += ["not all actors run"]
        return [one for one in found if one != "task-runner is no peer"] + await asyncio.to_thread(self._strays)

    def _strays(self) -> list[str]:
        """Processes that nobody should have."""
        found: list[str] = []
        supervisor = psutil.Process(self.project.pid)
        family = {one.pid for one in supervisor.children(recursive=True)}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                here = process.cwd() == str(self.project.folder) and process.pid != supervisor.pid
                if here and process.pid not in family:
                    found.append(f"{process} belongs to nobody")
                elif here and process.name() == "sleep":
                    found.append(f"{process} outlived its task")
        zygotes = processes(self.project, "zygote")
        if len(zygotes) != self.workers:
            found.append(f"there are {len(zygotes)} zygotes for {self.workers} workers")
        if (children := len(processes(self.project, "child"))) > self.slots:
            found.append(f"{children} children are kept for {self.slots} slots")
        return found

    def _bounds(self) -> list[str]:
        found = [
            f"{name} used {used / 2**20:.0f} MiB" for name, used in self.memory.items() if used > _MEMORY_BYTES_MAX
        ]
        for name, now in self._count_descriptors().items():
            before = self._descriptors.get(name, now)
            if now > before + _FDS_MORE_MAX:
                found.append(f"{name} has {now} open descriptors and had {before}")
        return found

    def _names(self) -> list[str]:
        status = self.project.status()
        return [one.name for one in status.children] if status is not None else []

    async def _health(self, name: str) -> Health:
        async with connect(self.project.project) as client:
            return await client.call(messages.GET_HEALTH, Empty(), target=name, timeout_seconds=_HEALTH_SECONDS)

    def _note(self, health: Health) -> None:
        self.queued = max(self.queued, health.executions.get("queued", 0))
        self.waiting_envelopes = max(self.waiting_envelopes, *(one.queued_envelopes for one in health.peers), 0)
        for name, count in health.counters.items():
            self.counters[name] = max(self.counters.get(name, 0), count)

    def _measure(self) -> None:
        for target in (*ACTORS, "zygote", "child"):
            used = _memory(one for _, one in processes(self.project, target))
            self.memory[target] = max(self.memory.get(target, 0), used)

    def _count_descriptors(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for target in (*ACTORS, "zygote"):
            for name, process in processes(self.project, target):
                with suppress(psutil.Error):
                    found[name] = process.num_fds()
        return found


def _memory(found: Iterable[psutil.Process]) -> int:
    """Of the one that uses most."""
    most = 0
    for process in found:
        with suppress(psutil.Error):
            most = max(most, process.memory_info().rss)
    return most
