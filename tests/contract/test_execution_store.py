"""What the task-runner relies on in a store of executions, on every driver."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ratchet.bodies.attempts import FileDescription
from ratchet.bodies.executions import ListExecutions
from ratchet.errors import IdempotencyConflictError, RequestError
from ratchet.models import Attempt, Category, Execution, Failure, Lineage, ProcessEnd, Progress, Source, Status, Task
from ratchet.stores.database import Database
from ratchet.stores.executions import ExecutionStore

Open = Callable[[], AbstractAsyncContextManager[ExecutionStore]]


@pytest.fixture(params=["sqlite"])
def open_store(tmp_path: Path) -> Open:
    """Opens the same store each time it is called, as a restarted runner would."""

    @asynccontextmanager
    async def sqlite() -> AsyncGenerator[ExecutionStore]:
        async with Database.open(tmp_path / "executions.db", store="executions") as database:
            yield ExecutionStore(database)

    return sqlite


@pytest.fixture
async def store(open_store: Open) -> AsyncGenerator[ExecutionStore]:
    async with open_store() as opened:
        yield opened


def execution(execution_id: str = "e1", **fields: Any) -> Execution:
    defaults: dict[str, Any] = {
        "execution_id": execution_id,
        "task_id": "validate-csv",
        "version": "v1",
        "status": Status.QUEUED,
        "input": {"path": "a.csv"},
        "source": Source(kind="cli"),
        "created_ns": 1_000,
    }
    return Execution.model_validate({**defaults, **fields})


def running(execution_id: str = "e1", **fields: Any) -> Execution:
    return execution(execution_id, status=Status.RUNNING, started_ns=2_001, **fields)


def attempt(fence: int = 1, **fields: Any) -> Attempt:
    return Attempt.model_validate({"number": fence, "fence": fence, "started_ns": 2_000 + fence, **fields})


LOST = Failure(
    category=Category.WORKER_LOST,
    type="WorkerDied",
    message="worker:1 was killed",
    process=ProcessEnd(process="worker:1", pid=7, signal=9, signal_name="SIGKILL", last_lines=["…", "\x00odd"]),
)


async def test_an_execution_comes_back_as_it_was_recorded(store: ExecutionStore):
    full = execution(
        status=Status.RUNNING,
        input={"text": "snow ☃, nul \x00", "nested": [1, 2.5, None, {"a": True}], "big": 2**80},
        progress=Progress(current=1, total=2, message="half", at_ns=5),
        trace=False,
        priority=-3,
        idempotent=True,
        idempotency_key="k1",
        metadata={"retry_reason": "because"},
        source=Source(kind="mcp", client="alice", session_id="s", client_info={"name": "host"}),
        started_ns=1_500,
        attempts=[attempt(worker="worker:1", worker_incarnation="abc", pid=42)],
    )

    assert await store.insert(full, full.attempts[0])

    assert await store.get("e1") == full


async def test_recording_the_same_id_twice_changes_nothing(store: ExecutionStore):
    assert await store.insert(execution(input={"n": 1}))

    assert not await store.insert(execution(input={"n": 2}), attempt())

    found = await store.get("e1")
    assert found is not None
    assert (found.input, found.status, found.attempts) == ({"n": 1}, Status.QUEUED, [])


async def test_a_number_that_no_column_can_hold_is_refused_and_not_a_fault(store: ExecutionStore):
    with pytest.raises(RequestError, match="64 bits"):
        await store.insert(execution(priority=2**64))


async def test_an_unknown_execution_is_none(store: ExecutionStore):
    assert await store.get("nowhere") is None
    assert await store.find_idempotency("local", "nothing") is None


async def test_an_idempotency_key_belongs_to_its_client(store: ExecutionStore):
    await store.insert(execution("e1", idempotency_key="k", source=Source(kind="mcp", client="alice")))
    await store.insert(execution("e2", idempotency_key="k", source=Source(kind="mcp", client="bob")))

    with pytest.raises(IdempotencyConflictError, match=r"'alice'.*'k'"):
        await store.insert(execution("e3", idempotency_key="k", source=Source(kind="cli", client="alice")))

    found = await store.find_idempotency("bob", "k")
    assert found is not None
    assert found.execution_id == "e2"
    assert await store.get("e3") is None


async def test_an_attempt_starts_only_from_the_queue_and_with_a_larger_fence(store: ExecutionStore):
    await store.insert(execution())

    assert await store.start_attempt("e1", attempt(1), version="v2")
    assert not await store.start_attempt("e1", attempt(2), version="v2"), "it runs already"
    assert await store.requeue("e1", 1, attempt(1, ended_ns=3_000, failure=LOST))
    assert not await store.start_attempt("e1", attempt(1), version="v2"), "the fence was used"
    assert await store.start_attempt("e1", attempt(2), version="v2")

    found = await store.get("e1")
    assert found is not None
    assert (found.status, found.version) == (Status.RUNNING, "v2")
    assert found.started_ns == 2_001, "the first start counts"
    assert found.attempts == [attempt(1, ended_ns=3_000, failure=LOST), attempt(2)]


async def test_exactly_one_of_many_simultaneous_ends_is_recorded(store: ExecutionStore):
    await store.insert(running(), attempt())

    async def finish(number: int) -> bool:
        ended = attempt(ended_ns=number)
        return await store.finish(
            "e1", 1, status=Status.COMPLETED, ended_ns=number, output={"winner": number}, attempt=ended
        )

    took_effect = await asyncio.gather(*(finish(number) for number in range(50)))

    assert sum(took_effect) == 1
    winner = took_effect.index(True)
    found = await store.get("e1")
    assert found is not None
    assert (found.output, found.ended_ns, found.attempts[0].ended_ns) == ({"winner": winner}, winner, winner)


@pytest.mark.parametrize("output", [None, 0, False, "", [], {}, "null", 1.5, {"a": [None]}, 2**70])
async def test_any_output_comes_back_with_its_type(store: ExecutionStore, output: Any):
    await store.insert(running(), attempt())

    await store.finish("e1", 1, status=Status.COMPLETED, ended_ns=9, output=output, attempt=attempt())

    found = await store.get("e1")
    assert found is not None
    assert found.output == output
    assert type(found.output) is type(output)


async def test_a_failure_is_recorded_with_its_attempt(store: ExecutionStore):
    await store.insert(running(), attempt())
    ended = attempt(ended_ns=9, failure=LOST, stopped_by="kill", telemetry="incomplete")
    progress = Progress(current=3, at_ns=8)

    assert await store.finish("e1", 1, status=Status.FAILED, ended_ns=9, failure=LOST, progress=progress, attempt=ended)

    found = await store.get("e1")
    assert found is not None
    assert (found.status, found.failure, found.progress, found.attempts) == (Status.FAILED, LOST, progress, [ended])


async def test_the_end_of_an_attempt_that_was_given_up_changes_nothing(store: ExecutionStore):
    await store.insert(running(), attempt(1))
    await store.requeue("e1", 1, attempt(1, failure=LOST))

    async def finish_late() -> bool:
        return await store.finish("e1", 1, status=Status.COMPLETED, ended_ns=9, output=1, attempt=attempt(1))

    assert not await finish_late(), "it is queued"
    await store.start_attempt("e1", attempt(2), version="v2")
    assert not await finish_late(), "another attempt runs"
    assert not await store.requeue("e1", 1, attempt(1))

    found = await store.get("e1")
    assert found is not None
    assert (found.status, found.attempts) == (Status.RUNNING, [attempt(1, failure=LOST), attempt(2)])


async def test_a_queued_execution_can_end_without_an_attempt_but_a_running_one_cannot(store: ExecutionStore):
    await store.insert(execution("queued"))
    await store.insert(running("running"), attempt())

    assert await store.finish("queued", 0, status=Status.CANCELLED, ended_ns=9)
    assert not await store.finish("running", 1, status=Status.CANCELLED, ended_ns=9)

    assert await store.counts() == {
        "queued": 0,
        "running": 1,
        "input_required": 0,
        "completed": 0,
        "failed": 0,
        "cancelled": 1,
    }


async def test_a_cancel_is_noted_once_and_never_after_the_end(store: ExecutionStore):
    await store.insert(running(), attempt())

    assert await store.set_cancel_requested("e1", "first")
    assert not await store.set_cancel_requested("e1", "second")
    await store.insert(execution("e2"))
    await store.finish("e2", 0, status=Status.CANCELLED, ended_ns=9)
    assert not await store.set_cancel_requested("e2", "late")

    found = await store.get("e1")
    assert found is not None
    assert found.cancel_requested == "first"


async def test_a_restarted_runner_finds_what_is_unfinished_oldest_first(open_store: Open):
    async with open_store() as before:
        await before.insert(running("done", created_ns=1), attempt())
        await before.finish("done", 1, status=Status.COMPLETED, ended_ns=9, attempt=attempt())
        await before.insert(execution("young", created_ns=30))
        await before.insert(running("old", created_ns=20), attempt())

    async with open_store() as after:
        found = await after.unfinished()
        assert [one.execution_id for one in found] == ["old", "young"]
        assert found[0].attempts == [attempt()]
        assert (await after.counts())["completed"] == 1


async def test_hundreds_of_simultaneous_writers_all_get_their_answer(store: ExecutionStore):
    async def life(number: int) -> bool:
        execution_id = f"e{number}"
        await store.insert(execution(execution_id, created_ns=number))
        assert await store.start_attempt(execution_id, attempt(), version="v2")
        return await store.finish(
            execution_id, 1, status=Status.COMPLETED, ended_ns=9, output=number, attempt=attempt()
        )

    assert all(await asyncio.gather(*(life(number) for number in range(400))))

    assert (await store.counts())["completed"] == 400
    found = await store.get("e250")
    assert found is not None
    assert found.output == 250


def description(task_id: str) -> FileDescription:
    task = Task(task_id=task_id, function="f", path=f"/t/{task_id}.py", version="v", input_schema={"type": "object"})
    return FileDescription(version="v", files=[task.path], tasks=[task])


async def test_the_catalogue_is_what_was_saved_last(open_store: Open):
    async with open_store() as store:
        await store.save_catalogue({"/t/a.py": description("a"), "/t/b.py": description("b")})
        await store.save_catalogue({"/t/b.py": description("b2"), "/t/c.py": description("c")})

    async with open_store() as store:
        assert await store.load_catalogue() == {"/t/b.py": description("b2"), "/t/c.py": description("c")}
        await store.save_catalogue({})
        assert await store.load_catalogue() == {}


async def test_a_list_is_newest_first_without_outputs(store: ExecutionStore):
    for number in range(3):
        await store.insert(running(f"e{number}", created_ns=number), attempt())
        await store.finish(f"e{number}", 1, status=Status.COMPLETED, ended_ns=9, output="large", attempt=attempt())

    newest = await store.list(ListExecutions())
    oldest = await store.list(ListExecutions(sort="oldest", limit=2))

    assert [one.execution_id for one in newest.executions] == ["e2", "e1", "e0"]
    assert newest.next_cursor is None
    assert [one.output for one in newest.executions] == [None] * 3
    assert [one.attempts for one in newest.executions] == [[attempt()]] * 3
    assert [one.execution_id for one in oldest.executions] == ["e0", "e1"]
    assert oldest.next_cursor is not None


async def test_a_page_of_large_inputs_is_cut_short_and_goes_on(store: ExecutionStore):
    for number in range(5):
        await store.insert(execution(f"e{number}", created_ns=number, input={"text": "x" * 600_000}))

    seen: list[str] = []
    cursor: str | None = None
    for _ in range(10):
        page = await store.list(ListExecutions(cursor=cursor))
        assert len(page.executions) <= 2
        seen += [one.execution_id for one in page.executions]
        if (cursor := page.next_cursor) is None:
            break

    assert seen == ["e4", "e3", "e2", "e1", "e0"]


@pytest.mark.parametrize("cursor", ["", "x", "é", "bm90IGpzb24", "WyJvbGRlc3QiLDEsImUiXQ", "WzFd", "W251bGwsIHt9XQ"])
async def test_a_cursor_of_something_else_is_refused(store: ExecutionStore, cursor: str):
    with pytest.raises(RequestError, match="start over"):
        await store.list(ListExecutions(cursor=cursor))


async def test_a_limit_below_one_is_refused(store: ExecutionStore):
    with pytest.raises(RequestError, match="limit is 0"):
        await store.list(ListExecutions(limit=0))


async def test_times_beyond_what_is_stored_are_no_error(store: ExecutionStore):
    await store.insert(execution())

    page = await store.list(ListExecutions(since_ns=-(10**30), until_ns=10**30))

    assert len(page.executions) == 1


async def test_what_was_called_is_found_from_its_parent_and_from_its_root(store: ExecutionStore):
    child = Lineage(parent_id="e1", parent_attempt=1, root_id="e1", depth=1, span_id="0123456789abcdef")
    grandchild = Lineage(parent_id="e2", parent_attempt=2, root_id="e1", depth=2)
    await store.insert(execution("e1", created_ns=1))
    await store.insert(execution("e2", created_ns=2, lineage=child))
    await store.insert(execution("e3", created_ns=3, lineage=grandchild))
    found = await store.get("e2")
    assert found is not None
    assert found.lineage == child

    async def ids(**wanted: object) -> list[str]:
        page = await store.list(ListExecutions.model_validate({**wanted, "sort": "oldest"}))
        return [one.execution_id for one in page.executions]

    assert await ids(root_id="e1") == ["e2", "e3"]
    assert await ids(parent_id="e1") == ["e2"]
    assert await ids(parent_id="e2", status=["queued"]) == ["e3"]
