"""The audit log: every call and every refusal of every client, and nothing of what went in or came out."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import mcp_types as t
import pytest
from mcp.shared.exceptions import MCPError

from actors.mcp_front.transports.entrance import NOTED_MAX
from tests.harness import Json, RunningProject, eventually_async, started_project
from tests.integration.command_line import CommandLine
from tests.integration.policy_world import KEYS, TASKS, WAYS, Way, configuration, executed_for, told

EXECUTION = "ratchet://executions/{execution_id}"
SECRET = "correct-horse-battery-staple"
PERMISSIONS: Json = {
    "can_read_traces": False,
    "allowed_task_patterns": ["safe-*"],
    "rate_limits": {"list_tasks": "1/hour"},
}


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    folder = tmp_path_factory.mktemp("audited") / "project"
    with started_project(folder, tasks=TASKS, config=configuration(PERMISSIONS), environ=KEYS) as found:
        yield found


def listed(project: RunningProject, *options: str) -> list[Json]:
    """What `ratchet audit` lists, oldest first."""
    ran = CommandLine(project).run_process("audit", "--json", "--limit", "1000", *options)
    assert ran.code == 0, ran.err
    found: list[Json] = ran.json["records"]
    return found[::-1]


async def records(project: RunningProject, count: int) -> list[Json]:
    """All of it, once it is so many."""

    def look() -> list[Json] | None:
        found = listed(project)
        return found if len(found) >= count else None

    return await eventually_async(look, f"{count} records")


def told_of(record: Json, *fields: str) -> tuple[Any, ...]:
    return tuple(record[field] for field in fields)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.transport}-{way.mode}")
async def test_every_call_and_refusal_is_recorded(project: RunningProject, way: Way) -> None:
    own = (await executed_for(project, way.name, "safe-add")).execution_id
    foreign = (await executed_for(project, way.foreigner, "safe-add")).execution_id
    async with way.client(project) as client:
        ran = await told(client, "ratchet.execute_task", task_id="safe-add", input={"a": 41}, metadata={"why": SECRET})
        await told(client, "execute_task", task_id="other-add", input={})
        await told(client, "execute_task", task_id="safe-add", input={"a": SECRET})
        await told(client, "execute_task", task_id="safe-add")
        await told(client, "get_execution_status", execution_id=own)
        await told(client, "get_execution_status", execution_id=foreign)
        await told(client, "get_execution_trace", execution_id=own)
        await told(client, "list_available_tasks", filter=SECRET)
        await told(client, "list_available_tasks")
        with pytest.raises(MCPError):
            await client.call_tool("drop_tables", {"name": SECRET})
        await client.get_prompt("debug_failed_execution", {"execution_id": own})
        for execution_id, name in ((foreign, "debug_failed_execution"), (own, "sing")):
            with pytest.raises(MCPError):
                await client.get_prompt(name, {"execution_id": execution_id})
        await client.complete(t.ResourceTemplateReference(uri=EXECUTION), {"name": "execution_id", "value": own})
        with pytest.raises(MCPError):
            await client.complete(t.PromptReference(name="run_task"), {"name": "task_id", "value": SECRET})
    found = await records(project, 15)

    assert [told_of(one, "tool", "task_id", "execution_id", "decision", "code") for one in found] == [
        ("execute_task", "safe-add", ran["execution_id"], "allowed", None),
        ("execute_task", "other-add", None, "refused", "forbidden"),
        ("execute_task", "safe-add", None, "allowed", "invalid_input"),
        ("execute_task", "safe-add", None, "allowed", "invalid_arguments"),
        ("get_execution_status", "safe-add", own, "allowed", None),
        ("get_execution_status", None, foreign, "refused", "unknown_execution"),
        ("get_execution_trace", None, own, "refused", "forbidden"),
        ("list_available_tasks", None, None, "allowed", None),
        ("list_available_tasks", None, None, "refused", "rate_limited"),
        ("drop_tables", None, None, "refused", "unknown_tool"),
        ("analyze_execution_error", "safe-add", own, "allowed", None),
        ("analyze_execution_error", None, foreign, "refused", "unknown_execution"),
        ("sing", None, None, "refused", "unknown_prompt"),
        ("list_executions", None, None, "allowed", None),
        ("list_available_tasks", None, None, "refused", "rate_limited"),
    ]
    assert {told_of(one, "client", "transport") for one in found} == {(way.name, way.transport)}
    assert len({one["session_id"] for one in found}) == 1
    assert (found[0]["session_id"] is None) is (way == WAYS[0]), "the current protocol has no sessions over HTTP"
    assert [one["at_ns"] for one in found] == sorted(one["at_ns"] for one in found)
    assert all(one["duration_ms"] >= 0 for one in found)
    assert found[0]["duration_ms"] > 0
    text = json.dumps(found)
    assert SECRET not in text
    assert "41" not in [str(value) for one in found for value in one.values()]

    refused = await asyncio.to_thread(listed, project, "--refused", "--client", way.name)
    assert refused == [one for one in found if one["decision"] == "refused"]
    assert await asyncio.to_thread(listed, project, "--client", way.foreigner) == []
    assert await asyncio.to_thread(listed, project, "--since", "1h") == found


async def test_pages_and_those_who_are_not_let_in_are_recorded(project: RunningProject) -> None:
    execution_id = (await executed_for(project, "guest", "safe-add")).execution_id
    async with project.http() as http:
        for _ in range(NOTED_MAX + 20):
            assert (await http.post("/mcp", headers={"X-API-Key": f"wrong-{SECRET}"}, json={})).status_code == 401
        assert (await http.get("/healthz")).status_code == 200
    async with project.http(headers={"X-API-Key": KEYS["GUEST_KEY"]}) as http:
        assert (await http.get(f"/logs/{execution_id}")).status_code == 200
        assert (await http.get(f"/traces/{execution_id}")).status_code == 403
    found = await records(project, NOTED_MAX + 2)

    assert [told_of(one, "client", "tool", "code") for one in found[:-2]] == [
        (None, "POST /mcp", "unauthenticated")
    ] * NOTED_MAX
    assert [told_of(one, "client", "tool", "execution_id", "code") for one in found[-2:]] == [
        ("guest", "get_execution_logs", execution_id, None),
        ("guest", "get_execution_trace", execution_id, "forbidden"),
    ]
    assert SECRET not in json.dumps(found)


async def test_records_outlive_the_death_of_the_runner_that_should_take_them(project: RunningProject) -> None:
    async with WAYS[0].client(project) as client:
        await told(client, "list_executions")
        await asyncio.to_thread(project.kill, "task-runner")
        for _ in range(3):
            await told(client, "list_executions")
    found = await records(project, 4)

    assert [one["tool"] for one in found] == ["list_executions"] * 4
    assert len({one["record_id"] for one in found}) == 4


async def test_what_an_agent_did_last_is_recorded_when_it_leaves(project: RunningProject) -> None:
    async with WAYS[2].client(project) as client:
        await told(client, "get_system_health")

    assert [one["tool"] for one in await records(project, 1)] == ["get_system_health"]


async def test_people_get_a_table(project: RunningProject) -> None:
    line = CommandLine(project)
    empty = await asyncio.to_thread(line.run_process, "audit")
    assert (empty.code, empty.out) == (0, "no records\n")
    async with WAYS[0].client(project) as client:
        await told(client, "execute_task", task_id="other-add", input={})
    await records(project, 1)
    shown = await asyncio.to_thread(line.run_process, "audit", "--refused")

    heading, row = shown.out.splitlines()
    assert heading.split() == ["TIME", "CLIENT", "VIA", "CALL", "ABOUT", "DECISION", "DURATION"]
    assert row.split()[1:] == ["guest", "http", "execute_task", "other-add", "refused:", "forbidden"]
