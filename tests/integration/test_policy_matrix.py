"""Every way to every tool, for every set of permissions, own and foreign, against one table of expectations.

The table is written by hand, in `policy_table.py`: a tool, a route or another kind of offer without a row there fails.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

import mcp_types as t
import pytest
from mcp import Client
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp_types import LoggingMessageNotificationParams

from actors.mcp_front.front import Front
from actors.mcp_front.tools.table import TOOLS
from actors.mcp_front.transports.routes import make_routes
from actors.mcp_front.transports.sse import SseFront
from tests.harness import Json, RunningProject, started_project
from tests.integration.listening import Updates, subscribed
from tests.integration.policy_table import (
    ALIASES,
    EXECUTES,
    EXECUTION,
    EXPECTED,
    EXPECTED_EXPOSED,
    EXPECTED_PROMPTS,
    EXPECTED_RESOURCES,
    EXPECTED_ROUTES,
    EXPOSED_PATTERNS,
    HTTP_STATUS,
    LOGS,
    SETS,
    TRACES,
    Row,
    expected,
    exposed_to,
)
from tests.integration.policy_world import (
    KEYS,
    LOCAL,
    SSE,
    TASKS,
    WAYS,
    Way,
    code_of,
    configuration,
    entered,
    executed_for,
    outcome,
    told,
)

every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.transport}-{way.mode}")
# The older transport leads to the same handlers: it is asked for one of each.
every_way_and_sse = pytest.mark.parametrize("way", [*WAYS, SSE], ids=lambda way: f"{way.transport}-{way.mode}")


@dataclass(frozen=True)
class World:
    """A project in which everybody has the same permissions, and an execution of each client."""

    project: RunningProject
    permissions: Json
    executions: Mapping[str, str]

    def arguments(self, row: Row, client: str) -> Json:
        return {name: self.executions[client] if name in EXECUTION else value for name, value in row.arguments.items()}


@pytest.fixture(scope="module", params=SETS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningProject, Json]]:
    permissions = SETS[request.param]
    folder = tmp_path_factory.mktemp(request.param) / "project"
    config = configuration(permissions, expose_tasks=EXPOSED_PATTERNS, transport="sse")
    with started_project(folder, tasks=TASKS, config=config, environ=KEYS) as project:
        yield project, permissions


@pytest.fixture
async def world(running: tuple[RunningProject, Json]) -> World:
    project, permissions = running
    executions = {name: (await executed_for(project, name, "safe-add")).execution_id for name in ("guest", LOCAL)}
    return World(project, permissions, executions)


def test_every_tool_and_every_route_has_a_row() -> None:
    nobody = cast("Front", None)
    routes = make_routes(nobody, TransportSecuritySettings(), authenticated=True)

    older = SseFront(*[cast("Any", None)] * 5).routes(authenticated=True)

    assert EXPECTED.keys() == TOOLS.keys()
    assert {route.path for route in older} == {"/sse", "/messages/"}, "a way to the same tools"
    assert {route.path for route in routes} == EXPECTED_ROUTES.keys()


@every_way_and_sse
async def test_every_name_of_every_tool(world: World, way: Way) -> None:
    found: dict[tuple[str, bool], str | None] = {}
    wanted: dict[tuple[str, bool], str | None] = {}
    async with entered(world.project, way) as client:
        for (name, row), alias, own in product(EXPECTED.items(), ALIASES if way != SSE else ALIASES[:1], (True, False)):
            arguments = world.arguments(row, way.name if own else way.foreigner)
            called = alias.format(name)
            found[called, own] = await outcome(client, called, arguments)
            wanted[called, own] = expected(row, world.permissions, own=own) or row.ended

    assert found == wanted


@every_way
async def test_lists_hold_what_may_be_used_and_nothing_else(world: World, way: Way) -> None:
    async with entered(world.project, way) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        instructions = client.instructions or ""
        tasks = await told(client, "list_available_tasks")
        filters: tuple[Json, ...] = (
            {},
            {"task_id": "safe-add"},
            {"status": "completed"},
            {"task_id": "safe-add", "sort": "oldest"},
        )
        listings = [await told(client, "list_executions", limit=100, **one) for one in filters]
    usable = {name for name, row in EXPECTED.items() if expected(row, world.permissions, own=True) is None}
    assert tools == {f"ratchet_{name}" for name in usable} | exposed_to(world.permissions)
    if way.transport == "stdio":
        assert not [name for name in EXPECTED.keys() - usable if name in instructions]

    everything = {"safe-add", "safe-sleep", "safe-chatter", "other-add"}
    patterns = world.permissions.get("allowed_task_patterns")
    runnable = {one for one in everything if one.startswith("safe-")} if patterns else everything
    may_execute = world.permissions.get(EXECUTES, True)
    assert {row["task_id"] for row in tasks["tasks"]} == (runnable if may_execute else set())
    assert tasks["total"] == len(tasks["tasks"])
    assert bool(tasks["broken_files"]) is (may_execute and not patterns)

    for listing in listings:
        assert {row["source"]["client"] for row in listing["executions"]} == {way.name}
        ids = {row["execution_id"] for row in listing["executions"]}
        assert world.executions[way.name] in ids
        assert world.executions[way.foreigner] not in ids


@every_way_and_sse
async def test_every_exposed_task(world: World, way: Way) -> None:
    """It runs for whom it is listed, and is unknown to everybody else, whoever has been told of it."""
    found: dict[str, str | None] = {}
    async with entered(world.project, way) as client:
        for name in EXPECTED_EXPOSED:
            try:
                result = await client.call_tool(name, {})
            except MCPError as error:
                found[name] = error.message.partition(":")[0]
            else:
                assert not result.is_error
                found[name] = None
                owned = await told(client, "get_execution_status", **execution_of(result.meta))
                assert (owned["task_id"], owned["source"]["client"]) == (name, way.name)
    there = exposed_to(world.permissions)
    assert found == {name: None if name in there else f"Unknown tool '{name}'" for name in EXPECTED_EXPOSED}


def execution_of(meta: Mapping[str, Any] | None) -> Json:
    return {"execution_id": (meta or {})["ratchet/execution_id"]}


@every_way
async def test_the_log_of_a_call_is_sent_to_whom_may_read_it(world: World, way: Way) -> None:
    said: list[Any] = []

    async def hear(params: LoggingMessageNotificationParams) -> None:
        said.append(params.data)

    async with entered(world.project, way, logging_callback=hear, log_level="info") as client:
        if way.mode == "legacy":
            with pytest.warns(MCPDeprecationWarning):
                await client.set_logging_level("info")  # pyright: ignore[reportDeprecated]
        await outcome(client, "execute_task", {"task_id": "safe-chatter", "input": {"lines": 5}})

    may = all(world.permissions.get(name, True) for name in (EXECUTES, LOGS))
    assert len(said) == (5 if may else 0)


@every_way_and_sse
async def test_every_resource(world: World, way: Way) -> None:
    found: dict[tuple[str, bool], bool] = {}
    wanted: dict[tuple[str, bool], bool] = {}
    async with entered(world.project, way) as client:
        templates = {one.uri_template for one in (await client.list_resource_templates()).resource_templates}
        for (template, tool), own in product(EXPECTED_RESOURCES.items(), (True, False)):
            code = expected(EXPECTED[tool], world.permissions, own=own)
            uri = template.format(task_id="safe-add", execution_id=world.executions[way.name if own else way.foreigner])
            wanted[uri, own] = code is None
            try:
                found[uri, own] = bool((await client.read_resource(uri)).contents)
            except MCPError:
                found[uri, own] = False
            if tool != "execute_task":  # executions change, and who may read one may hear of it
                assert await can_subscribe(client, uri) is (code is None)
            if own and code is not None and tool != "execute_task":
                assert template not in templates

    assert found == wanted
    assert templates <= EXPECTED_RESOURCES.keys()


async def can_subscribe(client: Client, uri: str) -> bool:
    try:
        async with subscribed(client, Updates(), [uri]):
            return True
    except MCPError:
        return False


@every_way_and_sse
async def test_every_prompt(world: World, way: Way) -> None:
    found: dict[tuple[str, bool], bool] = {}
    wanted: dict[tuple[str, bool], bool] = {}
    withheld = [name for name, row in EXPECTED.items() if expected(row, world.permissions, own=True) is not None]
    async with entered(world.project, way) as client:
        named = {one.name for one in (await client.list_prompts()).prompts}
        for (name, (tool, given)), own in product(EXPECTED_PROMPTS.items(), (True, False)):
            execution_id = world.executions[way.name if own else way.foreigner]
            arguments = {key: execution_id if key in EXECUTION else value for key, value in given.items()}
            wanted[name, own] = expected(EXPECTED[tool], world.permissions, own=own) is None
            text, why = await prompted(client, name, arguments)
            found[name, own] = why is None
            assert [one for one in withheld if f"ratchet_{one}" in text] == []
            if name not in named:
                assert why is not None
                assert why.replace(name, "X") == str((await prompted(client, "sing", arguments))[1]).replace(
                    "sing", "X"
                )

    assert found == wanted
    assert named == {name for name in EXPECTED_PROMPTS if wanted[name, True]}


async def prompted(client: Client, name: str, arguments: dict[str, str]) -> tuple[str, str | None]:
    """What a prompt says, or why there is none."""
    try:
        return (await client.get_prompt(name, arguments)).model_dump_json(), None
    except MCPError as error:
        return "", error.error.message


@every_way
async def test_only_what_the_client_would_be_shown_is_suggested(world: World, way: Way) -> None:
    own, foreign = world.executions[way.name], world.executions[way.foreigner]
    async with entered(world.project, way) as client:

        async def suggested(uri: str, argument: str, value: str) -> list[str]:
            reference = t.ResourceTemplateReference(uri=uri)
            return (await client.complete(reference, {"name": argument, "value": value})).completion.values

        for template, tool in EXPECTED_RESOURCES.items():
            if tool == "execute_task":
                tasks = {row["task_id"] for row in (await told(client, "list_available_tasks"))["tasks"]}
                assert set(await suggested(template, "task_id", "")) == tasks
            elif expected(EXPECTED[tool], world.permissions, own=True) is None:
                assert await suggested(template, "execution_id", own) == [own]
                assert await suggested(template, "execution_id", foreign) == []
            else:
                with pytest.raises(MCPError):
                    await suggested(template, "execution_id", own)


async def test_every_route(world: World) -> None:
    found: dict[tuple[str, bool], int] = {}
    wanted: dict[tuple[str, bool], int] = {}
    async with world.project.http(headers={"X-API-Key": KEYS["GUEST_KEY"]}) as http:
        for (path, tool), own in product(EXPECTED_ROUTES.items(), (True, False)):
            address = path.format(execution_id=world.executions["guest" if own else LOCAL])
            code = None if tool is None else expected(EXPECTED[tool], world.permissions, own=own)
            for accept in ("*/*", "text/html"):
                response = await http.get(address, headers={"Accept": accept})
                asked = f"{path} as {accept}"
                found[asked, own], wanted[asked, own] = response.status_code, HTTP_STATUS[code]
                if response.headers["content-type"] == "application/json":
                    assert code_of(response.json()) == code
                else:
                    # A page leads only to pages that would answer, and a refusal names nothing of what it hides.
                    mine = world.executions["guest"]
                    for kind, permission in (("logs", LOGS), ("traces", TRACES)):
                        shown = code is None and world.permissions.get(permission, True)
                        assert (f'href="/{kind}/{mine}' in response.text) is shown
                    assert ("safe-add" in response.text) is (code is None)

    assert found == wanted


@every_way
async def test_a_foreign_execution_is_told_of_like_one_that_does_not_exist(world: World, way: Way) -> None:
    foreign, missing = world.executions[way.foreigner], "exec_00000000000000000000000000000000"
    async with entered(world.project, way) as client:
        for name in (name for name, row in EXPECTED.items() if row.about_execution):
            answers = [
                (await client.call_tool(name, {"execution_id": one})).model_dump_json().replace(one, "ID")
                for one in (foreign, missing)
            ]
            assert answers[0] == answers[1], name


@every_way
async def test_tasks_that_may_not_be_used_leave_no_trace(world: World, way: Way) -> None:
    """Neither refusals nor hints at what was meant tell whether such a task exists, or of a file that would hold it."""
    patterns = world.permissions.get("allowed_task_patterns")
    async with entered(world.project, way) as client:

        async def run(task_id: str) -> tuple[str | None, str]:
            answer = await told(client, "execute_task", task_id=task_id, input={})
            return code_of(answer), str(answer.get("error"))

        if not world.permissions.get(EXECUTES, True):
            for task_id in ("safe-add", "other-add", "no-such-task", "safe-wipe"):
                assert (await run(task_id))[0] == "forbidden"
        elif patterns:
            there, missing = await run("other-add"), await run("other-odd")
            assert there[0] == "forbidden"
            assert there[1].replace("other-add", "X") == missing[1].replace("other-odd", "X")
            code, message = await run("safe-other-add")
            assert code == "unknown_task"
            assert "'other-add'" not in message
        else:
            assert (await run("other-add"))[0] is None
            assert "other-add" in (await run("other-addd"))[1]
        if world.permissions.get(EXECUTES, True):
            code, message = await run("safe-wipee")
            assert code == "unknown_task"
            assert "'safe-wipe'" not in message
            assert (await run("safe-wipe"))[0] == "forbidden"


async def test_answers_name_neither_calls_nor_addresses_that_would_be_refused(world: World) -> None:
    headers = {"X-API-Key": KEYS["GUEST_KEY"]}
    async with world.project.http(headers=headers) as http, entered(world.project, WAYS[0]) as client:
        status = await told(client, "get_execution_status", execution_id=world.executions["guest"])
        addresses = [status["trace_url"], status["logs_url"]]
        assert [one is None for one in addresses] == [
            not world.permissions.get(TRACES, True),
            not world.permissions.get(LOGS, True),
        ]
        for address in filter(None, addresses):
            assert (await http.get(address)).status_code == 200
