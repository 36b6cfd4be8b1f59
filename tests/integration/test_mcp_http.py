"""The HTTP front: who is let in, its routes, and what it does when it goes away."""

import asyncio
import html
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.sse import sse_client

from tests.harness import RunningProject, eventually_async, running_project, started_project
from tests.integration.agents import Agent

KEYS = {
    "TEST_KEY_ONE": "key-one-0123456789",
    "TEST_KEY_TWO": "key-two-0123456789",
}
AUTH = {
    "mcp": {
        "server": {
            "tool_names": "dotted",
            "auth": {
                "type": "api_key",
                "api_keys": [
                    {"key": "${TEST_KEY_ONE}", "name": "one"},
                    {"key": "${TEST_KEY_TWO}", "name": "two"},
                ],
            },
        }
    }
}
WRONG: list[dict[str, str]] = [
    {},
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Bearer"},
    {"Authorization": "Basic a2V5LW9uZS0wMTIzNDU2Nzg5"},
    {"X-API-Key": "wrong"},
    {"X-API-Key": ""},
    {"X-API-Key": "${TEST_KEY_ONE}"},
    {"Authorization": "Bearer wrong", "X-API-Key": "key-one-0123456789"},
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    with started_project(tmp_path_factory.mktemp("guarded") / "project", config=AUTH, environ=KEYS) as project:
        yield project


@pytest.mark.parametrize("headers", WRONG)
@pytest.mark.parametrize("path", ["/mcp", "/traces/exec_1", "/logs/exec_1"])
async def test_without_a_right_key_nothing_is_answered(
    guarded: RunningProject, path: str, headers: dict[str, str]
) -> None:
    async with guarded.http(headers=headers) as client:
        for method in ("GET", "POST") if path == "/mcp" else ("GET",):
            response = await client.request(method, path)
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith("Bearer ")


async def test_health_needs_no_key_and_says_nothing_else(guarded: RunningProject) -> None:
    async with guarded.http() as client:
        response = await client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize(
    ("headers", "name"),
    [({"Authorization": "Bearer key-one-0123456789"}, "one"), ({"X-API-Key": "key-two-0123456789"}, "two")],
)
async def test_a_key_lets_in_and_names_the_client(
    guarded: RunningProject, mode: str, headers: dict[str, str], name: str
) -> None:
    async with guarded.client(mode, headers=headers) as client:
        tools = await client.list_tools()
        assert "ratchet.execute_task" in [tool.name for tool in tools.tools]
        result = await client.call_tool("ratchet.execute_task", {"task_id": "add", "input": {"a": 1}})
        assert result.structured_content is not None
        status = await client.call_tool(
            "ratchet.get_execution_status", {"execution_id": result.structured_content["execution_id"]}
        )
    assert status.structured_content is not None
    assert status.structured_content["source"]["client"] == name


async def test_the_current_protocol_has_no_sessions_whatever_a_header_says(shared_project: RunningProject) -> None:
    async with shared_project.client(headers={"Mcp-Session-Id": "another-one's"}) as client:
        done = (await Agent(client).run("add", {"a": 1})).structured["execution_id"]
        status = await Agent(client).call("get_execution_status", {"execution_id": done})
    assert "session_id" not in status.structured["source"]


async def test_no_answer_and_no_log_holds_a_key(guarded: RunningProject) -> None:
    async with guarded.client(headers={"X-API-Key": KEYS["TEST_KEY_ONE"]}) as client:
        await client.call_tool("ratchet.get_system_health", {})
    for path in (guarded.data_dir / "logs").glob("*.jsonl"):
        text = path.read_text()
        assert not any(key in text for key in KEYS.values())


async def test_addresses_in_answers_answer(shared_project: RunningProject) -> None:
    async with shared_project.client() as client:
        agent = Agent(client)
        result = await agent.run("steps", {"count": 3, "seconds": 0.01})
    async with shared_project.http() as http:
        trace = await http.get(result.structured["trace_url"])
        assert trace.status_code == 200
        assert trace.json()["trace"]["spans"][0]["name"] == "steps"
        logs = await http.get(result.structured["logs_url"], params={"limit": "2", "level": "info"})
        assert logs.status_code == 200
        assert [line["message"] for line in logs.json()["logs"]] == ["step <number>"]
        assert logs.json()["logs"][0]["count"] == 2
        unknown = await http.get("/traces/exec_unknown")
        assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "unknown_execution")
        for limit in ("many", "[" * 20_000):
            wrong = await http.get(result.structured["logs_url"], params={"limit": limit})
            assert (wrong.status_code, wrong.json()["error"]["type"]) == (400, "invalid_arguments")
            assert len(wrong.text) < 1_000
        assert (await http.get("/nowhere")).status_code == 404


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


