"""A task that asks is tested without anybody to ask."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from ratchet import AsyncContext, Context, task
from ratchet.errors import (
    CallError,
    LlmAnswerError,
    LlmNotConfiguredError,
    LlmRateLimitedError,
    McpToolError,
    McpUnknownServerError,
    McpUnknownToolError,
)
from ratchet.testing import RecordingContext, Rule, run_task


class City(BaseModel):
    name: str


@task
def ask(ctx: Context, country: str) -> City:
    return ctx.llm.complete(f"The capital of {country}?", schema=City).parsed


@task
async def ask_both(ctx: AsyncContext) -> list[str]:
    made = await asyncio.gather(ctx.llm.complete("one"), ctx.llm.complete("two"))
    return [one.text for one in made]


def test_a_script_answers_and_the_span_says_what_it_took() -> None:
    context = RecordingContext(llm=[Rule(pattern=r"capital of (\w+)", answer=r'{"name": "\1 City"}')])

    assert run_task(ask, {"country": "Panama"}, context=context) == {"name": "Panama City"}
    [span] = context.spans
    assert (span.name, span.kind, span.attributes["ratchet.llm.route"]) == ("llm.complete", "client", "scripted")
    assert "Panama" not in str(span.attributes)


def test_an_asynchronous_task_is_answered_too() -> None:
    assert run_task(ask_both, context=RecordingContext(llm=[Rule(pattern="(one|two)", answer=r"\1!")])) == [
        "one!",
        "two!",
    ]


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ([Rule(error="rate_limited")], LlmRateLimitedError),
        ([Rule(answer="Paris")], LlmAnswerError),
        ([Rule(answer='{"city": 1}')], LlmAnswerError),
        ([], LlmNotConfiguredError),
    ],
)
def test_failures_are_as_real_ones(rules: list[Rule], error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(RecordingContext(llm=rules), country="Peru")


def test_functions_stand_in_for_the_tools_of_servers() -> None:
    def lookup(arguments: dict[str, Any]) -> Any:
        """Find words."""
        if not arguments:
            raise ValueError("which words?")
        return {"found": arguments["words"]}

    context = RecordingContext(mcp={"search": {"lookup": lookup}})

    assert context.mcp.call_tool("search", "lookup", {"words": "x"}).structured == {"found": "x"}
    assert [server.name for server in context.mcp.list_servers()] == ["search"]
    assert [tool.description for tool in context.mcp.list_tools("search")] == ["Find words."]
    with pytest.raises(McpToolError, match="which words"):
        context.mcp.call_tool("search", "lookup")
    with pytest.raises(McpUnknownToolError):
        context.mcp.call_tool("search", "look")
    with pytest.raises(McpUnknownServerError):
        context.mcp.list_tools("other")


@task
def tell(ctx: Context) -> list[str]:
    stream = ctx.llm.stream("Tell me.")
    pieces = list(stream)
    assert stream.completion is not None
    return [*pieces, stream.completion.route]


@task
async def tell_async(ctx: AsyncContext) -> list[str]:
    return [piece async for piece in ctx.llm.stream("Tell me.")]


def test_an_answer_in_pieces_is_scripted_as_well() -> None:
    context = RecordingContext(llm=[Rule(answer="one two")])

    assert run_task(tell, context=context) == ["one ", "two", "scripted"]
    assert [span.name for span in context.spans] == ["llm.stream"]
    assert run_task(tell_async, context=context) == ["one ", "two"]
    with pytest.raises(LlmRateLimitedError):
        run_task(tell, context=RecordingContext(llm=[Rule(error="rate_limited")]))


def test_a_context_of_no_execution_asks_nobody() -> None:
    context = Context(RecordingContext()._sink, execution_id="e", task_id="t")  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(CallError):
        context.llm.complete("?")
