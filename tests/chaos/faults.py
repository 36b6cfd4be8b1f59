"""Carries the faults out, on whichever process does the work at that moment, and notes who was struck and when."""

import asyncio
import resource
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

from tests.chaos.load import Told
from tests.chaos.plan import LEASE_SECONDS, NODE, SUPERVISOR, Fault
from tests.harness import RunningProject, eventually
from tests.processes.cluster import Proxy

BACK_SECONDS: Final = 60.0
_VICTIM_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.02
# Less than any file of a store is long: whatever it writes, it fails.
_FULL_BYTES: Final = 4096
_AT_A_TIME: Final = 3


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault as it happened.

    Attributes:
        fault: What was planned.
        victim: Name of the process: "worker:1", "zygote", ….
        pid: Its process id.
        began: When (seconds of `time.time`).
        seconds: Until the work it does was done again.
    """

    fault: Fault
    victim: str
    pid: int
    began: float
    seconds: float

    @property
    def ended(self) -> float:
        """When the work was done again."""
        return self.began + self.seconds


@dataclass
class Faults:
    """The schedule, carried out as the load goes on."""

    project: RunningProject
    told: Told
    network: Proxy | None = None
    strikes: list[Strike] = field(default_factory=list[Strike])
    missed: Counter[str] = field(default_factory=Counter[str])
    complaints: list[str] = field(default_factory=list[str])
    _present: set[str] = field(default_factory=set[str])

    async def run(self, schedule: Sequence[Fault]) -> None:
        """Return when every fault has been carried out and is over."""
        slots = asyncio.Semaphore(_AT_A_TIME)
        async with asyncio.TaskGroup() as strikes:
            for fault in schedule:
                self.told.falls(fault.at)
                await self.told.until(fault.at)
                # A supervisor is struck alone, since all else goes with it, and so is what shall outlast a lease: it
                # begins anew with every runner. Nobody is struck by two at a time.
                alone = _ends_everything(fault) or fault.seconds > LEASE_SECONDS
                taken = _AT_A_TIME if alone else 1
                for _ in range(taken):
                    await slots.acquire()
                strikes.create_task(self._freeing(slots, taken, self._strike(fault)))
            self.told.falls(sys.maxsize)

    async def _freeing(self, slots: asyncio.Semaphore, count: int, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            for _ in range(count):
                slots.release()

    async def _strike(self, fault: Fault) -> None:
        if _ends_everything(fault):
            return await self._restart_everything(fault)
        if fault.target == NODE:
            return await self._part(fault)
        victim = await asyncio.to_thread(self._victim, fault)
        if victim is None:
            self.missed[f"{fault.kind} {fault.target}"] += 1
            return None
        name, process = victim
        self._present.add(name)
        began, started = time.time(), time.monotonic()
        try:
            with suppress(psutil.NoSuchProcess):  # it ended by itself a moment ago
                await self._hit(fault, process)
                await self._back(fault, name, process)
        except AssertionError as error:
            self.complaints.append(f"{fault} ({name}): {error}")
        finally:
            self._present.discard(name)
        self.strikes.append(Strike(fault, name, process.pid, began, time.monotonic() - started))
        return None

    async def _part(self, fault: Fault) -> None:
        """Cut the node off; to it, and to the head, the other is silent."""
        if self.network is None or NODE in self._present:
            self.missed[f"{fault.kind} {fault.target}"] += 1
            return
        self._present.add(NODE)
        began = time.time()
        self.network.cut()
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            self.network.mend()
            self._present.discard(NODE)
        self.strikes.append(Strike(fault, NODE, 0, began, fault.seconds))

    async def _hit(self, fault: Fault, process: psutil.Process) -> None:
        match fault.kind:
            case "kill":
                process.kill()
            case "restart":
                process.terminate()
            case "stop":
                process.suspend()
                try:
                    await asyncio.sleep(fault.seconds)
                finally:
                    process.resume()
            case "full disk":
                _, hard = process.rlimit(resource.RLIMIT_FSIZE)
                process.rlimit(resource.RLIMIT_FSIZE, (_FULL_BYTES, hard))
                try:
                    await asyncio.sleep(fault.seconds)
                finally:
                    process.rlimit(resource.RLIMIT_FSIZE, (hard, hard))
            case "partition":
                raise AssertionError("networks are parted, not processes")

    async def _back(self, fault: Fault, name: str, process: psutil.Process) -> None:
        """Return when the work that the victim does is done again."""
        if fault.kind in ("kill", "restart") and fault.target not in ("zygote", "child"):
            await asyncio.to_thread(eventually, lambda: self._replaced(name, process), "another", seconds=BACK_SECONDS)

    def _replaced(self, name: str, process: psutil.Process) -> bool:
        status = self.project.status()
        [now] = [one for one in status.children if one.name == name] if status is not None else [None]
        return now is not None and now.state == "running" and now.pid != process.pid

    def _victim(self, fault: Fault) -> tuple[str, psutil.Process] | None:
        deadline = time.monotonic() + _VICTIM_SECONDS
        while time.monotonic() < deadline:
            found = [one for one in processes(self.project, fault.target) if one[0] not in self._present]
            if found:
                return found[int(fault.pick * len(found))]
            time.sleep(_LOOK_SECONDS)
        return None

    async def _restart_everything(self, fault: Fault) -> None:
        pid = await asyncio.to_thread(lambda: self.project.pid)
        everybody = psutil.Process(pid).children(recursive=True)
        began, started = time.time(), time.monotonic()
        if fault.kind == "kill":
            await asyncio.to_thread(self.project.kill_supervisor)
        elif code := await asyncio.to_thread(self.project.stop):
            self.complaints.append(f"{fault}: the supervisor ended with {code}")
        _, alive = await asyncio.to_thread(psutil.wait_procs, everybody, timeout=BACK_SECONDS)
        self.complaints += [f"{fault}: {one} outlived the supervisor" for one in alive]
        await asyncio.to_thread(self.project.start)
        self.strikes.append(Strike(fault, SUPERVISOR, pid, began, time.monotonic() - started))


def _ends_everything(fault: Fault) -> bool:
    return fault.target == SUPERVISOR and fault.kind in ("kill", "restart")


def processes(project: RunningProject, target: str) -> list[tuple[str, psutil.Process]]:
    """The living processes of a kind, with their names; those of children and zygotes have their worker's in them."""
    status = project.status()
    if target == SUPERVISOR and status is not None:
        return [(SUPERVISOR, psutil.Process(status.pid))]
    actors = {one.name: one.pid for one in status.children if one.pid is not None} if status is not None else {}
    role = "worker" if target in ("zygote", "child") else target
    found = [(name, pid) for name, pid in sorted(actors.items()) if name.partition(":")[0] == role]
    living = [(name, process) for name, pid in found if (process := _process(pid)) is not None]
    if target == "zygote":
        return [(f"zygote of {name}", one) for name, worker in living for one in _below(worker)]
    if target == "child":
        zygotes = [(name, one) for name, worker in living for one in _below(worker)]
        return [(f"child {one.pid} of {name}", one) for name, zygote in zygotes for one in _below(zygote)]
    return living


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _below(parent: psutil.Process) -> list[psutil.Process]:
    try:
        return parent.children()
    except psutil.NoSuchProcess:
        return []
