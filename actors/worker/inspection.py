"""Looks into a child while it runs an attempt: what it tells of itself, and what the kernel says of its processes."""

import asyncio
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import structlog
from pydantic import TypeAdapter, ValidationError

from actors.worker.child import Child
from ratchet.bodies.inspection import Frame, OpenSpan, ProcessSample, Stack
from ratchet.models import Model
from ratchet.process import INSPECT_SIGNAL, LINUX, STACK_FILE

log = structlog.stdlib.get_logger("worker")

_ANSWER_SECONDS = 0.3  # what runs Python code answers within a few switches of threads
_SAMPLE_SECONDS = 0.1  # apart, to see whether it uses CPU
_STACK_BYTES_MAX = 64 * 1024
_FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<function>.*)$', re.MULTILINE)


class Told(Model):
    """What a child says of itself."""

    threads: list[Stack]
    coroutines: list[Stack]
    spans: list[OpenSpan]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found."""

    seen: Literal["python", "native", "nothing"]
    told: Told
    process: ProcessSample | None


class Inspector:
    """Asks one child; one question at a time."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._one = asyncio.Lock()
        self._answer: asyncio.Future[Told] | None = None

    def take(self, body: dict[str, Any]) -> None:
        """The child has answered; nothing that it could say is more than ignored."""
        try:
            told = TypeAdapter(Told).validate_python(body)
        except ValidationError as error:
            log.warning("a child sent a malformed inspection", pid=self._child.pid, error=str(error))
            return
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(told)

    async def look(self) -> Look:
        """What the child is doing. It goes on meanwhile."""
        async with self._one:
            before = await asyncio.to_thread(_sample, self._child.pid)
            stack = _StackFile.of(self._child.pid) if LINUX else None
            try:
                seen, told = await self._ask(stack)
            finally:
                if stack is not None:
                    stack.close()
            await asyncio.sleep(_SAMPLE_SECONDS)
            return Look(seen, told, _difference(before, await asyncio.to_thread(_sample, self._child.pid)))

    async def _ask(self, stack: "_StackFile | None") -> tuple[Literal["python", "native", "nothing"], Told]:
        self._answer = asyncio.get_running_loop().create_future()
        self._child.signal(INSPECT_SIGNAL)
        try:
            return "python", await asyncio.wait_for(self._answer, _ANSWER_SECONDS)
        except TimeoutError:
            frames = stack.frames() if stack is not None else []
            threads = [Stack(name="MainThread", frames=frames)] if frames else []
            return "native" if frames else "nothing", Told(threads=threads, coroutines=[], spans=[])


class _StackFile:
    """The file in memory to which a child writes its stack when it can do nothing else."""

    def __init__(self, file: int) -> None:
        self._file = file
        os.ftruncate(file, 0)

    @classmethod
    def of(cls, pid: int) -> "_StackFile | None":
        """That of this process; None where it is gone, or has closed it."""
        with suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                if Path(entry.path).readlink().name == f"memfd:{STACK_FILE} (deleted)":
                    return cls(os.open(entry.path, os.O_RDWR | os.O_NONBLOCK))
        return None

    def frames(self) -> list[Frame]:
        """What was written since it was opened: innermost call first."""
        written = os.pread(self._file, _STACK_BYTES_MAX, 0).decode("ascii", "replace")
        return [Frame(file=f["file"], line=int(f["line"]), function=f["function"]) for f in _FRAME.finditer(written)]

    def close(self) -> None:
        os.close(self._file)


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    process: ProcessSample


def _sample(pid: int) -> _Sample | None:
    """The processes of a child now; None where it has ended."""
    try:
        child = psutil.Process(pid)
        state, threads = child.status(), child.num_threads()
        family = [child, *child.children(recursive=True)]
    except psutil.Error:
        return None
    cpu = memory = 0.0
    for one in family:
        with suppress(psutil.Error), one.oneshot():  # it ended just now
            times = one.cpu_times()
            cpu += times.user + times.system
            memory += one.memory_info().rss
    sample = ProcessSample(
        pid=pid,
        state=str(state),
        cpu_seconds=cpu,
        cpu_share=0.0,
        memory_bytes=int(memory),
        threads=threads,
        processes=len(family),
    )
    return _Sample(time.monotonic(), sample)


def _difference(before: _Sample | None, after: _Sample | None) -> ProcessSample | None:
    if before is None or after is None:
        return None
    seconds = max(after.at - before.at, 0.001)
    share = max(0.0, after.process.cpu_seconds - before.process.cpu_seconds) / seconds
    return after.process.model_copy(update={"cpu_share": round(share, 2)})
