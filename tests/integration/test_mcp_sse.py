"""The older SSE transport, and how many sessions there may be: one project with narrow bounds."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client

from tests.harness import BOUND_SECONDS, RunningProject, eventually_async, started_project
from tests.integration.agents import Agent, initialize
from tests.integration.listening import Updates, subscribed
from tests.integration.policy_world import KEYS, TASKS, configuration, told

IDLE_SECONDS = 1.0
GUEST, OTHER = ({"X-API-Key": KEYS[name]} for name in ("GUEST_KEY", "OTHER_KEY"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    sessions = {"max": 3, "max_per_client": 2, "idle_seconds": IDLE_SECONDS}
    config = configuration({}, transport="sse", sessions=sessions)
    with started_project(tmp_path_factory.mktemp("sse") / "project", tasks=TASKS, config=config, environ=KEYS) as one:
        yield one


@asynccontextmanager
async def sse(project: RunningProject, headers: dict[str, str], **options: Any) -> AsyncGenerator[Client]:
    """The SDK's client."""
    async with Client(sse_client(project.sse_url, headers=headers), mode="legacy", **options) as client:
        yield client


async def test_tools_resources_and_updates(project: RunningProject) -> None:
    updates = Updates()
    async with sse(project, GUEST, message_handler=updates) as client:
        one = Agent(client)
        started = await one.run("safe-sleep", {"seconds": 0.3}, wait_seconds=0)
        execution_id = started.structured["execution_id"]
        async with subscribed(client, updates, [f"ratchet://executions/{execution_id}/output"]):
            await updates.until(f"ratchet://executions/{execution_id}/output")
        status = await told(client, "get_execution_status", execution_id=execution_id)
        assert (status["status"], status["output"]) == ("completed", "slept")
        assert status["source"]["client"] == "guest"
        assert status["source"]["session_id"]
        async with sse(project, OTHER) as other:
            foreign = await told(other, "get_execution_status", execution_id=execution_id)
            assert foreign["error"]["type"] == "unknown_execution"


async def test_who_may_come_in_and_whose_a_session_is(project: RunningProject) -> None:
    async with project.http() as http:
        for headers in ({}, {"X-API-Key": "wrong-0123456789abcdef"}):
            assert (await http.get("/sse", headers=headers)).status_code == 401
            assert (await http.post("/messages/?session_id=0", headers=headers)).status_code == 401
        rebound = {**GUEST, "Host": "evil.example"}
        assert (await http.get("/sse", headers=rebound)).status_code == 421
        async with stream_of(http, GUEST) as (messages, _lines):
            theirs = await http.post(messages, headers=OTHER, json=initialize("2025-06-18"))
            assert theirs.status_code == 404
            mine = await http.post(messages, headers=GUEST, json=initialize("2025-06-18"))
            assert mine.status_code == 202


async def test_a_session_too_many_is_refused_with_when_to_try_again(project: RunningProject) -> None:
    async with project.http() as http, AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(stream_of(http, GUEST))
        for refused in (
            await http.get("/sse", headers=GUEST),
            await http.post("/mcp", headers={**GUEST, **ACCEPT}, json=initialize("2025-11-25")),
        ):
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) == refused.json()["error"]["data"]["retry_after"]
            assert "guest" in refused.json()["error"]["message"]
        opened = await http.post("/mcp", headers={**OTHER, **ACCEPT}, json=initialize("2025-11-25"))
        assert opened.status_code == 200
        full = await http.post("/mcp", headers={**OTHER, **ACCEPT}, json=initialize("2025-11-25"))
        assert (full.status_code, "retry-after" in full.headers) == (503, True)
        # The current protocol has no sessions, so nothing of this is its concern.
        async with project.client(headers=GUEST) as client:
            health = await told(client, "get_system_health")
        assert health["counters"]["mcp-front.sessions_refused"] >= 3
        await eventually_async(lambda: refused_sessions(project) >= 3, "the audit log has it")
        session = opened.headers["mcp-session-id"]
        assert (await http.delete("/mcp", headers={**OTHER, "mcp-session-id": session})).status_code == 200
        again = await http.post("/mcp", headers={**OTHER, **ACCEPT}, json=initialize("2025-11-25"))
        assert again.status_code == 200


async def test_a_session_that_nobody_uses_ends(project: RunningProject) -> None:
    async with project.http() as http, project.client(headers=GUEST) as client:
        before = await expired(client)
        opened = await http.post("/mcp", headers={**OTHER, **ACCEPT}, json=initialize("2025-11-25"))
        headers = {**OTHER, "mcp-session-id": opened.headers["mcp-session-id"]}
        async with stream_of(http, GUEST) as (_messages, lines), asyncio.timeout(BOUND_SECONDS):
            assert not [line async for line in lines if line.startswith("data:")], "the stream ends"
        async with asyncio.timeout(BOUND_SECONDS):
            while await expired(client) < before + 2:  # each look takes its time
                pass
        gone = await http.post("/mcp", headers={**headers, **ACCEPT}, json=initialize("2025-11-25"))
        assert gone.status_code == 404


def refused_sessions(project: RunningProject) -> int:
    with closing(sqlite3.connect(f"file:{project.data_dir / 'executions.db'}?mode=ro", uri=True)) as database:
        [[count]] = database.execute("SELECT count(*) FROM audit WHERE code = 'too_many_sessions'")
    return count


ACCEPT = {"Accept": "application/json, text/event-stream"}


async def expired(client: Client) -> int:
    health = await told(client, "get_system_health")
    return health["counters"].get("mcp-front.sessions_expired", 0)


@asynccontextmanager
async def stream_of(
    http: httpx2.AsyncClient, headers: dict[str, str]
) -> AsyncGenerator[tuple[str, AsyncGenerator[str]]]:
    """An open stream: where its messages go, and what comes on it after that."""

    async def lines_of(response: httpx2.Response) -> AsyncGenerator[str]:
        async for line in response.aiter_lines():
            yield line

    async with http.stream("GET", "/sse", headers=headers) as response:
        assert response.status_code == 200
        lines = lines_of(response)
        while not (line := await anext(lines)).startswith("data:"):
            pass
        yield line.removeprefix("data:").strip(), lines
