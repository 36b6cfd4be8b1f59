"""What each key of the original design's configuration changes, and that its example starts a server as it stands.

Two projects: in one every key restricts something, in the other none does. A test looks at both.
"""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from mcp import Client

from tests.harness import Json, RunningProject, eventually_async, folder_project, started_project
from tests.integration.policy_world import GUEST, KEYS, TASKS, code_of, configuration, executed_for, told

EXECUTION_SECONDS = 1.5
LOG_ENTRIES = 5
UNFINISHED = 2
EXAMPLE = (Path(__file__).parent / "original.yaml").read_text()
# Key of the example by what holds it to what it says: a test here, or a suite of its own.
HELD = {
    "mcp.servers.name": "test_the_example_starts_a_server_as_it_stands",
    "mcp.server.enabled": "test_there_is_a_port_only_where_one_is_wanted",
    "mcp.server.transport": "test_there_is_a_port_only_where_one_is_wanted",
    "mcp.server.bind_address": "test_the_example_starts_a_server_as_it_stands",
    "mcp.server.auth.type": "test_the_example_starts_a_server_as_it_stands",
    "mcp.server.auth.api_keys.key": "test_the_example_starts_a_server_as_it_stands",
    "mcp.server.auth.api_keys.name": "test_the_example_starts_a_server_as_it_stands",
    "mcp.server.auth.api_keys.permissions.can_execute_tasks": "test_policy_matrix.py",
    "mcp.server.auth.api_keys.permissions.can_read_logs": "test_policy_matrix.py",
    "mcp.server.auth.api_keys.permissions.can_read_traces": "test_policy_matrix.py",
    "mcp.server.auth.api_keys.permissions.allowed_task_patterns": "test_policy_matrix.py",
    "mcp.server.auth.api_keys.permissions.rate_limits.execute_task": "test_policy_limits.py",
    "mcp.server.auth.api_keys.permissions.rate_limits.get_logs": "test_policy_limits.py",
    "mcp.server.security.max_execution_time": "test_max_execution_time",
    "mcp.server.security.max_log_entries": "test_max_log_entries",
    "mcp.server.security.allow_dangerous_tasks": "test_allow_dangerous_tasks",
    "mcp.server.security.audit_log_enabled": "test_audit_log_enabled",
    "mcp.server.performance.max_concurrent_executions_per_client": "test_max_concurrent_executions_per_client",
    "mcp.server.performance.execution_queue_size": "test_execution_queue_size",
    "mcp.server.performance.log_cache_ttl": "test_log_cache_ttl",
}


def keys_of(data: Any, prefix: str = "") -> Iterator[str]:
    """The leaves of the example, dotted."""
    match data:
        case dict():
            for name, value in data.items():  # pyright: ignore[reportUnknownVariableType] - plain data
                yield from keys_of(value, f"{prefix}.{name}" if prefix else str(name))  # pyright: ignore[reportUnknownArgumentType]
        case [dict(), *_]:
            yield from keys_of(data[0], prefix)
        case _:
            yield prefix


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    """Every key says something."""
    config = configuration(
        {},
        security={
            "max_execution_time": EXECUTION_SECONDS,
            "max_log_entries": LOG_ENTRIES,
            "allow_dangerous_tasks": False,
            "audit_log_enabled": True,
        },
        performance={
            "max_concurrent_executions_per_client": UNFINISHED,
            "execution_queue_size": 1,
            "log_cache_ttl": 300,
        },
    )
    folder = tmp_path_factory.mktemp("bounded") / "project"
    with started_project(folder, tasks=TASKS, config=config, environ=KEYS) as project:
        yield project


@pytest.fixture(scope="module")
def unbounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    """No key restricts anything."""
    config = configuration({}, security={"allow_dangerous_tasks": True, "audit_log_enabled": False})
    folder = tmp_path_factory.mktemp("unbounded") / "project"
    with started_project(folder, tasks=TASKS, config=config, environ=KEYS) as project:
        yield project


def guest(project: RunningProject) -> Client:
    return project.client(headers={"X-API-Key": KEYS["GUEST_KEY"]})


def other(project: RunningProject) -> Client:
    return project.client(headers={"X-API-Key": KEYS["OTHER_KEY"]})


async def run(client: Client, task_id: str, wait_seconds: float = 20, **given: Any) -> Json:
    return await told(client, "execute_task", task_id=task_id, input=given, wait_seconds=wait_seconds)


