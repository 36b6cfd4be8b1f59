"""A question to the caller outlives every process between the task that asks and whoever answers."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from mcp.shared.exceptions import MCPError

from tests.harness import Json, RunningProject, eventually_async, running_project
from tests.integration.agents import agent
from tests.integration.caller_model import CallerModel, Round, rounds_of

TASKS = {
    "asking": """
        from ratchet import Context, task

        @task
        def ask(ctx: Context, prompt: str) -> str:
            '''Ask.'''
            return ctx.llm.complete(prompt).text

        @task(idempotent=True)
        def ask_again(ctx: Context, prompt: str) -> str:
            '''Ask, and ask again where that was cut off.'''
            return ctx.llm.complete(prompt).text
        """
}
EVERYTHING = {"can_execute_tasks": True, "can_read_logs": True, "can_read_traces": True, "allowed_task_patterns": ["*"]}
CONFIG: Json = {
    "llm": {"routes": ["caller"], "caller": {"unattended_seconds": 60}},
    "workers": {"count": 1},
    "mcp": {
        "server": {
            "auth": {
                "type": "api_key",
                "api_keys": [
                    {"key": "${ALICE_KEY}", "name": "alice", "permissions": EVERYTHING},
                    {
                        "key": "${BOB_KEY}",
                        "name": "bob",
                        "permissions": {**EVERYTHING, "rate_limits": {"execute_task": "1/minute"}},
                    },
                ],
            }
        }
    },
}
KEYS = {"ALICE_KEY": "alice-0123456789abcdef", "BOB_KEY": "bob-0123456789abcdef"}
ALICE, BOB = ({"headers": {"X-API-Key": key}} for key in KEYS.values())
BETWEEN = ("log-store", "llm-gateway", "trace-store", "task-runner", "llm-gateway")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[RunningProject]:
    folder = tmp_path_factory.mktemp("survive") / "project"
    async with running_project(folder, tasks=TASKS, config=CONFIG, environ=KEYS) as project:
        yield project


async def kill(world: RunningProject, *names: str) -> None:
    for name in names:
        await asyncio.to_thread(world.kill, name)


async def test_only_who_was_asked_answers_and_answering_is_no_new_execution(world: RunningProject) -> None:
    async with rounds_of(world, **BOB) as bob:
        first = await bob.run("ask", prompt="zero")
        assert isinstance(first, Round)
        async with rounds_of(world, **ALICE) as alice:
            with pytest.raises(MCPError, match="requestState"):
                await alice.again(first, dict.fromkeys(first.texts, "of a stranger"))
        end = await bob.again(first, dict.fromkeys(first.texts, "his own"))
        refused = await bob.run("ask", prompt="one too many")

    assert isinstance(end, dict)
    assert end["output"] == "his own"
    assert isinstance(refused, dict)
    assert refused["error"]["type"] == "rate_limited"


async def test_a_question_that_a_client_carries_survives_all_of_them(world: RunningProject) -> None:
    async with rounds_of(world, **ALICE) as rounds:
        first = await rounds.run("ask", prompt="one")
        assert isinstance(first, Round)

    await kill(world, *BETWEEN, "mcp-front")

    async with rounds_of(world, **ALICE) as rounds:
        end = await rounds.again(first, dict.fromkeys(first.texts, "still here"))
        assert isinstance(end, dict)
        assert (end["status"], end["output"]) == ("completed", "still here")
        late = await rounds.again(first, dict.fromkeys(first.texts, "twice"))
        assert isinstance(late, dict)
        assert (late["output"], "answered before" in str(late["late_answers"])) == ("still here", True)


async def test_a_question_to_a_session_survives_those_behind_the_front_and_is_asked_once(world: RunningProject) -> None:
    model = CallerModel()
    model.hold.clear()
    async with agent(world, ("http", "legacy"), sampling_callback=model, **ALICE) as caller:
        running = asyncio.create_task(caller.run("ask", {"prompt": "two"}))
        await model.was_asked("two")
        await kill(world, *BETWEEN)
        model.hold.set()
        ran = await running

    assert ran.structured["output"] == "TWO"
    assert model.texts == ["two"]


async def test_a_session_that_ends_with_its_front_is_asked_again_in_the_next(world: RunningProject) -> None:
    model = CallerModel()
    model.hold.clear()

    async def ask_and_lose() -> None:
        async with agent(world, ("http", "legacy"), sampling_callback=model, **ALICE) as caller:
            running = asyncio.create_task(caller.run("ask", {"prompt": "three"}))
            await model.was_asked("three")
            await kill(world, "mcp-front")
            await running

    with pytest.raises((BaseExceptionGroup, MCPError, asyncio.CancelledError)):
        await ask_and_lose()
    model.hold.set()
    async with agent(world, ("http", "legacy"), sampling_callback=model, **ALICE) as caller:
        [one] = (await caller.call("list_executions", {"status": "input_required"})).structured["executions"]
        waiting = {"execution_id": one["execution_id"], "wait_seconds": 20}
        end = await caller.call("get_execution_status", waiting)

    assert end.structured["output"] == "THREE"
    assert model.texts == ["three", "three"]


async def test_the_end_of_who_asks_closes_the_question_and_says_so(world: RunningProject) -> None:
    async with rounds_of(world, **ALICE) as rounds:
        first = await rounds.run("ask", prompt="four")
        again = await rounds.run("ask-again", prompt="five")
        assert isinstance(first, Round)
        assert isinstance(again, Round)

        await kill(world, "worker:1")

        end = await rounds.again(first, dict.fromkeys(first.texts, "too late"))
        assert isinstance(end, dict)
        assert (end["status"], end["error"]["category"]) == ("failed", "worker_lost")
        assert "the attempt that asked has ended" in str(end["late_answers"])

        anew = await rounds.again(again, dict.fromkeys(again.texts, "too late"))
        assert isinstance(anew, Round), "the next attempt asks anew"
        assert set(anew.texts).isdisjoint(again.texts)
        done = await rounds.again(anew, dict.fromkeys(anew.texts, "in time"))
        assert isinstance(done, dict)
        assert done["output"] == "in time"


async def test_a_supervisor_that_is_killed_leaves_no_question_open(world: RunningProject) -> None:
    async with rounds_of(world, **ALICE) as rounds:
        first = await rounds.run("ask", prompt="six")
        assert isinstance(first, Round)

    await asyncio.to_thread(world.kill_supervisor)
    await eventually_async(lambda: world.status() is None or None, "it is gone")
    await asyncio.to_thread(world.start)

    async with agent(world, ("http", "auto"), **ALICE) as other:
        [one] = (await other.call("list_executions", {"task_id": "ask", "limit": 1})).structured["executions"]
        await other.call("get_execution_status", {"execution_id": one["execution_id"], "wait_seconds": 20})
    async with rounds_of(world, **ALICE) as rounds:
        end = await rounds.again(first, dict.fromkeys(first.texts, "too late"))
        assert isinstance(end, dict)
        assert (end["status"], end["error"]["category"]) == ("failed", "worker_lost")
        assert "the attempt that asked has ended" in str(end["late_answers"])
        assert (await rounds.plain("get_system_health"))["queue"]["asks_open"] == 0
