"""Asking LLMs through the gateway: a process of its own, a provider on a real socket, and every way it may fail."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ipc.errors import UnreachableError
from ratchet import rpc
from ratchet.bodies.common import Empty
from ratchet.errors import (
    LlmAnswerError,
    LlmBudgetError,
    LlmCutError,
    LlmError,
    LlmNotConfiguredError,
    LlmRateLimitedError,
    LlmRefusedError,
    LlmTimeoutError,
    LlmUnavailableError,
    RequestError,
)
from ratchet.messages import GET_HEALTH
from tests.harness import eventually_async
from tests.integration.fake_provider import FakeProvider, fake_provider
from tests.integration.gateway_world import SOON, Gateway, gateway

KEY = "sk-only-the-gateway-knows-this-0123456789"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def provider(fake: FakeProvider, **given: Any) -> dict[str, Any]:
    return {"name": "fake", "base_url": fake.base_url, "api_key": "${PROVIDER_KEY}", "model": "fake-1", **given}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fake() -> AsyncGenerator[FakeProvider]:
    async with fake_provider() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, fake: FakeProvider) -> AsyncGenerator[Gateway]:
    """A provider that is tried twice and waited for shortly, and behind it the scripted route."""
    async with fake_provider() as gone:
        pass
    llm = {
        "providers": [
            provider(fake, retries=1, timeout_seconds=0.5),
            provider(fake, name="in-words", schema_mode="prompt", retries=0, api_key=None),
            provider(gone, name="gone", retries=0, api_key=None),
        ],
        "scripted": [
            {"pattern": "capital of (\\w+)", "answer": "The script says: \\1."},
            {"pattern": "once", "error": "rate_limited", "times": 1},
            {"pattern": "once", "answer": "later"},
        ],
        "routes": ["fake", "scripted", "in-words", "gone"],
        "max_tokens": 100,
        "calls_per_execution": 3,
        "tokens_per_execution": 25,
    }
    async with gateway(tmp_path_factory.mktemp("gateway"), {"llm": llm}, {"PROVIDER_KEY": KEY}) as running:
        yield running


def told(fake: FakeProvider, *answers: str) -> None:
    fake.answers[:] = answers
    fake.requests.clear()
    fake.keys.clear()


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_question_is_answered_with_model_route_and_usage(world: Gateway, fake: FakeProvider) -> None:
    told(fake, "Paris.")

    made = await world.complete("What is the capital of France?", temperature=0, max_tokens=1000, execution_id="a")

    assert (made.text, made.model, made.route, made.finish_reason) == ("Paris.", "fake-1", "fake", "stop")
    assert (made.usage.input_tokens, made.usage.output_tokens, made.failed) == (7, 3, [])
    [request] = fake.requests
    assert fake.keys == [f"bearer {KEY}"]
    assert (request["model"], request["max_tokens"], request["temperature"]) == ("fake-1", 100, 0)
    assert request["messages"] == [{"role": "user", "content": "What is the capital of France?"}]


@pytest.mark.parametrize(
    ("failure", "code", "requests"),
    [
        ("STATUS 429 retry-after-ms:10", "llm_rate_limited", 2),
        ("STATUS 500", "llm_unavailable", 2),
        ("STATUS 401", "llm_refused", 1),
        ("CUT", "llm_cut", 2),
        ("HANG", "llm_timeout", 1),
        ("NOT-JSON", "llm_malformed", 1),
        ("NO-CHOICES", "llm_malformed", 1),
    ],
)
async def test_what_a_provider_does_not_answer_the_next_route_does(
    world: Gateway, fake: FakeProvider, failure: str, code: str, requests: int
) -> None:
    told(fake, failure)

    made = await world.complete("the capital of Peru?", execution_id=failure)

    assert (made.text, made.route, made.failed) == ("The script says: Peru.", "scripted", [("fake", code)])
    assert len(fake.requests) == requests


@pytest.mark.parametrize(
    ("failure", "kind", "retryable"),
    [
        ("STATUS 429 retry-after:7000", LlmRateLimitedError, True),
        ("STATUS 503", LlmUnavailableError, True),
        ("STATUS 400", LlmRefusedError, False),
        ("FILTERED", LlmRefusedError, False),
        ("CUT", LlmCutError, True),
        ("HANG", LlmTimeoutError, True),
        ("NOT-JSON", LlmAnswerError, True),
    ],
)
async def test_without_another_route_every_failure_is_an_error_of_its_kind(
    world: Gateway, fake: FakeProvider, failure: str, kind: type[LlmError], retryable: bool
) -> None:
    told(fake, failure)

    with pytest.raises(kind) as raised:
        await world.complete("the capital of Peru?", execution_id=failure + "-2", route="fake")

    assert type(raised.value) is kind
    assert raised.value.retryable is retryable
    assert raised.value.details["route"] == "fake"
    if "7000" in failure:
        assert raised.value.details["retry_after_seconds"] == 7000


async def test_a_provider_that_is_well_again_is_not_given_up(world: Gateway, fake: FakeProvider) -> None:
    told(fake, "STATUS 429 retry-after-ms:1", "now")

    assert (await world.complete("?", execution_id="b")).text == "now"


async def test_what_was_refused_is_not_asked_of_somebody_else(world: Gateway, fake: FakeProvider) -> None:
    told(fake, "FILTERED")

    with pytest.raises(LlmRefusedError):
        await world.complete("the capital of Peru?", execution_id="c")


async def test_a_key_that_a_provider_shows_is_hidden(world: Gateway, fake: FakeProvider) -> None:
    told(fake, "SHOW-KEY")

    with pytest.raises(LlmRefusedError) as raised:
        await world.complete("?", route="fake", execution_id="d")

    assert KEY not in raised.value.message
    assert "[redacted]" in raised.value.message


@pytest.mark.parametrize("route", ["fake", "in-words"])
async def test_an_answer_that_misses_its_schema_is_asked_for_once_more(
    world: Gateway, fake: FakeProvider, route: str
) -> None:
    told(fake, '{"town": "Paris"}', '```json\n{"city": "Paris"}\n```')

    made = await world.complete("Which?", output_schema=CITY, route=route, execution_id=f"schema {route}")

    assert made.parsed == {"city": "Paris"}
    assert made.usage.total == 20
    first, second = fake.requests
    if route == "fake":
        assert first["response_format"]["json_schema"]["schema"] == CITY
    else:
        assert '"city"' in first["messages"][0]["content"]
    assert "city is required" in second["messages"][-1]["content"]


async def test_an_answer_that_misses_its_schema_twice_is_none(world: Gateway, fake: FakeProvider) -> None:
    told(fake, "Paris", "Paris!")

    with pytest.raises(LlmAnswerError, match="no JSON"):
        await world.complete("Which?", output_schema=CITY, route="fake", execution_id="e")
    with pytest.raises(RequestError, match="no JSON Schema"):
        await world.complete("Which?", output_schema={"type": "city"}, route="fake", execution_id="e")


async def test_an_execution_has_a_budget_of_questions_and_of_tokens(world: Gateway, fake: FakeProvider) -> None:
    told(fake, "STATUS 400")
    for _ in range(3):
        with pytest.raises(LlmRefusedError):
            await world.complete("?", route="fake", execution_id="many")
    with pytest.raises(LlmBudgetError, match="calls_per_execution"):
        await world.complete("?", route="fake", execution_id="many")

    told(fake, "Dear.")
    for _ in range(3):
        await world.complete("?", route="fake", execution_id="dear")
    with pytest.raises(LlmBudgetError):
        await world.complete("?", route="fake", execution_id="dear")


async def test_who_does_not_wait_any_more_leaves_no_request_behind(world: Gateway, fake: FakeProvider) -> None:
    told(fake, "HANG")

    with pytest.raises(LlmTimeoutError):
        await world.complete("?", route="in-words", execution_id="f", timeout_seconds=0.6)

    await fake.hung_up.wait()


async def test_a_gateway_that_is_to_end_answers_what_it_was_asked_before(fake: FakeProvider, tmp_path: Path) -> None:
    told(fake, "HANG")
    llm = {
        "providers": [provider(fake, retries=0, timeout_seconds=SOON)],
        "scripted": [{"answer": "The script says so."}],
        "routes": ["fake", "scripted"],
    }
    async with gateway(tmp_path, {"llm": llm}, {"PROVIDER_KEY": KEY}) as ending:
        begun = asyncio.create_task(ending.complete("Well?"))
        await eventually_async(lambda: bool(fake.requests), "the provider is asked")
        ending.drain()
        await eventually_async(lambda: ending.hub.peers["llm-gateway"].draining, "it says that it is about to end")
        with pytest.raises(UnreachableError, match="about to end"):
            await ending.complete("And?")
        fake.close()  # what it was asked is not answered: the next route does
        assert (await begun).text == "The script says so."
        assert await asyncio.wait_for(ending.process.wait(), SOON) == 0


async def test_the_script_answers_by_rules_and_fails_as_often_as_it_says(world: Gateway) -> None:
    with pytest.raises(LlmRateLimitedError):
        await world.complete("once", route="scripted", execution_id="g")
    assert (await world.complete("once", route="scripted", execution_id="g")).text == "later"
    with pytest.raises(LlmRefusedError, match="no scripted answer fits"):
        await world.complete("something else", route="scripted", execution_id="g")


async def test_a_route_that_is_not_there_is_named(world: Gateway) -> None:
    with pytest.raises(LlmNotConfiguredError, match="known here: fake, scripted, in-words, gone"):
        await world.complete("?", route="caller")


async def test_the_gateway_counts_what_it_retried_and_gave_up(world: Gateway) -> None:
    health = await rpc.call(world.link, GET_HEALTH, Empty(), target="llm-gateway", timeout_seconds=SOON)

    assert health.counters["llm_retries"] > 0
    assert health.counters["llm_fallbacks"] > 0
    assert health.counters["llm_timeout"] > 0


async def test_a_provider_that_is_not_there_is_unavailable(world: Gateway) -> None:
    with pytest.raises(LlmUnavailableError, match="cannot be reached"):
        await world.complete("?", route="gone")
