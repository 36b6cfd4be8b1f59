"""Rate limits over real connections: exact for each client, whichever and however many ways it comes in."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing

import pytest
from mcp import Client

from tests.harness import Json, RunningProject, started_project
from tests.integration.policy_world import KEYS, TASKS, WAYS, Way, code_of, configuration, executed_for, told

ADMITTED = 10
CALLERS = 100
LIMITS = {"execute_task": f"{ADMITTED}/hour", "get_logs": f"{ADMITTED}/hour", "get_status": "3/second"}
HTTP, STDIO = (next(way for way in WAYS if way.transport == one) for one in ("http", "stdio"))


@pytest.fixture
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    config = configuration({"rate_limits": LIMITS})
    folder = tmp_path_factory.mktemp("limited") / "project"
    with started_project(folder, tasks=TASKS, config=config, environ=KEYS) as project:
        yield project


async def submit(client: Client) -> Json:
    return await told(client, "execute_task", task_id="safe-add", input={}, wait_seconds=0)


def accepted(project: RunningProject, client: str) -> int:
    with closing(sqlite3.connect(f"file:{project.data_dir}/executions.db?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT count(*) FROM executions WHERE client = ?", (client,)).fetchone()[0]


@pytest.mark.parametrize("way", [HTTP, STDIO], ids=lambda way: way.transport)
async def test_among_a_hundred_concurrent_callers_exactly_as_many_are_admitted_as_the_limit_says(
    limited: RunningProject, way: Way
) -> None:
    """Over several connections: each agent on stdio has a front of its own."""
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(way.client(limited)) for _ in range(4)]
        answers = await asyncio.gather(*(submit(connections[number % len(connections)]) for number in range(CALLERS)))
    refused = [one["error"] for one in answers if code_of(one) is not None]

    assert len(refused) == CALLERS - ADMITTED
    assert accepted(limited, way.name) == ADMITTED
    assert {one["type"] for one in refused} == {"rate_limited"}
    assert all(one["retryable"] and 0 < one["retry_after"] <= 3600 for one in refused)


async def test_a_limit_holds_across_the_death_of_a_front_and_for_one_client_and_tool_only(
    limited: RunningProject,
) -> None:
    execution_id = (await executed_for(limited, "guest", "safe-chatter", {"lines": 5})).execution_id
    async with HTTP.client(limited) as client:
        for _ in range(ADMITTED):
            assert code_of(await submit(client)) is None
    await asyncio.to_thread(limited.kill, "mcp-front")
    async with (
        HTTP.client(limited) as client,
        STDIO.client(limited) as local,
        limited.client(headers={"X-API-Key": KEYS["OTHER_KEY"]}) as unlimited,
    ):
        assert code_of(await submit(client)) == "rate_limited"
        assert code_of(await told(client, "execute_task", task_id="no-such", input={})) == "rate_limited"
        assert code_of(await told(client, "list_executions")) is None
        assert code_of(await told(client, "get_execution_logs", execution_id=execution_id)) is None
        assert code_of(await submit(local)) is None
        for _ in range(ADMITTED + 1):
            assert code_of(await submit(unlimited)) is None


async def test_a_page_is_the_tool_that_it_shows_and_says_when_to_come_again(limited: RunningProject) -> None:
    execution_id = (await executed_for(limited, "guest", "safe-add")).execution_id
    async with HTTP.client(limited) as client, limited.http(headers={"X-API-Key": KEYS["GUEST_KEY"]}) as http:
        for _ in range(ADMITTED // 2):
            assert code_of(await told(client, "get_execution_logs", execution_id=execution_id)) is None
            assert (await http.get(f"/logs/{execution_id}")).status_code == 200
        assert code_of(await told(client, "get_execution_logs", execution_id=execution_id)) == "rate_limited"
        refused = await http.get(f"/logs/{execution_id}")
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 3600
        assert (await http.get(f"/traces/{execution_id}")).status_code == 200


async def test_what_is_refused_for_another_reason_does_not_count(limited: RunningProject) -> None:
    async with HTTP.client(limited) as client:
        for _ in range(ADMITTED + 1):
            wrong = await told(client, "execute_task", task_id="safe-add")
            assert code_of(wrong) == "invalid_arguments"
        assert code_of(await submit(client)) is None


async def test_the_call_is_admitted_after_the_time_that_was_told(limited: RunningProject) -> None:
    execution_id = (await executed_for(limited, "guest", "safe-add")).execution_id
    async with HTTP.client(limited) as client:
        answers = [await told(client, "get_execution_status", execution_id=execution_id) for _ in range(20)]
        last = answers[-1]
        while code_of(last) is not None:
            assert 0 < last["error"]["retry_after"] <= 1
            assert f"{last['error']['retry_after']:g} s" in last["next"]
            await asyncio.sleep(last["error"]["retry_after"])
            last = await told(client, "get_execution_status", execution_id=execution_id)
    assert any(code_of(one) == "rate_limited" for one in answers)
