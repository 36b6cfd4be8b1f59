"""Tasks that ask the LLM of whoever calls them: in both eras, on every transport, across kills of what is in between."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from typing import Any

import mcp_types as t
import pytest
import pytest_asyncio
from mcp import Client
from mcp.client.sse import sse_client
from mcp.shared.exceptions import MCPError

from tests.harness import Json, RunningProject, eventually_async, running_project
from tests.integration.agents import WAY_IDS, WAYS, Agent, agent
from tests.integration.test_llm_tasks import spans_of

SOON = 20.0
UNATTENDED_SECONDS = 3.0

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


class Model:
    """A client's LLM: what it was asked, and what it says to that.

    Attributes:
        asked: Every request.
        hold: While it is not set, nothing is answered.
        answer: What is said to the text of a question.
    """

    def __init__(self, answer: Callable[[str], str] = str.upper) -> None:
        self.asked: list[t.CreateMessageRequestParams] = []
        self.answer = answer
        self.hold = asyncio.Event()
        self.hold.set()

    async def __call__(
        self, _context: Any, params: t.CreateMessageRequestParams
    ) -> t.CreateMessageResult | t.ErrorData:
        self.asked.append(params)
        await self.hold.wait()
        content = params.messages[-1].content
        assert isinstance(content, t.TextContent)
        if content.text == "no":
            return t.ErrorData(code=-1, message="User rejected sampling request")
        said = t.TextContent(type="text", text=self.answer(content.text))
        return t.CreateMessageResult(role="assistant", content=said, model="caller-1", stop_reason="endTurn")

    @property
    def texts(self) -> list[str]:
        return [one.messages[-1].content.text for one in self.asked]  # type: ignore[union-attr]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[RunningProject]:
    folder = tmp_path_factory.mktemp("caller") / "project"
    async with running_project(folder, tasks=TASKS, config=CONFIG) as project:
        yield project


@pytest.mark.parametrize("way", WAYS, ids=WAY_IDS)
async def test_a_task_asks_the_llm_of_its_caller(world: RunningProject, way: tuple[str, str]) -> None:
    model = Model()
    async with agent(world, way, sampling_callback=model) as caller:
        ran = await caller.run("ask", {"prompts": ["one", "two"]})

    said = [{"text": text, "model": "caller-1", "route": "caller", "failed": []} for text in ("ONE", "TWO")]
    assert ran.structured["output"] == said
    assert model.texts == ["one", "two"]
    assert model.asked[0].system_prompt == "Be short."
    assert model.asked[0].max_tokens == 4096
    spans = [one for one in await spans_of(world, ran.structured["execution_id"]) if one["name"] == "llm.complete"]
    assert [one["attributes"]["gen_ai.response.model"] for one in spans] == ["caller-1", "caller-1"]
    assert [one["attributes"]["ratchet.llm.route"] for one in spans] == ["caller", "caller"]
