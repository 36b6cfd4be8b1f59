"""Tasks that ask the LLM of whoever calls them, in both eras and on every transport."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from mcp import Client
from mcp.client.sse import sse_client
from mcp.shared.exceptions import MCPError

from tests.harness import Json, RunningProject, running_project
from tests.integration.agents import WAY_IDS, WAYS, Agent, agent
from tests.integration.caller_model import CallerModel, Round, rounds_of
from tests.integration.test_llm_tasks import spans_of

UNATTENDED_SECONDS = 2.0

TASKS = {
    "asking": """
        import asyncio
        from typing import Literal
        from pydantic import BaseModel
        from ratchet import AsyncContext, Context, task
        from ratchet.errors import RatchetError

        class Mood(BaseModel):
            mood: Literal["good", "bad"]

        @task
        def ask(ctx: Context, prompts: list[str], route: str | None = "caller") -> list[dict]:
            '''Ask one thing after another.'''
            made = [ctx.llm.complete(prompt, system="Be short.", route=route) for prompt in prompts]
            return [{"text": one.text, "model": one.model, "route": one.route, "failed": one.failed} for one in made]

        @task
        async def ask_at_once(ctx: AsyncContext, prompts: list[str]) -> list[str]:
            '''Ask several things at a time.'''
            made = await asyncio.gather(*(ctx.llm.complete(prompt, route="caller") for prompt in prompts))
            return [one.text for one in made]

        @task
        def mood(ctx: Context) -> Mood:
            '''Ask for something of a form.'''
            return ctx.llm.complete("How is the mood?", schema=Mood, route="caller").parsed

        @task
        def tell(ctx: Context) -> list[str]:
            '''Take an answer in pieces.'''
            return list(ctx.llm.stream("Tell me.", route="caller"))

        @task
        def refused(ctx: Context, prompt: str, timeout: float | None = None) -> dict:
            '''Ask, and say what went wrong.'''
            try:
                ctx.llm.complete(prompt, route="caller", timeout=timeout)
            except RatchetError as error:
                return {"type": type(error).__name__, "code": error.code, "retryable": error.retryable}

        @task
        def above(ctx: Context, prompt: str) -> list:
            '''Call a task that asks.'''
            return ctx.run(ask, {"prompts": [prompt]})
        """
}
CONFIG: Json = {
    "llm": {
        "scripted": [{"answer": "from the script"}],
        "routes": ["caller", "scripted"],
        "caller": {"unattended_seconds": UNATTENDED_SECONDS},
    },
    "mcp": {"server": {"transport": "sse", "expose_tasks": ["ask"]}},
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[RunningProject]:
    folder = tmp_path_factory.mktemp("caller") / "project"
    async with running_project(folder, tasks=TASKS, config=CONFIG) as project:
        yield project


@pytest.mark.parametrize("way", WAYS, ids=WAY_IDS)
async def test_a_task_asks_the_llm_of_its_caller(world: RunningProject, way: tuple[str, str]) -> None:
    model = CallerModel()
    async with agent(world, way, sampling_callback=model) as caller:
        ran = await caller.run("ask", {"prompts": ["one", "two"]})

    [one, two] = ran.structured["output"]
    assert one == {"text": "ONE", "model": "caller-1", "route": "caller", "failed": []}
    assert two["text"] == "TWO"
    assert model.texts == ["one", "two"]
    assert model.asked[0].system_prompt == "Be short."
    assert model.asked[0].max_tokens == 4096
    spans = [one for one in await spans_of(world, ran.structured["execution_id"]) if one["name"] == "llm.complete"]
    assert [one["attributes"]["gen_ai.response.model"] for one in spans] == ["caller-1", "caller-1"]
    assert [one["attributes"]["ratchet.llm.route"] for one in spans] == ["caller", "caller"]


async def test_it_does_so_over_the_older_transport_too(world: RunningProject) -> None:
    model = CallerModel()
    async with Client(sse_client(world.sse_url), mode="legacy", sampling_callback=model) as client:
        ran = await Agent(client).run("ask", {"prompts": ["one"]})

    assert ran.structured["output"][0]["text"] == "ONE"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_task_that_is_a_tool_of_its_own_asks_as_well(world: RunningProject, mode: str) -> None:
    async with world.client(mode, sampling_callback=CallerModel()) as client:
        ran = await client.call_tool("ask", {"prompts": ["one"]})

    assert "ONE" in str(ran.content)
    assert not ran.is_error


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_answers_have_forms_come_in_streams_and_reach_those_who_were_called(
    world: RunningProject, mode: str
) -> None:
    answers = iter(["fine", '{"mood": "good"}'])
    model = CallerModel(lambda _: next(answers))
    async with agent(world, ("http", mode), sampling_callback=model) as caller:
        assert (await caller.run("mood")).structured["output"] == {"mood": "good"}
        assert "JSON Schema" in (model.asked[0].system_prompt or "")
        assert len(model.asked[1].messages) == 3

        model.answer = str.upper
        assert (await caller.run("tell")).structured["output"] == ["TELL ME."]
        assert (await caller.run("above", {"prompt": "below"})).structured["output"][0]["text"] == "BELOW"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_whoever_cannot_be_asked_is_passed_over_at_once(world: RunningProject, mode: str) -> None:
    async with agent(world, ("http", mode)) as caller:
        ran = await caller.run("ask", {"prompts": ["one"], "route": None})
        refused = await caller.run("refused", {"prompt": "one"})

    [made] = ran.structured["output"]
    assert (made["text"], made["failed"]) == ("from the script", [["caller", "llm_no_caller"]])
    assert refused.structured["output"] == {"type": "LlmNoCallerError", "code": "llm_no_caller", "retryable": False}


async def test_a_user_who_refuses_is_not_gone_behind(world: RunningProject) -> None:
    async with agent(world, ("http", "legacy"), sampling_callback=CallerModel()) as caller:
        ran = await caller.run("refused", {"prompt": "no"})

    assert ran.structured["output"]["code"] == "llm_refused"


async def test_what_is_asked_at_one_moment_is_asked_in_one_round_and_answered_once(world: RunningProject) -> None:
    async with rounds_of(world) as rounds:
        first = await rounds.run("ask-at-once", prompts=["one", "two", "three"])
        assert isinstance(first, Round)
        assert sorted(first.texts.values()) == ["one", "three", "two"]
        keys = {text: key for key, text in first.texts.items()}

        second = await rounds.again(first, {keys["one"]: "1", "exec_nobody.1.1.1": "?"})
        assert isinstance(second, Round)
        assert sorted(second.texts.values()) == ["three", "two"]

        end = await rounds.again(second, {keys["one"]: "not again", keys["two"]: "2", keys["three"]: "3"})
        assert isinstance(end, dict)
        assert end["output"] == ["1", "2", "3"]
        assert "answered before" in str(end["late_answers"])

        listed = await rounds.plain("list_executions", task_id="ask-at-once")
        assert len(listed["executions"]) == 1, "a call that is made again begins nothing"


async def test_what_a_client_carries_is_of_use_for_this_call_alone(world: RunningProject) -> None:
    async with rounds_of(world) as rounds:
        first = await rounds.run("ask", prompts=["one"])
        assert isinstance(first, Round)
        for changed in (first.changed(prompts=["other"]), first.forged()):
            with pytest.raises(MCPError, match="requestState"):
                await rounds.again(changed, {})
        end = await rounds.again(first, dict.fromkeys(first.texts, "1"))
        assert isinstance(end, dict)
        assert end["output"][0]["text"] == "1"


async def test_a_client_that_would_give_up_after_ten_rounds_is_told_how_to_go_on(world: RunningProject) -> None:
    model = CallerModel()
    async with agent(world, ("http", "auto"), sampling_callback=model) as caller:
        ran = await caller.run("ask", {"prompts": [f"q{number}" for number in range(12)]})
        assert ran.structured["status"] == "input_required"
        assert "get_execution_status" in ran.structured["next"]

        execution_id = ran.structured["execution_id"]
        end = await caller.call("get_execution_status", {"execution_id": execution_id, "wait_seconds": 20})

    assert [one["text"] for one in end.structured["output"]] == [f"Q{number}" for number in range(12)]
    assert len(model.asked) == 12


async def test_what_is_asked_shows_everywhere_and_a_cancel_ends_it(world: RunningProject) -> None:
    async with rounds_of(world) as rounds:
        first = await rounds.run("above", prompt="is it late?")
        assert isinstance(first, Round)
        [root] = (await rounds.plain("list_executions", task_id="above", limit=1))["executions"]
        status = await rounds.plain("get_execution_status", execution_id=root["execution_id"])
        assert (status["status"], status["asks"][0]["text"]) == ("running", "is it late?")
        below = status["asks"][0]["execution_id"]

        asking = await rounds.plain("list_executions", status="input_required")
        assert [one["execution_id"] for one in asking["executions"]] == [below]
        assert asking["executions"][0]["asks"][0]["text"] == "is it late?"
        health = await rounds.plain("get_system_health")
        assert (health["queue"]["asks_open"], health["queue"]["input_required"]) == (1, 1)

        await rounds.plain("cancel_execution", execution_id=root["execution_id"])
        end = await rounds.again(first, dict.fromkeys(first.texts, "no"))
        assert isinstance(end, dict)
        assert end["status"] == "cancelled"
        assert len(end["late_answers"]) == 1
        assert "no longer waits" in str(end["late_answers"]) or "has ended" in str(end["late_answers"])


async def test_a_question_is_given_up_when_its_task_gives_up_or_nobody_is_there_any_more(
    world: RunningProject,
) -> None:
    model = CallerModel()
    model.hold.clear()
    async with agent(world, ("http", "legacy"), sampling_callback=model) as caller:
        ran = await caller.run("refused", {"prompt": "one", "timeout": 0.5})
        assert ran.structured["output"]["code"] == "llm_timeout"
        assert (await caller.call("get_system_health")).structured["queue"]["asks_open"] == 0

        leaving = asyncio.create_task(caller.run("ask", {"prompts": ["two"], "route": None}))
        await model.was_asked("two")
    with pytest.raises((asyncio.CancelledError, MCPError)):
        await leaving
    async with agent(world, ("http", "auto")) as other:
        [one] = (await other.call("list_executions", {"task_id": "ask", "limit": 1})).structured["executions"]
        waiting = {"execution_id": one["execution_id"], "wait_seconds": 20}
        end = await other.call("get_execution_status", waiting)
    assert end.structured["output"][0]["failed"] == [["caller", "llm_no_caller"]]
