"""What a question to the caller keeps to, whoever asks and answers it, and whatever restarts; with its store."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.task_runner.asks import AskDesk
from actors.task_runner.callers import Callers
from actors.task_runner.ledger import Ledger
from actors.task_runner.live import Live
from ipc.link import Request
from ratchet.bodies.asks import AnswerAsk, AskCaller, ReadAsks, Said, Sampling, WithdrawAsks
from ratchet.errors import (
    ForbiddenError,
    LlmNoCallerError,
    LlmRefusedError,
    LlmTimeoutError,
    LlmUnavailableError,
    RatchetError,
    StaleFenceError,
    UnknownAskError,
    UnknownExecutionError,
)
from ratchet.lifecycle import Ended, State
from ratchet.llm.bodies import ChatMessage
from ratchet.models import Attempt, Category, Execution, Failure, Source, Status
from ratchet.policy.client import Client
from ratchet.stores.asks import AskStore
from ratchet.stores.database import Database
from ratchet.stores.executions import ExecutionStore

ALICE, MALLORY = Client(name="alice"), Client(name="mallory")
KEY = "e1.1.7.1"
SAID = Said(text="yes", model="m")
SECOND_NS = 1_000_000_000


def request(source: str = "mcp-front") -> Request:
    return Request(source, "", b"", None, None, print)


def question(key: str = KEY, **more: Any) -> AskCaller:
    sampling = Sampling(messages=[ChatMessage(role="user", content="may I?")], max_tokens=9)
    fields = {"execution_id": "e1", "fence": 1, "call_id": 7, "key": key, "request": sampling, "timeout_seconds": 60}
    return AskCaller.model_validate({**fields, **more})


class World:
    """A runner's part that keeps questions, with a clock of its own.

    Attributes:
        now_ns: The clock.
    """

    def __init__(self, database: Database) -> None:
        self.now_ns = SECOND_NS
        self.store = ExecutionStore(database)
        self.asks = AskStore(database)
        self.ledger = Ledger(self.store, self.asks)
        self.callers = Callers(15, lambda: self.now_ns / SECOND_NS)
        self.desk = AskDesk(self.ledger, self.asks, self.callers, lambda: self.now_ns)

    async def run(self) -> Live:
        """An execution of Alice's that runs, with Alice at hand."""
        attempt = Attempt(number=1, fence=1, started_ns=1, worker="worker:1")
        execution = Execution(
            execution_id="e1",
            task_id="ask",
            version="v",
            status=Status.RUNNING,
            input={},
            source=Source(kind="mcp", client="alice"),
            created_ns=1,
            attempts=[attempt],
        )
        live = Live(execution=execution, state=State(status=Status.RUNNING, fence=1))
        assert await self.ledger.accept(live)
        self.callers.seen("e1")
        return live

    async def ask(self, **more: Any) -> "asyncio.Task[Said]":
        """The answer to come, once the question is open."""
        asking = asyncio.create_task(self.desk.ask(question(**more), request("llm-gateway")))
        while self.ledger.live["e1"].execution.status is not Status.INPUT_REQUIRED:
            await self.asks.get(KEY)  # takes a moment
            assert not asking.done()
        return asking

    async def answer(self, client: Client | None = ALICE, **more: Any) -> tuple[bool, str]:
        fields = {"client": client, "key": KEY, "said": SAID}
        taken = await self.desk.answer(AnswerAsk.model_validate({**fields, **more}), request())
        return taken.taken, taken.state


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[World]:
    async with Database.open(folder / "executions.db", store="executions") as database:
        yield World(database)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    async with opened(tmp_path) as made:
        yield made


async def test_the_first_answer_counts_and_the_execution_runs_again(world: World) -> None:
    live = await world.run()
    asking = await world.ask()
    stored = await world.store.get("e1")
    assert stored is not None
    assert (live.execution.status, stored.status) == (Status.INPUT_REQUIRED, Status.INPUT_REQUIRED)
    assert [one.text for one in live.execution.asks] == ["may I?"]

    answers = await asyncio.gather(world.answer(), world.answer(said=Said(text="no", model="m")))

    assert answers == [(True, "open"), (False, "answered")]
    assert await asking == SAID
    stored = await world.store.get("e1")
    assert stored is not None
    assert (live.execution.status, stored.status, live.execution.asks) == (Status.RUNNING, Status.RUNNING, [])
    assert await world.desk.ask(question(), request("llm-gateway")) == SAID, "the same question has the same answer"


