"""What ends an execution and what only ends the wait for it."""

import asyncio
import json
from typing import Any

import httpx2
import pytest

from tests.harness import BOUND_SECONDS, Json, RunningProject
from tests.integration.agents import (
    MODERN_VERSION,
    Agent,
    initialize,
    modern_meta,
    notification,
    raw_stdio,
    request,
)

ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
COUNT = 60
LONG: Json = {
    "name": "ratchet_execute_task",
    "arguments": {"task_id": "steps", "input": {"count": COUNT, "seconds": 0.05}, "wait_seconds": 50},
}


async def newest(project: RunningProject, mark: str) -> Json:
    """The execution whose metadata has this mark, once there is one."""
    async with project.client() as client, asyncio.timeout(BOUND_SECONDS):
        agent = Agent(client)
        while True:
            listed = await agent.call("list_executions", {"task_id": "steps", "limit": 10})
            for row in listed.structured["executions"]:
                if row.get("metadata") == {"mark": mark}:
                    return row
            await asyncio.sleep(0.02)


async def end_of(project: RunningProject, execution_id: str) -> Json:
    async with project.client() as client:
        status = await Agent(client).call("get_execution_status", {"execution_id": execution_id, "wait_seconds": 50})
    return status.structured


def long_call(mark: str, **params: Any) -> Json:
    return {**LONG, "arguments": {**LONG["arguments"], "metadata": {"mark": mark}}, **params}


@pytest.mark.parametrize("era", ["handshake", "current"])
async def test_a_cancelled_request_over_stdio_cancels_the_execution(shared_project: RunningProject, era: str) -> None:
    mark = f"stdio {era}"
    async with raw_stdio(shared_project) as raw:
        if era == "handshake":
            await raw.send(initialize("2025-11-25"), notification("notifications/initialized"))
            await raw.send(request(7, "tools/call", long_call(mark)))
        else:
            await raw.send(request(7, "tools/call", long_call(mark, _meta=modern_meta())))
        row = await newest(shared_project, mark)
        await raw.send(notification("notifications/cancelled", {"requestId": 7, "reason": "changed my mind"}))
        ended = await end_of(shared_project, row["execution_id"])
    assert ended["status"] == "cancelled"
    assert "client" in ended["cancel_requested"]


async def test_a_cancelled_request_over_http_cancels_the_execution(shared_project: RunningProject) -> None:
    async with shared_project.http(headers=ACCEPT) as client:
        session = await handshake(client)
        calling = asyncio.create_task(
            client.post("/mcp", json=request(7, "tools/call", long_call("http")), headers=session)
        )
        row = await newest(shared_project, "http")
        other = await handshake(client)
        cancel = notification("notifications/cancelled", {"requestId": 7})
        await client.post("/mcp", json=cancel, headers=other)
        await client.post("/mcp", json=cancel, headers=session)
        ended = await end_of(shared_project, row["execution_id"])
        await calling
    assert ended["status"] == "cancelled"


async def test_another_session_cannot_cancel_by_the_same_request_id(shared_project: RunningProject) -> None:
    async with shared_project.http(headers=ACCEPT) as client:
        session, other = await handshake(client), await handshake(client)
        calling = asyncio.create_task(
            client.post("/mcp", json=request(7, "tools/call", long_call("own")), headers=session)
        )
        row = await newest(shared_project, "own")
        await client.post("/mcp", json=notification("notifications/cancelled", {"requestId": 7}), headers=other)
        ended = await end_of(shared_project, row["execution_id"])
        await calling
    assert ended["status"] == "completed"


@pytest.mark.parametrize("era", ["handshake", "current"])
async def test_a_lost_connection_over_http_only_ends_the_wait(shared_project: RunningProject, era: str) -> None:
    mark = f"lost {era}"
    async with shared_project.http(headers=ACCEPT) as client:
        if era == "handshake":
            headers, body = await handshake(client), request(7, "tools/call", long_call(mark))
        else:
            headers = {
                "mcp-protocol-version": MODERN_VERSION,
                "mcp-method": "tools/call",
                "mcp-name": "ratchet_execute_task",
            }
            body = request(7, "tools/call", long_call(mark, _meta=modern_meta()))
        calling = asyncio.create_task(client.post("/mcp", json=body, headers=headers))
        row = await newest(shared_project, mark)
        calling.cancel()
        await asyncio.wait([calling])
    ended = await end_of(shared_project, row["execution_id"])
    assert (ended["status"], ended["output"]) == ("completed", COUNT)


async def test_the_end_of_stdin_only_ends_the_wait(shared_project: RunningProject) -> None:
    async with raw_stdio(shared_project) as raw:
        await raw.send(initialize("2025-11-25"), notification("notifications/initialized"))
        await raw.send(request(7, "tools/call", long_call("eof")))
        row = await newest(shared_project, "eof")
        raw.close_input()
        assert await raw.wait() == 0
    ended = await end_of(shared_project, row["execution_id"])
    assert ended["status"] == "completed"


async def test_a_cancelled_look_leaves_the_execution_alone(shared_project: RunningProject) -> None:
    async with raw_stdio(shared_project) as raw:
        await raw.send(initialize("2025-11-25"), notification("notifications/initialized"))
        started: Json = {"task_id": "steps", "input": {"count": 10, "seconds": 0.1}, "wait_seconds": 0}
        await raw.send(request(2, "tools/call", {"name": "execute_task", "arguments": started}))
        execution_id = (await raw.answer(2))["result"]["structuredContent"]["execution_id"]
        look: Json = {"execution_id": execution_id, "wait_seconds": 50}
        await raw.send(request(3, "tools/call", {"name": "get_execution_status", "arguments": look}))
        await raw.send(notification("notifications/cancelled", {"requestId": 3}))
        ended = await end_of(shared_project, execution_id)
    assert ended["status"] == "completed"


async def test_a_client_that_does_not_read_hinders_nobody(shared_project: RunningProject) -> None:
    """Its progress and its answers pile up in its own pipe; other clients are served, and it gets them later."""
    calls = 400
    async with raw_stdio(shared_project) as raw:
        await raw.send(initialize("2025-11-25"), notification("notifications/initialized"))
        await raw.receive()
        for number in range(calls):
            listing = request(number + 10, "tools/list")
            await raw.send(listing)
        async with shared_project.client() as client:
            result = await Agent(client).run("add", {"a": 1})
            assert result.structured["output"] == 2
        answers = {json.dumps((await raw.receive())["id"]) for _ in range(calls)}
    assert len(answers) == calls


async def handshake(client: httpx2.AsyncClient) -> dict[str, str]:
    """A new session; gives the headers of its requests."""
    answer = await client.post("/mcp", json=initialize("2025-11-25"))
    session = {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
    await client.post("/mcp", json=notification("notifications/initialized"), headers=session)
    return session
