"""Tasks that ask: an LLM, MCP servers on stdio and HTTP, through every process there is."""

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from mcp import Client

from tests.harness import Json, RunningProject, eventually, running_project
from tests.integration.fake_provider import FakeProvider, fake_provider
from tests.integration.policy_world import told
from tests.integration.test_remote_servers import SERVER, WebServer

KEY = "sk-only-the-gateway-knows-this-0123456789"
TOKEN = "tickets-0123456789abcdef"
SOON = 20.0

TASKS = {
    "asking": """
        import time
        from pydantic import BaseModel
        from ratchet import AsyncContext, Context, task
        from ratchet.errors import RatchetError

        class City(BaseModel):
            name: str

        @task
        def ask(ctx: Context, prompt: str, route: str | None = None) -> dict:
            '''Ask an LLM.'''
            with ctx.span("thinking"):
                made = ctx.llm.complete(prompt, system="Be short.", route=route)
            return {"text": made.text, "route": made.route, "failed": made.failed}

        @task
        async def ask_both(ctx: AsyncContext, prompts: list[str]) -> list[str]:
            '''Ask an LLM several things at a time.'''
            import asyncio
            made = await asyncio.gather(*(ctx.llm.complete(prompt, route="scripted") for prompt in prompts))
            return [one.text for one in made]

        @task
        def city(ctx: Context) -> City:
            '''Ask for something of a form.'''
            return ctx.llm.complete("Which?", schema=City).parsed

        @task
        def refused(ctx: Context, prompt: str, route: str) -> dict:
            '''Ask, and say what went wrong.'''
            try:
                ctx.llm.complete(prompt, route=route)
            except RatchetError as error:
                return {"type": type(error).__name__, "code": error.code, "retryable": error.retryable}

        @task
        def circle(ctx: Context, servers: list[str]) -> list[str]:
            '''Ask MCP servers.'''
            found = [server.name for server in ctx.mcp.list_servers() if server.usable]
            tools = [tool.name for tool in ctx.mcp.list_tools(servers[0])]
            assert "echo" in tools and set(servers) <= set(found)
            return [ctx.mcp.call_tool(server, "echo", {"text": f"from {server}"}).text for server in servers]

        @task
        async def circle_async(ctx: AsyncContext, server: str) -> str:
            '''Ask an MCP server.'''
            return (await ctx.mcp.call_tool(server, "echo", {"text": "hello"})).text

        @task
        def fail(ctx: Context) -> None:
            '''Call a tool that fails.'''
            ctx.mcp.call_tool("local", "fail")

        @task
        def tell(ctx: Context, route: str | None = None, most: int = 1000) -> dict:
            '''Take an answer as it is made.'''
            stream = ctx.llm.stream("Tell me.", route=route)
            pieces = []
            for piece in stream:
                pieces.append(piece)
                ctx.progress(len(pieces))
                if len(pieces) == most:
                    break
            whole = stream.completion.text if stream.completion else None
            return {"pieces": len(pieces), "text": "".join(pieces), "whole": whole}

        @task
        async def tell_async(ctx: AsyncContext) -> str:
            '''The same in an event loop.'''
            return "|".join([piece async for piece in ctx.llm.stream("Tell me.")])

        @task
        def cut(ctx: Context) -> dict:
            '''Take an answer that does not come to its end.'''
            pieces = 0
            try:
                for piece in ctx.llm.stream("Tell me.", route="fake"):
                    pieces += 1
                    ctx.progress(pieces)
            except RatchetError as error:
                return {"pieces": pieces, "code": error.code, "retryable": error.retryable}

        @task
        def linger(ctx: Context) -> int:
            '''Ask, and stay a while.'''
            ctx.llm.complete("?", route="scripted")
            ctx.progress(1, 2, "asked")
            time.sleep(30)
        """
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fake() -> AsyncGenerator[FakeProvider]:
    async with fake_provider() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, fake: FakeProvider) -> AsyncGenerator[RunningProject]:
    web = WebServer()
    await web.start()
    provider = {
        "name": "fake",
        "base_url": fake.base_url,
        "api_key": "${PROVIDER_KEY}",
        "model": "fake-1",
        "retries": 0,
    }
    config: Json = {
        "llm": {
            "providers": [
                {**provider, "timeout_seconds": 10},
                {**provider, "name": "hasty", "timeout_seconds": 0.5},
            ],
            "routes": ["fake", "scripted", "hasty"],
            "scripted": [
                {"pattern": "capital of (\\w+)", "answer": "I do not know \\1."},
                {"pattern": "slow down", "error": "rate_limited"},
                {"answer": "ok"},
            ],
        },
        "mcp": {
            "servers": [
                {
                    "name": "local",
                    "command": sys.executable,
                    "args": [SERVER, "stdio"],
                    "env": {"T": "${SERVER_TOKEN}"},
                },
                {"name": "web", "url": f"http://127.0.0.1:{web.port}/mcp"},
            ]
        },
    }
    environ = {"PROVIDER_KEY": KEY, "SERVER_TOKEN": TOKEN}
    folder = tmp_path_factory.mktemp("asking") / "project"
    try:
        async with running_project(folder, tasks=TASKS, config=config, environ=environ) as project:
            yield project
    finally:
        await web.end()


