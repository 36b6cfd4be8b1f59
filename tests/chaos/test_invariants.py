"""What chaos looks for is found where it is: each complaint from evidence in which one thing is wrong."""

from collections import Counter
from dataclasses import replace

import pytest

from ratchet.models import Attempt, Category, Execution, Failure, ProcessEnd, Source, Status
from tests.chaos.evidence import Evidence, Marks
from tests.chaos.faults import Strike
from tests.chaos.invariants import complaints
from tests.chaos.load import Told
from tests.chaos.plan import TARGETS, Fault, schedule

ATTEMPT = Attempt(
    number=1, fence=1, worker="worker:1", pid=7, started_ns=10**10, ended_ns=11 * 10**9, telemetry="complete"
)
EXECUTION = Execution(
    execution_id="exec_a",
    task_id="logging",
    version="v",
    status=Status.COMPLETED,
    input={"number": 5},
    output=5,
    attempts=[ATTEMPT],
    trace=True,
    priority=0,
    idempotent=False,
    source=Source(kind="cli"),
    created_ns=10**10,
    ended_ns=11 * 10**9,
)
KILL = Strike(Fault(1, 1, "kill", "child", 0.0), "child 7 of worker:1", 7, 10.5, 0.1)
DIED = Failure(
    category=Category.CRASHED,
    type="ProcessDied",
    message="killed",
    process=ProcessEnd(process="child", pid=7, signal=9),
)


def found(
    execution: Execution = EXECUTION,
    *,
    ran: int = 1,
    lines: tuple[int, ...] = (0, 1, 2),
    said: int = 3,
    strikes: tuple[Strike, ...] = (),
    accepted: str = "exec_a",
    end: str = "",
) -> str:
    one = ("exec_a", 1)
    evidence = Evidence([execution], Marks(Counter({one: ran}), {one: said}, {}), {one: list(lines)}, {})
    told = Told(accepted={accepted: "logging"}, ends={"exec_a": end or execution.status.value})
    return "; ".join(complaints(told, evidence, strikes))


def failed(failure: Failure, **changes: object) -> Execution:
    attempt = ATTEMPT.model_copy(update={"failure": failure, **changes})
    update = {"status": Status.FAILED, "failure": failure, "output": None, "attempts": [attempt]}
    return EXECUTION.model_copy(update=update)


def test_a_good_run_has_no_complaints() -> None:
    assert not found()
    assert not found(failed(DIED), strikes=(KILL,))


@pytest.mark.parametrize(
    ("complaint", "wrong"),
    [
        ("was accepted and is gone", found(accepted="exec_b")),
        ("was told that it had ended failed", found(end="failed")),
        ("ran 2 times", found(ran=2)),
        ("completed and did not run", found(ran=0)),
        ("is running", found(EXECUTION.model_copy(update={"status": Status.RUNNING}))),
        ("returned 6", found(EXECUTION.model_copy(update={"output": 6}))),
        ("nobody had asked for it", found(EXECUTION.model_copy(update={"status": Status.CANCELLED}))),
        ("untrue: crashed", found(failed(DIED))),
        ("untrue: crashed", found(failed(DIED), strikes=(replace(KILL, pid=8),))),
        ("have a gap", found(lines=(0, 2))),
        ("2 of 3 lines are stored", found(lines=(0, 1))),
        ("twice or out of order", found(lines=(0, 1, 1, 2))),
        ("nothing had happened", found(failed(DIED, telemetry="incomplete"))),
    ],
)
def test_what_is_wrong_is_said(complaint: str, wrong: str) -> None:
    assert complaint in wrong


def test_an_attempt_that_was_never_delivered_must_not_have_run() -> None:
    lost = Failure(category=Category.WORKER_LOST, type="NotDelivered", message="it never got the order")

    assert "recorded as never delivered" in found(failed(lost), strikes=(KILL,))


def test_the_schedule_is_a_function_of_the_seed_and_leaves_nobody_out() -> None:
    assert schedule(10_000, 1) == schedule(10_000, 1) != schedule(10_000, 2)
    assert {one.target for one in schedule(10_000, 1)} == set(TARGETS)
    assert {one.target for one in schedule(2_000, 1, only=["worker"])} == {"worker"}
