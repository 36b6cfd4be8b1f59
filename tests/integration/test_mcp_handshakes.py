"""Raw JSON-RPC of every protocol version, as hosts of all ages send it."""

import json
from typing import Any

import httpx2
import pytest

from actors.mcp_front.tools.table import TOOLS
from tests.harness import Json, RunningProject
from tests.integration.agents import (
    HANDSHAKE_VERSIONS,
    MODERN_VERSION,
    events,
    initialize,
    modern_meta,
    notification,
    raw_stdio,
    request,
)

ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
ADD: Json = {"name": "ratchet_execute_task", "arguments": {"task_id": "add", "input": {"a": 2, "b": 2}}}


def check_initialized(answer: Json, version: str) -> None:
    result = answer["result"]
    assert result["protocolVersion"] == version
    assert result["serverInfo"]["name"] == "ratchet"
    assert "ratchet_execute_task" in result["instructions"]
    assert "tools" in result["capabilities"]


def check_called(answer: Json) -> None:
    result = answer["result"]
    assert result["isError"] is False
    assert result["structuredContent"]["output"] == 4
    assert "Output: 4" in result["content"][0]["text"]


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
async def test_a_handshake_over_stdio(shared_project: RunningProject, version: str) -> None:
    async with raw_stdio(shared_project) as raw:
        await raw.send(initialize(version))
        check_initialized(await raw.receive(), version)
        await raw.send(notification("notifications/initialized"), request(2, "tools/list"))
        listed = await raw.receive()
        assert len(listed["result"]["tools"]) == len(TOOLS)
        await raw.send(request(3, "tools/call", ADD))
        check_called(await raw.receive())
        await raw.send(request(4, "ping"))
        assert (await raw.receive())["result"] == {}
        raw.close_input()
        assert await raw.wait() == 0
        assert await raw.rest() == []


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
async def test_a_handshake_over_http(shared_project: RunningProject, version: str) -> None:
    async with shared_project.http(headers=ACCEPT) as client:
        answer = await client.post("/mcp", json=initialize(version))
        assert answer.status_code == 200
        check_initialized(one_message(answer), version)
        session = {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": version}
        told = await client.post("/mcp", json=notification("notifications/initialized"), headers=session)
        assert told.status_code == 202
        listed = await client.post("/mcp", json=request(2, "tools/list"), headers=session)
        assert len(one_message(listed)["result"]["tools"]) == len(TOOLS)
        check_called(one_message(await client.post("/mcp", json=request(3, "tools/call", ADD), headers=session)))
        ended = await client.delete("/mcp", headers=session)
        assert ended.status_code == 200
        gone = await client.post("/mcp", json=request(4, "ping"), headers=session)
        assert gone.status_code == 404


async def test_the_current_protocol_over_stdio(shared_project: RunningProject) -> None:
    async with raw_stdio(shared_project) as raw:
        await raw.send(request(1, "server/discover", {"_meta": modern_meta()}))
        discovered = (await raw.receive())["result"]
        assert MODERN_VERSION in discovered["supportedVersions"]
        assert "ratchet_execute_task" in discovered["instructions"]
        await raw.send(request(2, "tools/call", {**ADD, "_meta": modern_meta()}))
        answer = await raw.receive()
        check_called(answer)
        assert answer["result"]["resultType"] == "complete"


async def test_the_current_protocol_over_http(shared_project: RunningProject) -> None:
    async with shared_project.http(headers=ACCEPT) as client:
        discovered = await client.post(
            "/mcp", json=request(1, "server/discover", {"_meta": modern_meta()}), headers=modern("server/discover")
        )
        assert discovered.status_code == 200
        assert "mcp-session-id" not in discovered.headers
        assert MODERN_VERSION in one_message(discovered)["result"]["supportedVersions"]
        headers = modern("tools/call", "ratchet_execute_task")
        called = await client.post(
            "/mcp", json=request(2, "tools/call", {**ADD, "_meta": modern_meta()}), headers=headers
        )
        check_called(one_message(called))


async def test_lists_may_be_kept_by_the_client_for_itself(shared_project: RunningProject) -> None:
    async with shared_project.http(headers=ACCEPT) as client:
        listed = await client.post(
            "/mcp", json=request(1, "tools/list", {"_meta": modern_meta()}), headers=modern("tools/list")
        )
    result = one_message(listed)["result"]
    assert result["cacheScope"] == "private"
    assert result["ttlMs"] > 0


@pytest.mark.parametrize("line", ["{not json", '{"jsonrpc": "2.0"}', "[]"])
async def test_a_line_that_is_no_message_is_answered_and_the_next_one_too(
    shared_project: RunningProject, line: str
) -> None:
    async with raw_stdio(shared_project) as raw:
        await raw.send(line)
        answer = await raw.receive()
        assert answer["id"] is None
        assert answer["error"]["code"] == -32700
        await raw.send(initialize("2025-11-25"))
        check_initialized(await raw.receive(), "2025-11-25")


async def test_a_message_that_is_too_long_is_refused_and_the_next_one_answered(shared_project: RunningProject) -> None:
    async with raw_stdio(shared_project) as raw:
        await raw.send(json.dumps(request(1, "ping", {"padding": "x" * (9 * 1024 * 1024)})))
        answer = await raw.receive()
        assert answer["error"]["code"] == -32700
        assert "exceeds" in answer["error"]["message"]
        await raw.send(initialize("2025-11-25"))
        check_initialized(await raw.receive(), "2025-11-25")


async def test_what_was_asked_before_stdin_ended_is_still_answered(shared_project: RunningProject) -> None:
    async with raw_stdio(shared_project) as raw:
        await raw.send(
            initialize("2025-06-18"), notification("notifications/initialized"), request(2, "tools/call", ADD)
        )
        raw.close_input()
        answers = {message["id"]: message for message in await raw.rest()}
        assert await raw.wait() == 0
    check_initialized(answers[1], "2025-06-18")
    check_called(answers[2])


async def test_the_end_of_stdin_ends_the_front_while_a_call_waits(shared_project: RunningProject) -> None:
    steps: Json = {"task_id": "steps", "input": {"count": 200, "seconds": 0.02}}
    async with raw_stdio(shared_project) as raw:
        await raw.send(initialize("2025-06-18"), notification("notifications/initialized"))
        await raw.send(request(2, "tools/call", {"name": "execute_task", "arguments": steps}))
        raw.close_input()
        answers = {message["id"]: message for message in await raw.rest()}
        assert answers[2]["result"]["structuredContent"]["status"] == "running"
        assert "get_execution_status" in answers[2]["result"]["structuredContent"]["next"]
        assert await raw.wait() == 0


async def test_without_an_http_server_no_address_is_given(tmp_path: Any) -> None:
    from tests.harness import folder_project

    with folder_project(tmp_path / "project") as project:
        async with project.stdio_client() as client:
            called = await client.call_tool("ratchet_execute_task", {"task_id": "add", "input": {"a": 2}})
        assert called.structured_content is not None
        assert called.structured_content["output"] == 3
        assert called.structured_content["trace_url"] is None
        assert called.structured_content["logs_url"] is None


def modern(method: str, name: str | None = None) -> dict[str, str]:
    """The headers of a request of the current protocol."""
    headers = {"mcp-protocol-version": MODERN_VERSION, "mcp-method": method}
    return headers if name is None else {**headers, "mcp-name": name}


def one_message(response: httpx2.Response) -> Json:
    """The answer in a response, whichever form it came in."""
    if response.headers["content-type"].startswith("application/json"):
        return response.json()
    return events(response.text)[-1]