async def run(project: RunningProject, task_id: str, wait_seconds: float = SOON, **given: Any) -> Json:
    async with project.client() as client:
        return await told(client, "execute_task", task_id=task_id, input=given, wait_seconds=wait_seconds)


async def spans_of(project: RunningProject, execution_id: str) -> list[Json]:
    async with project.client() as client:
        trace = await told(client, "get_execution_trace", execution_id=execution_id)
    return list(flat(trace["trace"]["spans"]))


def flat(spans: list[Json], parent: str | None = None) -> Iterator[Json]:
    for span in spans:
        yield {**span, "parent": parent}
        yield from flat(span.get("children", []), span["name"])


async def test_a_task_asks_an_llm_and_its_trace_says_what_it_took(world: RunningProject, fake: FakeProvider) -> None:
    fake.answers[:] = ["Paris."]

    ran = await run(world, "ask", prompt="What is the capital of France?")

    assert ran["output"] == {"text": "Paris.", "route": "fake", "failed": []}
    assert [message["role"] for message in fake.requests[-1]["messages"]] == ["system", "user"]
    [span] = [one for one in await spans_of(world, ran["execution_id"]) if one["name"] == "llm.complete"]
    assert (span["parent"], span["status"]) == ("thinking", "ok")
    said = span["attributes"]
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (7, 3)
    assert (said["gen_ai.response.model"], said["ratchet.llm.route"]) == ("fake-1", "fake")
    assert "France" not in str(said)


async def test_an_asynchronous_task_asks_several_things_at_a_time(world: RunningProject) -> None:
    ran = await run(world, "ask-both", prompts=["the capital of Peru?", "the capital of Chad?"])

    assert ran["output"] == ["I do not know Peru.", "I do not know Chad."]


async def test_an_answer_has_the_type_that_is_wanted(world: RunningProject, fake: FakeProvider) -> None:
    fake.answers[:] = ['{"nom": "Paris"}', '{"name": "Paris"}']

    assert (await run(world, "city"))["output"] == {"name": "Paris"}


@pytest.mark.parametrize("failure", ["STATUS 429", "STATUS 500", "CUT", "NOT-JSON"])
async def test_what_a_provider_does_not_answer_the_next_route_does(
    world: RunningProject, fake: FakeProvider, failure: str
) -> None:
    fake.answers[:] = [failure]

    ran = await run(world, "ask", prompt="the capital of Peru?")

    assert (ran["output"]["text"], ran["output"]["route"]) == ("I do not know Peru.", "scripted")
    assert [name for name, _ in ran["output"]["failed"]] == ["fake"]


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        ("STATUS 429", "llm_rate_limited"),
        ("STATUS 500", "llm_unavailable"),
        ("CUT", "llm_cut"),
        ("HANG", "llm_timeout"),
        ("NOT-JSON", "llm_malformed"),
    ],
)
async def test_what_nobody_else_is_asked_for_is_a_typed_error(
    world: RunningProject, fake: FakeProvider, failure: str, code: str
) -> None:
    fake.answers[:] = [failure]

    said = (await run(world, "refused", prompt="?", route="hasty"))["output"]

    assert (said["code"], said["retryable"]) == (code, True)


async def test_errors_reach_the_task_as_what_they_are(world: RunningProject) -> None:
    assert (await run(world, "refused", prompt="slow down", route="scripted"))["output"] == {
        "type": "LlmRateLimitedError",
        "code": "llm_rate_limited",
        "retryable": True,
    }
    assert (await run(world, "refused", prompt="?", route="nobody"))["output"]["code"] == "llm_not_configured"

    failed = await run(world, "fail")
    assert failed["error"]["type"].endswith("McpToolError")
    assert "no such ticket" in failed["error"]["message"]


async def test_a_task_calls_mcp_servers_on_stdio_and_http(world: RunningProject) -> None:
    ran = await run(world, "circle", servers=["local", "web"])

    assert ran["output"] == ["from local", "from web"]
    spans = await spans_of(world, ran["execution_id"])
    called = [span["attributes"]["mcp.server"] for span in spans if span["name"] == "mcp.call_tool"]
    assert called == ["local", "web"]
    assert (await run(world, "circle-async", server="web"))["output"] == "hello"


