"""Attempts that fail, through the real processes: others follow when and as often as the task says."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ratchet import messages
from ratchet.bodies.executions import CancelExecution, GetExecution, Submit
from ratchet.bodies.telemetry import ReadLogs, ReadSpans
from ratchet.cli.connection import Client, connect
from ratchet.errors import IdempotencyConflictError
from ratchet.execution_ids import new_execution_id
from ratchet.models import Category, Execution, Source, Status
from tests.docs.documents import blocks
from tests.harness import RunningProject, started_project

BOUND_SECONDS = 30
GUIDE = "docs/how-to/retry-a-task.md"

TASKS = {
    "orders": blocks(GUIDE, "python")[0].text,
    "tries": """
        import os, time
        from ratchet import AsyncContext, Context, Permanent, Retry, Retryable, task

        def tries(file: str) -> int:
            with open(file, "a") as marks:
                marks.write(f"{time.monotonic()}\\n")
            return len(open(file).read().split())

        @task(retry=Retry(4, backoff=[0, 0.05], jitter=0, on=ConnectionError, never_on=ConnectionRefusedError))
        def flaky(ctx: Context, file: str, failures: int, refused: bool = False) -> int:
            number = tries(file)
            ctx.log("try", number=number)
            with ctx.span("reach"):
                if number <= failures:
                    raise ConnectionRefusedError("no") if refused else ConnectionResetError(f"reset {number}")
            if failures == 0:
                raise ValueError("not its kind")
            return ctx.attempt

        @task(retry=Retry(2, backoff=600))
        def says_when(file: str, after: float | None = 0.2) -> int:
            number = tries(file)
            if number == 1:
                raise Retryable("the service is busy", after=after)
            raise Permanent("this order was refunded")

        @task(idempotent=True, retry=Retry(2, backoff=0))
        def dies(file: str) -> None:
            tries(file)
            os.write(2, b"about to die\\n")
            os._exit(3)

        @task(idempotent=True, timeout=0.3, retry=Retry(2, backoff=0, on=TimeoutError))
        def hangs_once(file: str) -> str:
            if tries(file) == 1:
                time.sleep(60)
            return "done"

        @task(retry=Retry(5, backoff=[0.4], jitter=0))
        def never(file: str) -> None:
            tries(file)
            raise OSError("never")

        @task(timeout=20)
        def sleeps() -> None:
            time.sleep(60)

        @task(retry=Retry(3, backoff=0))
        async def calls(ctx: AsyncContext, timeout: float | None = None) -> None:
            await ctx.run("sleeps", {}, timeout=timeout)
        """,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    with started_project(tmp_path_factory.mktemp("retries") / "project", tasks=TASKS) as started:
        yield started


def submission(task_id: str, given: dict[str, Any], wait_seconds: float = BOUND_SECONDS, **more: Any) -> Submit:
    return Submit(
        execution_id=new_execution_id(),
        task_id=task_id,
        input=given,
        source=Source(kind="cli"),
        wait_seconds=wait_seconds,
        **more,
    )


async def run(client: Client, task_id: str, given: dict[str, Any], **more: Any) -> Execution:
    return await client.call(messages.SUBMIT, submission(task_id, given, **more), timeout_seconds=2 * BOUND_SECONDS)


async def look(client: Client, execution_id: str, wait_seconds: float = 0) -> Execution:
    request = GetExecution(execution_id=execution_id, wait_seconds=wait_seconds)
    return await client.call(messages.GET_EXECUTION, request, timeout_seconds=2 * BOUND_SECONDS)


async def until_it_waits(client: Client, execution_id: str) -> Execution:
    async with asyncio.timeout(BOUND_SECONDS):
        while (found := await look(client, execution_id)).next_attempt is None:
            assert not found.status.terminal, found
            await asyncio.sleep(0.02)
    return found


def marks(file: Path) -> list[float]:
    return [float(one) for one in file.read_text().split()]


async def test_another_attempt_follows_as_the_policy_says_each_with_its_own_log_and_spans(
    project: RunningProject, tmp_path: Path
) -> None:
    file = tmp_path / "marks"
    async with connect(project.project) as client:
        ended = await run(client, "flaky", {"file": str(file), "failures": 2})
        logs = await client.call(messages.READ_LOGS, ReadLogs(execution_id=ended.execution_id), timeout_seconds=10)
        spans = await client.call(messages.READ_SPANS, ReadSpans(execution_id=ended.execution_id), timeout_seconds=10)

    assert (ended.status, ended.output) == (Status.COMPLETED, 3)
    assert [one.failure and one.failure.message for one in ended.attempts] == ["reset 1", "reset 2", None]
    first, second, third = marks(file)
    assert third - second >= 0.05 > second - first - 0.05
    assert [(one.attempt, one.context["number"]) for one in logs.records] == [(1, 1), (2, 2), (3, 3)]
    assert sorted((one.attempt, one.name, one.status) for one in spans.spans if one.name == "reach") == [
        (1, "reach", "error"),
        (2, "reach", "error"),
        (3, "reach", "ok"),
    ]


async def test_what_the_policy_does_not_cover_is_not_tried_again(project: RunningProject, tmp_path: Path) -> None:
    async with connect(project.project) as client:
        other = await run(client, "flaky", {"file": str(tmp_path / "other"), "failures": 0})
        never = await run(client, "flaky", {"file": str(tmp_path / "never"), "failures": 1, "refused": True})
        spent = await run(client, "flaky", {"file": str(tmp_path / "spent"), "failures": 9})

    assert [len(one.attempts) for one in (other, never, spent)] == [1, 1, 4]
    assert [one.failure and one.failure.gave_up for one in (other, never, spent)] == [
        "its policy does not cover ValueError",
        "its policy does not cover ConnectionRefusedError",
        "it failed 4 times, as often as it may",
    ]


async def test_a_task_says_when_it_wants_to_be_tried_again_and_when_that_is_in_vain(
    project: RunningProject, tmp_path: Path
) -> None:
    file = tmp_path / "marks"
    async with connect(project.project) as client:
        ended = await run(client, "says-when", {"file": str(file)})

    first, second = marks(file)
    assert 0.2 <= second - first < 10
    assert ended.failure is not None
    assert (ended.failure.type, ended.failure.message) == ("Permanent", "this order was refunded")
    assert ended.failure.gave_up == "its policy does not cover Permanent"


async def test_an_execution_that_waits_says_so_and_a_runner_that_restarts_changes_nothing(
    project: RunningProject, tmp_path: Path
) -> None:
    file = tmp_path / "marks"
    async with connect(project.project) as client:
        soon = await run(client, "says-when", {"file": str(file), "after": 4.0}, wait_seconds=0)
        late = await run(client, "says-when", {"file": str(tmp_path / "late"), "after": None}, wait_seconds=0)
        waits, long = await until_it_waits(client, soon.execution_id), await until_it_waits(client, late.execution_id)
    project.kill("task-runner")
    async with connect(project.project) as client:
        again = await look(client, late.execution_id)
        ended = await look(client, soon.execution_id, BOUND_SECONDS)
        assert (await look(client, late.execution_id)).next_attempt == long.next_attempt == again.next_attempt
        cancel = CancelExecution(execution_id=late.execution_id, reason="no use", wait_seconds=10)
        cancelled = await client.call(messages.CANCEL_EXECUTION, cancel, timeout_seconds=20)

    following = waits.next_attempt
    assert following is not None
    assert waits.status is Status.QUEUED
    assert (following.number, following.failed, following.max_attempts) == (2, 1, 2)
    assert following.failure.message == "the service is busy"
    assert waits.waiting_for is not None
    assert waits.waiting_for.startswith("attempt 2 starts at ")
    assert ended.attempts[1].started_ns >= following.starts_ns
    first, second = marks(file)
    assert second - first >= 4.0
    assert (cancelled.status, cancelled.cancel_requested) == (Status.CANCELLED, "no use")
    assert len(cancelled.attempts) == 1


async def test_three_dead_processes_make_it_poison(project: RunningProject, tmp_path: Path) -> None:
    file = tmp_path / "marks"
    async with connect(project.project) as client:
        ended = await run(client, "dies", {"file": str(file)})

    assert len(marks(file)) == 3, "deaths are no failures: max_attempts is 2"
    assert ended.failure is not None
    assert (ended.failure.category, ended.failure.type) == (Category.POISON, "PoisonExecution")
    assert ended.failure.message.startswith("3 processes died under it, so it is not tried again. attempt 1: ")
    assert [one["process"]["exit_code"] for one in ended.failure.details["deaths"]] == [3, 3, 3]
    assert ended.failure.process is not None
    assert "about to die" in ended.failure.process.last_lines


async def test_an_attempt_whose_time_was_up_is_a_timeout_error(project: RunningProject, tmp_path: Path) -> None:
    async with connect(project.project) as client:
        ended = await run(client, "hangs-once", {"file": str(tmp_path / "marks")})

    assert ended.output == "done"
    assert [one.failure and one.failure.category for one in ended.attempts] == [Category.TIMEOUT, None]


async def test_the_callers_time_bounds_all_attempts(project: RunningProject, tmp_path: Path) -> None:
    async with connect(project.project) as client:
        ended = await run(client, "never", {"file": str(tmp_path / "marks")}, timeout_seconds=1.0)

    assert ended.duration_ms is not None
    assert ended.duration_ms < 2_000
    assert 2 <= len(ended.attempts) <= 3
    assert ended.failure is not None
    assert ended.failure.gave_up is not None
    assert ended.failure.gave_up.startswith("the next one would start in 0.4 s, and 0.")


async def test_the_time_of_the_one_that_calls_bounds_the_one_that_is_called(project: RunningProject) -> None:
    async with connect(project.project) as client:
        began = time.monotonic()
        ended = await run(client, "calls", {}, timeout_seconds=1.0)

    assert time.monotonic() - began < 10
    assert ended.status is Status.FAILED
    assert ended.deadline_ns is not None
    assert ended.deadline_ns - ended.created_ns == pytest.approx(1e9, rel=0.01)


async def test_the_example_of_the_guide_does_what_is_said_of_it(project: RunningProject) -> None:
    async with connect(project.project) as client:
        ends = [await run(client, "fetch-order", {"order": f"A-{number}"}) for number in (1, 2, 3, 4)]

    assert [one.output for one in ends] == ["A-1 in attempt 1", "A-2 in attempt 2", "A-3 in attempt 2", None]
    assert ends[3].failure is not None
    assert (ends[3].failure.type, len(ends[3].attempts)) == ("Permanent", 1)


def test_the_tests_of_the_guide_pass(tmp_path: Path) -> None:
    task, test = blocks(GUIDE, "python")
    (tmp_path / "orders.py").write_text(task.text)
    (tmp_path / "test_orders.py").write_text(test.text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "test_orders.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=BOUND_SECONDS, check=False)
    assert done.returncode == 0, done.stdout


async def test_a_key_means_one_execution_whatever_became_of_it(project: RunningProject, tmp_path: Path) -> None:
    given = {"file": str(tmp_path / "marks"), "failures": 9}
    async with connect(project.project) as client:
        both = await asyncio.gather(*(run(client, "flaky", given, idempotency_key="once") for _ in range(2)))
        later = await run(client, "flaky", given, idempotency_key="once")
        assert {one.execution_id for one in both} == {later.execution_id}
        assert len(marks(tmp_path / "marks")) == 4
        for other in ({**given, "failures": 8}, {**given, "failures": 9.0}):
            with pytest.raises(IdempotencyConflictError, match="'once' belongs to"):
                await run(client, "flaky", other, idempotency_key="once")
        with pytest.raises(IdempotencyConflictError):
            await run(client, "never", {"file": given["file"]}, idempotency_key="once")
