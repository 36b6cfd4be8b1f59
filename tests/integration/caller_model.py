"""Clients that can be asked: their LLM, and the rounds of the current protocol one by one."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import mcp_types as t
from mcp import Client

from tests.harness import BOUND_SECONDS, Json, RunningProject

MODEL = "caller-1"


class CallerModel:
    """A client's LLM: what it was asked, and what it says to that. The user refuses what is called "no".

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
        self._news = asyncio.Condition()

    async def __call__(self, context: Any, params: t.CreateMessageRequestParams) -> t.CreateMessageResult | t.ErrorData:
        """The callback of an SDK's client."""
        async with self._news:
            self.asked.append(params)
            self._news.notify_all()
        await self.hold.wait()
        text = _text(params)
        if text == "no":
            return t.ErrorData(code=-1, message="User rejected sampling request")
        return said(self.answer(text))

    async def was_asked(self, text: str, times: int = 1) -> None:
        """Return once it was asked this so often."""
        async with asyncio.timeout(BOUND_SECONDS), self._news:
            await self._news.wait_for(lambda: self.texts.count(text) >= times)

    @property
    def texts(self) -> list[str]:
        """What it was asked."""
        return [_text(one) for one in self.asked]


def said(text: str) -> t.CreateMessageResult:
    """An answer."""
    content = t.TextContent(type="text", text=text)
    return t.CreateMessageResult(role="assistant", content=content, model=MODEL, stop_reason="endTurn")


def _text(params: t.CreateMessageRequestParams) -> str:
    content = params.messages[-1].content
    assert isinstance(content, t.TextContent)
    return content.text


@dataclass(frozen=True)
class Round:
    """A call that is to be made again.

    Attributes:
        arguments: Of the call.
        texts: What is asked, by key.
        state: What the client carries.
    """

    arguments: Json
    texts: dict[str, str]
    state: str

    def changed(self, **given: Any) -> "Round":
        """The same for another call."""
        return replace(self, arguments={**self.arguments, "input": given})

    def forged(self) -> "Round":
        """The same with another state."""
        return replace(self, state=self.state[:-2] + ("AA" if not self.state.endswith("AA") else "BB"))


class Rounds:
    """A client of the current protocol that answers by hand."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def run(self, task_id: str, **given: Any) -> "Round | Json":
        """Execute a task until it ends or asks something."""
        return await self._call({"task_id": task_id, "input": given, "wait_seconds": 20})

    async def again(self, before: Round, answers: Mapping[str, str]) -> "Round | Json":
        """The same call with answers."""
        responses: dict[str, t.InputResponse] = {key: said(text) for key, text in answers.items()}
        return await self._call(before.arguments, input_responses=responses, request_state=before.state)

    async def plain(self, tool: str, **arguments: Any) -> Json:
        """What another tool says."""
        result = await self._client.call_tool(f"ratchet_{tool}", arguments)
        assert result.structured_content is not None
        return result.structured_content

    async def _call(self, arguments: Json, **more: Any) -> "Round | Json":
        result = await self._client.session.call_tool(
            "ratchet_execute_task", arguments, allow_input_required=True, **more
        )
        if isinstance(result, t.InputRequiredResult):
            assert result.input_requests is not None
            assert result.request_state is not None
            texts: dict[str, str] = {}
            for key, one in result.input_requests.items():
                assert isinstance(one, t.CreateMessageRequest)
                texts[key] = _text(one.params)
            return Round(arguments, texts, result.request_state)
        assert isinstance(result, t.CallToolResult)
        assert result.structured_content is not None
        return result.structured_content


@asynccontextmanager
async def rounds_of(project: RunningProject, **options: Any) -> AsyncGenerator[Rounds]:
    """Such a client over HTTP."""
    async with project.client("auto", sampling_callback=CallerModel(), **options) as client:
        yield Rounds(client)
