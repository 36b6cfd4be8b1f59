"""Records of calls on their way to the audit log."""

import asyncio

import pytest

from actors.mcp_front import audit
from actors.mcp_front.audit import PENDING_MAX, AuditTrail
from ipc.errors import UnreachableError
from ratchet.models import AuditRecord
from ratchet.policy.requests import AppendAudit

BOUND_SECONDS = 10.0


def record(number: int) -> AuditRecord:
    return AuditRecord(
        record_id=f"{number:x}",
        at_ns=number,
        client="alice",
        transport="http",
        tool="execute_task",
        decision="allowed",
        duration_ms=1,
    )


class Log:
    """Takes batches; refuses the first few, or blocks."""

    def __init__(self, *, refusals: int = 0) -> None:
        self.batches: list[list[int]] = []
        self.refusals = refusals
        self.arrived = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    @property
    def taken(self) -> list[int]:
        return [number for batch in self.batches for number in batch]

    async def append(self, request: AppendAudit) -> None:
        await self.open.wait()
        if self.refusals:
            self.refusals -= 1
            raise UnreachableError("the task-runner is restarting")
        self.batches.append([one.at_ns for one in request.records])
        self.arrived.set()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_GATHER_SECONDS", 0.01)
    monkeypatch.setattr(audit, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(audit, "_LAST_SECONDS", 0.2)


async def test_records_of_one_moment_travel_together_and_in_order() -> None:
    log = Log()
    trail = AuditTrail(log.append, enabled=True)
    running = asyncio.create_task(trail.run())
    for number in range(100):
        trail.note(record(number))
    async with asyncio.timeout(BOUND_SECONDS):
        await log.arrived.wait()
    running.cancel()

    assert log.batches == [list(range(100))]


async def test_what_is_not_taken_is_sent_again_until_it_is() -> None:
    log = Log(refusals=3)
    trail = AuditTrail(log.append, enabled=True)
    running = asyncio.create_task(trail.run())
    trail.note(record(1))
    trail.note(record(2))
    async with asyncio.timeout(BOUND_SECONDS):
        await log.arrived.wait()
    running.cancel()

    assert log.taken == [1, 2]
    assert trail.dropped == 0


async def test_the_end_sends_what_is_left() -> None:
    log = Log()
    trail = AuditTrail(log.append, enabled=True)
    for number in range(1200):
        trail.note(record(number))
    await trail.finish()

    assert log.taken == list(range(1200))
    assert len(log.batches) == 3


async def test_the_end_waits_only_a_moment() -> None:
    log = Log()
    log.open.clear()
    trail = AuditTrail(log.append, enabled=True)
    trail.note(record(1))
    async with asyncio.timeout(BOUND_SECONDS):
        await trail.finish()

    assert log.taken == []


async def test_what_finds_no_room_is_counted() -> None:
    trail = AuditTrail(Log().append, enabled=True)
    for number in range(PENDING_MAX + 7):
        trail.note(record(number))

    assert trail.dropped == 7


async def test_nothing_is_recorded_where_there_is_no_audit_log() -> None:
    log = Log()
    trail = AuditTrail(log.append, enabled=False)
    trail.note(record(1))
    await trail.finish()

    assert log.taken == []
