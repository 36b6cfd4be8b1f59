"""When an attempt counts as one that its worker never got: a wrong answer makes a task run twice."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

from actors.task_runner.catalogue import Catalogue
from actors.task_runner.dispatcher import Dispatcher
from actors.task_runner.ledger import Ledger
from actors.task_runner.live import Live, new_attempt, with_attempt
from actors.task_runner.workers import Workers
from ipc.link import Link
from ratchet import messages
from ratchet.bodies.attempts import RegisterWorker
from ratchet.config import Config
from ratchet.lifecycle import State
from ratchet.models import Execution, Source, Status, Task
from ratchet.stores.asks import AskStore
from ratchet.stores.database import Database
from ratchet.stores.executions import ExecutionStore

TASK = Task(task_id="t", function="t", path="t.py", version="v", description="", input_schema={}, output_schema={})
EXECUTION = Execution(
    execution_id="exec_a",
    task_id="t",
    version="v",
    status=Status.QUEUED,
    input={},
    trace=True,
    priority=0,
    idempotent=False,
    source=Source(kind="cli"),
    created_ns=1,
)
NOTHING_IN_HAND = RegisterWorker(name="worker:1", incarnation="a", pid=1, slots=1, in_flight=[])


class OneTask:
    """A catalogue of one task."""

    async def find(self, _task_id: str) -> Task:
        return TASK

    def version_now(self, _execution: Execution) -> str:
        return TASK.version

    def name_of(self, _task: Task) -> str:
        return "t.py"


class Silent:
    """A link whose calls are never answered."""

    def __init__(self) -> None:
        self.called = asyncio.Event()

    async def call(self, *_: object, **__: object) -> bytes:
        self.called.set()
        await asyncio.Event().wait()
        return b""


async def test_a_worker_that_registers_while_its_order_is_about_to_leave_does_not_lose_it(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "e.db", store="executions") as database, asyncio.TaskGroup() as group:
        ledger, workers, link = Ledger(ExecutionStore(database), AskStore(database)), Workers(), Silent()
        owned: list[asyncio.Task[Any]] = []

        def spawn(work: Coroutine[Any, Any, Any], name: str) -> None:
            owned.append(group.create_task(work, name=name))

        dispatcher = Dispatcher(
            ledger=ledger,
            catalogue=cast("Catalogue", OneTask()),
            workers=workers,
            link=cast("Link", link),
            incarnation="r",
            config=Config.model_validate({"data_dir": tmp_path}),
            spawn=spawn,
            timeout_of=lambda _: 60.0,
            attempt_ended=lambda _: None,
            lease_of=lambda _: 30.0,
            found_other=lambda _worker, _version: None,
        )
        live = Live(execution=EXECUTION, state=State())
        await ledger.accept(live)
        await dispatcher.register(NOTHING_IN_HAND, slots=1)
        dispatcher.enqueue(live)
        async for seen in live.changes(10):  # the moment in which it is seen to run, and no later
            if seen.status is Status.RUNNING:
                await dispatcher.register(NOTHING_IN_HAND, slots=1)
                break
        async with asyncio.timeout(10):
            await link.called.wait()
        assert [task.get_name() for task in owned] == ["start", "order"]
        for task in owned:
            task.cancel()


def test_what_is_learned_of_an_earlier_attempt_leaves_the_newest_the_current_one() -> None:
    first, second = (new_attempt(fence, worker="worker:1", incarnation="a", version="v") for fence in (1, 2))
    execution = EXECUTION.model_copy(update={"attempts": [first, second]})

    late = with_attempt(execution, first.model_copy(update={"late_end": "it completed"}))

    assert [one.number for one in late.attempts] == [1, 2]
    assert late.attempts[0].late_end == "it completed"


def test_what_a_worker_holds_is_never_said_again_as_it_was() -> None:
    assert not messages.REGISTER_WORKER.idempotent