async def test_a_browser_gets_pages_at_the_same_addresses(shared_project: RunningProject) -> None:
    async with shared_project.client() as client:
        agent = Agent(client)
        failed = await agent.run("fail", {"message": "<b>as asked</b>"})
        traced = await agent.call("get_execution_trace", {"execution_id": failed.structured["execution_id"]})
    addresses = [failed.structured["trace_url"], traced.structured["visualization_url"], failed.structured["logs_url"]]
    async with shared_project.http(headers=BROWSER) as http:
        for address in addresses:
            page = await http.get(address)
            assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert "&lt;b&gt;as asked&lt;/b&gt;" in page.text
            assert "<b>" not in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]
        filtered = await http.get(addresses[2], params={"level": "", "search": "no such line", "limit": "5"})
        assert "None of the" in filtered.text or "Nothing was logged" in filtered.text
        for path, status in (
            ("/traces/exec_unknown", 404),
            ("/traces/exec_unknown/visualize", 404),
            ("/logs/exec_unknown", 404),
            (f"{addresses[2]}?limit=many", 400),
            (f"{addresses[0]}?span_id=none", 400),
        ):
            refused = await http.get(path)
            assert refused.status_code == status
            assert refused.headers["content-type"] == "text/html; charset=utf-8"
            assert "<h1>" in refused.text


async def test_a_browser_without_a_key_is_told_what_to_do(guarded: RunningProject) -> None:
    async with guarded.http(headers=BROWSER) as http:
        for path in ("/traces/exec_1", "/traces/exec_1/visualize", "/logs/exec_1"):
            page = await http.get(path)
            assert page.status_code == 401
            assert page.headers["www-authenticate"].startswith("Bearer")
            command = 'curl -H "X-API-Key: $RATCHET_KEY" -H "Accept: text/html" -o page.html '
            assert f"{command}{guarded.base_url}{path}" in html.unescape(page.text)


@pytest.mark.parametrize("path", ["/mcp", "/logs/exec_1"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.example:80"}, 421), ({"Origin": "http://evil.example"}, 403)],
)
async def test_pages_of_the_web_are_kept_out(
    shared_project: RunningProject, path: str, headers: dict[str, str], status: int
) -> None:
    async with shared_project.http(headers={"Accept": "application/json, text/event-stream", **headers}) as client:
        response = await client.get(path)
    assert response.status_code == status


async def test_a_call_waits_across_a_restart_of_the_runner(tmp_path: Path) -> None:
    async with running_project(tmp_path / "project") as project, project.client() as client:
        agent = Agent(client)
        running = asyncio.create_task(agent.run("steps", {"count": 20, "seconds": 0.2}, wait_seconds=50))
        await eventually_async(lambda: project.child("task-runner").pid, "the runner runs")
        await asyncio.to_thread(_wait_for_execution, project)
        await asyncio.to_thread(project.kill, "task-runner")
        result = await running
    assert result.structured["status"] == "completed", result.text
    assert result.structured["output"] == 20


async def test_a_restarted_front_serves_the_same_port(tmp_path: Path) -> None:
    async with running_project(tmp_path / "project") as project:
        url = project.url
        async with Client(url) as client:
            before = await Agent(client).run("add", {"a": 1})
        await asyncio.to_thread(project.kill, "mcp-front")
        async with Client(url) as client:
            status = await Agent(client).call(
                "get_execution_status", {"execution_id": before.structured["execution_id"]}
            )
    assert status.structured["output"] == 2


@pytest.mark.parametrize("way", ["http-auto", "http-legacy", "sse-legacy"])
async def test_a_draining_front_answers_those_who_wait(tmp_path: Path, way: str) -> None:
    transport, _, mode = way.partition("-")
    config = {"mcp": {"server": {"transport": transport}}}
    async with running_project(tmp_path / "project", config=config) as project:
        one = Client(sse_client(project.sse_url), mode=mode) if transport == "sse" else project.client(mode)
        async with one as client:
            await client.list_tools()  # else it would, to validate the answer, when nobody listens any more
            running = asyncio.create_task(Agent(client).run("steps", {"count": 3, "seconds": 0.5}, wait_seconds=50))
            listening = asyncio.create_task(_listen(client)) if mode == "auto" else None
            await asyncio.to_thread(_wait_for_execution, project)
            stopping = asyncio.create_task(asyncio.to_thread(project.stop, signal.SIGTERM))
            result = await running
            assert result.structured["status"] == "running"
            assert "ratchet_get_execution_status" in result.structured["next"]
            if listening is not None:
                await listening  # it ended, rather than was lost
            assert await stopping == 0


async def _listen(client: Client) -> None:
    async with client.listen(tools_list_changed=True) as changes:
        assert not [change async for change in changes]


def _wait_for_execution(project: RunningProject) -> None:
    """Return when the log-store has something of a running execution."""
    from tests.harness import eventually

    database = project.data_dir / "logs.db"
    eventually(lambda: _rows(database) > 0, "the task has logged something")


def _rows(database: Path) -> int:
    import sqlite3

    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return connection.execute("SELECT count(*) FROM logs").fetchone()[0]