async def settled(project: RunningProject) -> None:
    """Return when nothing runs any more."""

    def idle() -> bool:
        with closing(sqlite3.connect(f"file:{project.data_dir}/executions.db?mode=ro", uri=True)) as connection:
            query = "SELECT count(*) FROM executions WHERE status IN ('queued', 'running')"
            return connection.execute(query).fetchone()[0] == 0

    await eventually_async(idle, "nothing runs")


def test_every_key_of_the_example_is_held_to_what_it_says() -> None:
    folder = Path(__file__).parent

    assert list(keys_of(yaml.safe_load(EXAMPLE))) == list(HELD)
    for holder in HELD.values():
        assert (folder / holder).exists() if holder.endswith(".py") else holder in globals()


async def test_the_example_starts_a_server_as_it_stands(tmp_path: Path) -> None:
    environ = {"MCP_API_KEY_1": KEYS["GUEST_KEY"], "XDG_DATA_HOME": str(tmp_path / "home")}
    with folder_project(tmp_path / "project", tasks=TASKS, environ=environ) as project:
        # Another port than the example's: several tests run at a time.
        project.config_path.write_text(EXAMPLE.replace("0.0.0.0:8090", "0.0.0.0:0"))
        await asyncio.to_thread(project.start)
        assert "mcp.servers" in project.said()
        async with guest(project) as client:
            assert {row["task_id"] for row in (await told(client, "list_available_tasks"))["tasks"]} == {
                "safe-add",
                "safe-sleep",
                "safe-chatter",
            }
            ran = await run(client, "safe-add", a=1)
            assert ran["output"] == 2
            status = await told(client, "get_execution_status", execution_id=ran["execution_id"])
            assert status["source"]["client"] == "ai-assistant"
            assert code_of(await run(client, "other-add")) == "forbidden"
            codes = [code_of(await run(client, "safe-add", 0, a=number)) for number in range(10)]
            assert codes == [None] * 9 + ["rate_limited"]
        async with project.http() as http:
            assert (await http.post("/mcp", json={})).status_code == 401
            answer = await http.post("/mcp", json={}, headers={"X-API-Key": "wrong-0123456789abcdef"})
            assert answer.status_code == 401


@pytest.mark.parametrize(
    ("settings", "paths"),
    [({"enabled": False}, []), ({"transport": "stdio"}, []), ({"transport": "sse"}, ["/mcp", "/sse"])],
)
def test_there_is_a_port_only_where_one_is_wanted(tmp_path: Path, settings: Json, paths: list[str]) -> None:
    with started_project(tmp_path / "project", tasks=TASKS, config={"mcp": {"server": settings}}) as project:
        status = project.status()
        assert status is not None
        assert [urlsplit(one).path for one in status.addresses] == paths


async def test_the_older_transport_is_there_only_where_it_is_configured(bounded: RunningProject) -> None:
    status = bounded.status()
    assert status is not None
    assert [urlsplit(one).path for one in status.addresses] == ["/mcp"]
    async with bounded.http() as http:
        assert (await http.get("/sse")).status_code == 404


async def test_max_execution_time(bounded: RunningProject, unbounded: RunningProject) -> None:
    async with guest(bounded) as client:
        ended = await run(client, "safe-sleep", seconds=30)
    assert (ended["status"], ended["error"]["category"]) == ("failed", "timeout")

    async with guest(unbounded) as client:
        ended = await run(client, "safe-sleep", seconds=EXECUTION_SECONDS + 0.5)
    assert ended["output"] == "slept"


async def test_max_log_entries(bounded: RunningProject, unbounded: RunningProject) -> None:
    for project, shown_max in ((bounded, LOG_ENTRIES), (unbounded, 20)):
        execution_id = (await executed_for(project, GUEST, "safe-chatter", {"lines": 20})).execution_id
        async with guest(project) as client:
            seen, cursor, shown = 0, {}, list[int]()
            while True:
                page = await told(
                    client, "get_execution_logs", execution_id=execution_id, level="info", limit=50, **cursor
                )
                shown.append(page["summary"]["shown"])
                seen += shown[-1]
                if not page["more"]:
                    break
                cursor = {"cursor": page["next_cursor"]}
        assert max(shown) == shown_max
        assert seen == 20, "nothing is out of reach"


