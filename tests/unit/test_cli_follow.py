"""Following an execution: its end, its log, its interrupts, and stores that do not answer."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ipc.errors import UnreachableError
from ratchet.bodies.telemetry import LogPage, ReadLogs, StoredLogRecord
from ratchet.cli.follow import LeftRunning, follow
from ratchet.messages import CANCEL_EXECUTION, GET_EXECUTION, READ_LOGS, Procedure
from ratchet.models import Execution, JsonObject, Source, Status

BOUND = 5.0
RUNNING = Execution(
    execution_id="abc",
    task_id="t",
    version="v",
    status=Status.RUNNING,
    input={},
    source=Source(kind="cli"),
    created_ns=0,
)


class Audience:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.notes: list[str] = []
        self.seen: list[JsonObject] = []

    def progress(self, told: JsonObject) -> None:
        self.seen.append(told)

    def records(self, records: Sequence[StoredLogRecord]) -> None:
        self.messages += [record.message for record in records]

    def note(self, text: str) -> None:
        self.notes.append(text)


class Project:
    """A runner and a log-store in a few lines: an execution that ends when told to, a log that grows."""

    def __init__(self) -> None:
        self.execution = RUNNING
        self.ended = asyncio.Event()
        self.log: list[str] = []
        self.grown = asyncio.Event()
        self.log_reads = 0
        self.log_failures = 0
        self.cancelled = asyncio.Event()
        self.on_cancel: Callable[[], None] = lambda: None

    def write(self, message: str) -> None:
        self.log.append(message)
        self.grown.set()

    def end(self, status: Status = Status.COMPLETED) -> None:
        self.execution = RUNNING.model_copy(update={"status": status})
        self.ended.set()

    async def call(
        self,
        procedure: Procedure[Any, Any],
        request: Any,
        *,
        target: str | None = None,
        timeout_seconds: float = 30,
        on_progress: Callable[[JsonObject], None] | None = None,
    ) -> Any:
        if procedure is GET_EXECUTION:
            return await self._get(request.wait_seconds, on_progress)
        if procedure is READ_LOGS:
            return await self._read(request)
        assert procedure is CANCEL_EXECUTION
        self.cancelled.set()
        self.on_cancel()
        return self.execution

    async def _get(self, wait_seconds: float, on_progress: Callable[[JsonObject], None] | None) -> Execution:
        if on_progress is not None:
            on_progress({"status": "running", "current": 1})
        try:
            async with asyncio.timeout(wait_seconds):
                await self.ended.wait()
        except TimeoutError:
            return self.execution
        return self.execution

    async def _read(self, request: ReadLogs) -> LogPage:
        self.log_reads += 1
        if self.log_failures:
            self.log_failures -= 1
            raise UnreachableError("no log-store")
        after = int(request.after or 0)
        if len(self.log) <= after and request.wait_seconds:
            self.grown.clear()
            await self.grown.wait()
        records = [
            StoredLogRecord(sequence=n, at_ns=0, level="info", logger="ctx", message=self.log[n], attempt=1)
            for n in range(after, min(len(self.log), after + 2))
        ]
        end = after + len(records)
        return LogPage(records=records, counts={}, next_cursor=str(end) if end else None, more=end < len(self.log))


async def following(
    project: Project, audience: Audience, interrupts: "asyncio.Queue[None]", wait_seconds: float | None = None
) -> Execution:
    async with asyncio.timeout(BOUND):
        return await follow(project, project.execution, audience, interrupts=interrupts, wait_seconds=wait_seconds)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND):
        while not condition():  # noqa: ASYNC110 - a step of the loop, not a sleep
            await asyncio.sleep(0)


async def test_records_are_told_live_and_the_rest_at_the_end() -> None:
    project, audience = Project(), Audience()
    task = asyncio.create_task(following(project, audience, asyncio.Queue()))
    project.write("first")
    await until(lambda: audience.messages == ["first"])
    for number in range(7):
        project.log.append(f"late {number}")  # the store does not wake the reader: the end has to fetch them
    project.end()
    assert (await task).status is Status.COMPLETED
    assert audience.messages == ["first", *(f"late {number}" for number in range(7))]
    assert audience.seen[0]["current"] == 1


async def test_an_execution_that_ended_before_is_not_waited_for() -> None:
    project, audience = Project(), Audience()
    project.log.append("was here")
    project.end(Status.FAILED)
    assert (await following(project, audience, asyncio.Queue())).status is Status.FAILED
    assert audience.messages == ["was here"]


async def test_the_wait_is_bounded_where_asked() -> None:
    project, audience = Project(), Audience()
    assert (await following(project, audience, asyncio.Queue(), wait_seconds=0.05)).status is Status.RUNNING


async def test_one_interrupt_cancels_and_waits_for_the_end() -> None:
    project, audience, interrupts = Project(), Audience(), asyncio.Queue[None]()
    project.on_cancel = lambda: project.end(Status.CANCELLED)
    task = asyncio.create_task(following(project, audience, interrupts))
    await until(lambda: project.log_reads > 0)
    assert not project.cancelled.is_set()
    interrupts.put_nowait(None)
    assert (await task).status is Status.CANCELLED
    assert any("cancelling abc" in note for note in audience.notes)


async def test_two_interrupts_leave_the_execution_to_itself() -> None:
    project, audience, interrupts = Project(), Audience(), asyncio.Queue[None]()
    task = asyncio.create_task(following(project, audience, interrupts))
    interrupts.put_nowait(None)
    async with asyncio.timeout(BOUND):
        await project.cancelled.wait()
    assert not task.done()
    interrupts.put_nowait(None)
    with pytest.raises(LeftRunning):
        await task


async def test_a_cancel_that_fails_is_said() -> None:
    project, audience, interrupts = Project(), Audience(), asyncio.Queue[None]()

    def refuse() -> None:
        raise UnreachableError("no task-runner")

    project.on_cancel = refuse
    task = asyncio.create_task(following(project, audience, interrupts))
    interrupts.put_nowait(None)
    await until(lambda: any("no task-runner" in note for note in audience.notes))
    project.end()
    assert (await task).status is Status.COMPLETED


async def test_a_log_store_that_is_away_is_asked_again() -> None:
    project, audience = Project(), Audience()
    project.log_failures = 1
    project.log.append("stored")
    task = asyncio.create_task(following(project, audience, asyncio.Queue()))
    await until(lambda: project.log_reads > 0)
    project.end()
    await task
    assert audience.messages == ["stored"]


async def test_a_log_that_cannot_be_read_to_its_end_is_said() -> None:
    project, audience = Project(), Audience()
    project.log_failures = 100
    project.end()
    assert (await following(project, audience, asyncio.Queue())).status is Status.COMPLETED
    assert any("ratchet logs abc" in note for note in audience.notes)


async def test_two_interrupts_at_once_still_ask_the_execution_to_stop() -> None:
    project, audience, interrupts = Project(), Audience(), asyncio.Queue[None]()
    interrupts.put_nowait(None)
    interrupts.put_nowait(None)
    with pytest.raises(LeftRunning):
        await following(project, audience, interrupts)
    assert project.cancelled.is_set()