async def test_an_answer_is_taken_as_it_is_made(world: RunningProject, fake: FakeProvider) -> None:
    long = " ".join(str(number) for number in range(300))
    fake.answers[:] = [long]
    ran = await run(world, "tell")
    assert ran["output"] == {"pieces": 300, "text": f"{long} ", "whole": f"{long} "}
    [span] = [one for one in await spans_of(world, ran["execution_id"]) if one["name"] == "llm.stream"]
    assert (span["status"], span["attributes"]["gen_ai.usage.output_tokens"]) == ("ok", 3)

    assert (await run(world, "tell", most=2))["output"] == {"pieces": 2, "text": "0 1 ", "whole": None}

    fake.answers[:] = ["one two"]
    assert (await run(world, "tell-async"))["output"] == "one |two "

    fake.answers[:] = ["STATUS 500"]
    assert (await run(world, "tell"))["output"]["text"] == "ok"


async def test_an_answer_that_ends_in_the_middle_is_an_error(world: RunningProject, fake: FakeProvider) -> None:
    fake.answers[:] = ["one two BREAK"]
    assert (await run(world, "cut"))["output"] == {"pieces": 2, "code": "llm_cut", "retryable": True}

    fake.answers[:] = ["one two WAIT"]
    async with world.client() as client:
        ran = await told(client, "execute_task", task_id="cut", input={}, wait_seconds=0)
        await progress_of(client, ran["execution_id"], 2)
        await asyncio.to_thread(world.kill, "llm-gateway")
        end = await told(client, "get_execution_status", execution_id=ran["execution_id"], wait_seconds=SOON)
    assert end["output"] == {"pieces": 2, "code": "call_lost", "retryable": True}


async def progress_of(client: Client, execution_id: str, current: int) -> None:
    async with asyncio.timeout(SOON):
        while True:
            now = await told(client, "get_execution_status", execution_id=execution_id)
            if now.get("progress") and now["progress"]["current"] == current:
                return


async def test_a_gateway_that_is_killed_comes_back_and_the_task_hears_that_it_may_ask_again(
    world: RunningProject, fake: FakeProvider
) -> None:
    fake.answers[:] = ["HANG"]
    before = len(fake.requests)
    asking = asyncio.create_task(run(world, "refused", prompt="?", route="fake"))
    await asyncio.to_thread(eventually, lambda: len(fake.requests) > before, "the provider is asked")

    await asyncio.to_thread(world.kill, "llm-gateway")

    output = (await asking)["output"]
    assert (output["code"], output["retryable"]) == ("call_lost", True)
    fake.answers[:] = ["again"]
    assert (await run(world, "ask", prompt="?"))["output"]["text"] == "again"


async def test_only_the_gateway_has_the_keys(world: RunningProject) -> None:
    ran = await run(world, "linger", wait_seconds=0)
    worker = await asyncio.to_thread(asked, world)

    family = psutil.Process(world.pid).children(recursive=True)
    gateway = world.child("llm-gateway").pid
    others = [process for process in family if process.pid != gateway and process.ppid() != gateway]
    assert len(others) >= 8
    assert [process.name() for process in others if has_key(environment(process.pid))] == []
    assert has_key(environment(gateway))
    for process in worker:
        assert not any(has_key(part) for part in memory(process.pid))
    async with world.client() as client:
        await told(client, "cancel_execution", execution_id=ran["execution_id"])


def asked(project: RunningProject) -> list[psutil.Process]:
    """Zygotes and children, once there are both."""
    workers = [project.child(f"worker:{number}").pid for number in (1, 2)]

    def below() -> list[psutil.Process]:
        return [process for pid in workers if pid for process in psutil.Process(pid).children(recursive=True)]

    return eventually(lambda: found if len(found := below()) > len(workers) else None, "a child runs")


def environment(pid: int | None) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def has_key(data: bytes) -> bool:
    return KEY.encode() in data or TOKEN.encode() in data


def memory(pid: int) -> Iterator[bytes]:
    """What a process can write to, region by region."""
    regions = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw", Path(f"/proc/{pid}/maps").read_text(), re.MULTILINE)
    with Path(f"/proc/{pid}/mem").open("rb", 0) as file:
        for start, end in regions:
            file.seek(int(start, 16))
            yield file.read(int(end, 16) - int(start, 16))


async def test_health_shows_the_gateway(world: RunningProject, fake: FakeProvider) -> None:
    fake.answers[:] = ["STATUS 500"]
    await run(world, "ask", prompt="?")

    async with world.client() as client:
        health = await told(client, "get_system_health")

    assert health["status"] == "ok"
    assert "llm-gateway" in [process["name"] for process in health["processes"]]
    assert health["counters"]["llm-gateway.llm_fallbacks"] >= 1