async def test_allow_dangerous_tasks(bounded: RunningProject, unbounded: RunningProject) -> None:
    async with guest(bounded) as client:
        refused = await run(client, "safe-wipe")
        listed = [row["task_id"] for row in (await told(client, "list_available_tasks"))["tasks"]]
    assert code_of(refused) == "forbidden"
    assert "allow_dangerous_tasks" in refused["error"]["message"]
    assert "safe-wipe" not in listed
    assert (await executed_for(bounded, "local", "safe-wipe")).output == "wiped", "people at a shell do as they like"

    async with guest(unbounded) as client:
        assert (await run(client, "safe-wipe"))["output"] == "wiped"
        listing = (await told(client, "list_available_tasks", filter="safe-wipe"))["tasks"]
    assert [(row["task_id"], row["dangerous"]) for row in listing] == [("safe-wipe", True)]


async def test_audit_log_enabled(bounded: RunningProject, unbounded: RunningProject) -> None:
    def rows(project: RunningProject) -> int:
        with closing(sqlite3.connect(f"file:{project.data_dir}/executions.db?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT count(*) FROM audit WHERE tool = 'get_system_health'").fetchone()[0]

    for project in (unbounded, bounded):
        async with guest(project) as client:
            await told(client, "get_system_health")
    await eventually_async(lambda: rows(bounded) == 1, "the call is recorded")
    assert rows(unbounded) == 0


async def test_max_concurrent_executions_per_client(bounded: RunningProject, unbounded: RunningProject) -> None:
    async with guest(bounded) as client, other(bounded) as another:
        answers = await asyncio.gather(*(run(client, "safe-sleep", 0) for _ in range(10)))
        codes = [code_of(one) for one in answers]
        assert codes.count(None) == UNFINISHED
        assert codes.count("too_many_executions") == 10 - UNFINISHED
        refused = next(one for one in answers if code_of(one))
        assert refused["error"]["retryable"]
        assert str(UNFINISHED) in refused["error"]["message"]
        assert code_of(await run(another, "safe-sleep", 0)) is None, "another client has executions of its own"
        await settled(bounded)
        assert code_of(await run(client, "safe-add")) is None

    async with guest(unbounded) as client:
        answers = await asyncio.gather(*(run(client, "safe-sleep", 0, seconds=0.01) for _ in range(10)))
        assert [code_of(one) for one in answers] == [None] * 10


async def test_execution_queue_size(bounded: RunningProject, unbounded: RunningProject) -> None:
    await settled(bounded)
    async with guest(bounded) as client, other(bounded) as another:
        for _ in range(UNFINISHED):  # as many as run at a time
            assert code_of(await run(client, "safe-sleep", 0)) is None
        assert code_of(await run(another, "safe-sleep", 0)) is None
        assert code_of(await run(another, "safe-sleep", 0)) == "queue_full"
        await settled(bounded)

    async with guest(unbounded) as client:
        answers = await asyncio.gather(*(run(client, "safe-sleep", 0, seconds=0.01) for _ in range(10)))
        assert [code_of(one) for one in answers] == [None] * 10


async def test_log_cache_ttl(bounded: RunningProject, unbounded: RunningProject) -> None:
    """An answer that is kept does not see what somebody does to the file behind the store's back."""
    for project, kept in ((bounded, True), (unbounded, False)):
        execution_id = (await executed_for(project, GUEST, "safe-chatter", {"lines": 5})).execution_id
        async with guest(project) as client, other(project) as stranger:

            async def words(client: Client = client, execution_id: str = execution_id, **more: Any) -> str:
                return str((await told(client, "get_execution_logs", execution_id=execution_id, **more)).get("logs"))

            assert "alpha" in await words()
            with closing(sqlite3.connect(project.data_dir / "logs.db", timeout=20)) as connection, connection:
                connection.execute("UPDATE logs SET message = 'changed' WHERE execution_id = ?", (execution_id,))
            assert ("alpha" in await words()) is kept
            assert "changed" in await words(limit=4), "another question has another answer"
            refused = await told(stranger, "get_execution_logs", execution_id=execution_id)
            assert code_of(refused) == "unknown_execution", "what is kept is kept for whom it was made"


async def test_logs_of_what_still_runs_are_not_kept(bounded: RunningProject) -> None:
    await settled(bounded)
    async with guest(bounded) as client:
        running = await run(client, "safe-sleep", 0)
        began = time.monotonic()
        first = await told(client, "get_execution_logs", execution_id=running["execution_id"])
        assert first["status"] in ("queued", "running"), f"after {time.monotonic() - began:.1f} s"
        await settled(bounded)
        second = await told(client, "get_execution_logs", execution_id=running["execution_id"])
    assert second["status"] == "failed"