async def test_an_answer_reaches_the_task_though_who_brought_it_left_while_it_was_recorded(world: World) -> None:
    await world.run()
    asking = await world.ask()
    bringing = asyncio.create_task(world.answer())
    for _ in range(3):
        await asyncio.sleep(0)  # the commit is under way then
    bringing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bringing
    async with asyncio.timeout(5):
        assert await asking == SAID
    assert len(world.desk) == 0


async def test_only_the_owner_reads_and_answers(world: World) -> None:
    await world.run()
    asking = await world.ask()

    assert await world.answer(MALLORY) == (False, "unknown")
    with pytest.raises(UnknownExecutionError):
        await world.desk.read(ReadAsks(client=MALLORY, execution_id="e1"), request())
    with pytest.raises(ForbiddenError):
        await world.answer(None)
    assert await world.answer(key="e1.1.7.2") == (False, "unknown")
    assert not asking.done()
    assert [one.key for one in (await world.desk.read(ReadAsks(client=ALICE, execution_id="e1"), request())).asks] == [
        KEY
    ]
    assert await world.answer() == (True, "open")


@pytest.mark.parametrize(("problem", "error"), [("refused", LlmRefusedError), ("unavailable", LlmUnavailableError)])
async def test_a_caller_that_gives_no_answer_says_why(world: World, problem: str, error: type[RatchetError]) -> None:
    await world.run()
    asking = await world.ask()
    await world.answer(said=None, problem=problem, reason="as I like")
    with pytest.raises(error, match="as I like"):
        await asking


async def test_a_question_is_given_up_when_its_time_is_over_or_nobody_is_there(world: World) -> None:
    await world.run()
    first = await world.ask()
    world.now_ns += 14 * SECOND_NS
    await world.desk.tick()
    assert not first.done()
    world.now_ns += 2 * SECOND_NS
    await world.desk.tick()
    with pytest.raises(LlmNoCallerError, match="unattended_seconds"):
        await first
    with pytest.raises(LlmNoCallerError, match="nobody who could be asked"):
        await world.desk.ask(question("e1.1.7.2"), request("llm-gateway"))

    with world.callers.waiting("e1", able=True):
        second = await world.ask(key="e1.1.7.3")
        world.now_ns += 59 * SECOND_NS
        await world.desk.tick()
        assert not second.done()
        world.now_ns += 2 * SECOND_NS
        await world.desk.tick()
        with pytest.raises(LlmTimeoutError, match="60 s"):
            await second
    assert await world.answer() == (False, "unattended")


async def test_one_that_a_client_carries_waits_for_it(world: World) -> None:
    await world.run()
    asking = await world.ask()
    await world.desk.read(ReadAsks(client=ALICE, execution_id="e1", carried=True), request())
    world.now_ns += 50 * SECOND_NS
    await world.desk.tick()
    assert await world.answer() == (True, "open")
    assert await asking == SAID


async def test_the_end_of_the_attempt_and_of_the_call_close_it(world: World) -> None:
    live = await world.run()
    withdrawn = await world.ask()
    await world.desk.withdraw(WithdrawAsks(execution_id="e1", fence=1, call_id=7), request("worker:2"))
    assert len(world.desk) == 1, "another worker has no say in it"
    await world.desk.withdraw(WithdrawAsks(execution_id="e1", fence=1, call_id=7), request("worker:1"))
    with pytest.raises(LlmUnavailableError, match="no longer waits"):
        await withdrawn

    asking = await world.ask(key="e1.1.7.2")
    assert live.attempt is not None
    failure = Failure(category=Category.WORKER_LOST, type="WorkerDied", message="it was killed")
    await world.ledger.apply(live, Ended(1, failure), attempt=live.attempt)
    world.desk.attempt_ended(live)

    with pytest.raises(StaleFenceError):
        await asking
    assert await world.answer(key="e1.1.7.2") == (False, "ended")
    with pytest.raises(StaleFenceError):
        await world.desk.ask(question("e1.1.7.3"), request("llm-gateway"))


async def test_a_runner_that_starts_anew_finds_it_open_and_asks_nothing_twice(tmp_path: Path) -> None:
    async with opened(tmp_path) as before:
        await before.run()
        left = await before.ask()
        left.cancel()
    async with opened(tmp_path) as after:
        await after.desk.restore(await after.ledger.restore())
        assert after.ledger.live["e1"].state.asks == {KEY}
        again = asyncio.create_task(after.desk.ask(question(resume=True), request("llm-gateway")))
        with pytest.raises(UnknownAskError):
            await after.desk.ask(question("e1.1.7.2", resume=True), request("llm-gateway"))
        assert await after.answer() == (True, "open")
        assert await again == SAID
        assert after.ledger.live["e1"].execution.status is Status.RUNNING
