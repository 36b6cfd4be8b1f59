"""Every tool, as agents use it, on both transports and in both eras."""

import asyncio
import json
from typing import Any

import jsonschema_rs
import pytest
from mcp.shared.exceptions import MCPError

from actors.mcp_front.tools.table import TOOLS
from tests.harness import Json, RunningProject
from tests.integration.agents import WAY_IDS, WAYS, Agent, Result, agent

pytestmark = pytest.mark.parametrize("way", WAYS, ids=WAY_IDS)

CHARACTERS_MAX = 8_000


def fits(tool: str, result: Result) -> Result:
    """The result, which is one that the tool's output schema allows and that a context window takes."""
    jsonschema_rs.validate(TOOLS[tool].output_schema, result.structured)
    assert len(result.text) <= CHARACTERS_MAX
    return result


async def ran(agent: Agent, task_id: str, given: Json | None = None, **more: Any) -> Result:
    return fits("execute_task", await agent.run(task_id, given, **more))


async def test_tools_are_listed_on_one_page_in_the_order_of_the_table(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        listing = await one.client.list_tools()
    assert [tool.name for tool in listing.tools] == [f"ratchet_{name}" for name in TOOLS]
    assert listing.next_cursor is None
    for tool in listing.tools:
        row = TOOLS[tool.name.removeprefix("ratchet_")]
        assert tool.input_schema == row.input_schema
        assert tool.output_schema == row.output_schema
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (row.effect == "reads")


async def test_a_task_runs_and_its_execution_can_be_read_back(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        result = await ran(one, "add", {"a": 2, "b": 3}, metadata={"why": "a test"})
        assert result.structured["status"] == "completed"
        assert result.structured["output"] == 5
        assert result.structured["duration_ms"] > 0
        assert "Output: 5" in result.text
        assert not result.failed
        execution_id = result.structured["execution_id"]
        status = fits(
            "get_execution_status", await one.call("get_execution_status", {"execution_id": execution_id})
        ).structured
    assert status["output"] == 5
    assert status["input"] == {"a": 2, "b": 3}
    assert status["metadata"] == {"why": "a test"}
    assert status["source"]["kind"] == "mcp"
    assert status["source"]["client"] == "local"
    assert status["source"]["client_info"]["name"] == "mcp"
    assert len(status["attempts"]) == 1
    assert status["created_at"] <= status["ended_at"]


async def test_a_failure_says_the_cause_first_and_what_to_call_next(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        result = await ran(one, "fail", {"message": "no such row"})
    assert result.failed
    error = result.structured["error"]
    assert (error["type"], error["message"], error["category"]) == ("RuntimeError", "no such row", "exception")
    assert error["location"]["function"] == "fail"
    assert error["location"]["source"].startswith("raise RuntimeError(message)")
    assert error["causes"][0]["type"] == "ValueError"
    assert result.structured["execution_id"] in result.structured["next"]
    assert "ratchet_analyze_execution_error" in result.structured["next"]
    first_lines = result.text.splitlines()[:2]
    assert "RuntimeError: no such row" in first_lines
    assert result.structured["next"] in result.text


async def test_a_wait_that_is_over_says_which_call_follows_the_execution(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        result = await ran(one, "steps", {"count": 10, "seconds": 0.1}, wait_seconds=0.2)
        assert result.structured["status"] == "running"
        assert not result.failed
        execution_id = result.structured["execution_id"]
        assert "ratchet_get_execution_status" in result.structured["next"]
        assert execution_id in result.structured["next"]
        followed = await one.call("get_execution_status", {"execution_id": execution_id, "wait_seconds": 30})
    assert followed.structured["status"] == "completed"
    assert followed.structured["output"] == 10
    assert followed.structured["progress"]["percent"] == 100


async def test_progress_arrives_while_the_call_waits(shared_project: RunningProject, way: tuple[str, str]) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with agent(shared_project, way) as one:
        result = await one.run_with_progress("steps", {"count": 8, "seconds": 0.15}, note)
    assert result.structured["output"] == 8
    assert len(seen) >= 3
    assert [one[0] for one in seen] == sorted({one[0] for one in seen}), "each is further than the one before"
    assert seen[-1] == (8, 8, "step 8")


@pytest.mark.parametrize(
    ("arguments", "path", "said"),
    [
        ({"input": {}}, "task_id", "is required"),
        ({"task_id": "add"}, "input", "is required"),
        ({"task_id": "add", "input": "{}"}, "input", "object"),
        ({"task_id": "add", "input": {}, "wait_second": 3}, "wait_second", "did you mean 'wait_seconds'?"),
        ({"task_id": "add", "input": {}, "wait_seconds": -1}, "wait_seconds", "0"),
        ({"task_id": "add", "input": {}, "trace": "yes"}, "trace", "boolean"),
    ],
)
async def test_wrong_arguments_name_the_field_and_what_was_expected(
    shared_project: RunningProject, way: tuple[str, str], arguments: Json, path: str, said: str
) -> None:
    async with agent(shared_project, way) as one:
        result = fits("execute_task", await one.call("execute_task", arguments))
    assert result.failed
    assert result.structured["error"]["type"] == "invalid_arguments"
    [problem] = result.structured["error"]["problems"]
    assert problem["path"] == path
    assert said in problem["message"]
    assert path in result.text
    assert said in result.text


async def test_null_stands_for_an_optional_argument_left_out(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        result = await ran(one, "add", {"a": 1}, wait_seconds=None, idempotency_key=None, metadata=None)
    assert result.structured["output"] == 2


async def test_an_input_that_does_not_fit_the_task_names_the_field(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        result = await ran(one, "add", {"a": "two"})
    assert result.failed
    assert result.structured["error"]["type"] == "invalid_input"
    [problem] = result.structured["error"]["problems"]
    assert problem["path"] == "input.a"
    assert "integer" in problem["message"]
    assert "two" in problem["given"]
    assert '"filter": "add"' in result.structured["next"]


async def test_an_unknown_task_and_an_unknown_execution_say_where_to_look(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        task = await ran(one, "ad", {"a": 1})
        assert task.structured["error"]["type"] == "unknown_task"
        assert "did you mean 'add'?" in task.text
        assert "ratchet_list_available_tasks" in task.structured["next"]
        for tool in ("get_execution_status", "get_execution_logs", "get_execution_trace", "cancel_execution"):
            result = fits(tool, await one.call(tool, {"execution_id": "exec_unknown"}))
            assert result.failed
            assert result.structured["error"]["type"] == "unknown_execution"
            assert "ratchet_list_executions" in result.structured["next"]


@pytest.mark.parametrize("name", ["ratchet_execute_task", "ratchet.execute_task", "execute_task"])
async def test_a_tool_answers_to_all_of_its_names(
    shared_project: RunningProject, way: tuple[str, str], name: str
) -> None:
    async with agent(shared_project, way) as one:
        result = await one.client.call_tool(name, {"task_id": "add", "input": {"a": 1}})
    assert result.structured_content is not None
    assert result.structured_content["output"] == 2


async def test_an_unknown_tool_is_a_protocol_error_with_the_nearest_name(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        with pytest.raises(MCPError, match=r"did you mean ratchet_execute_task\?") as caught:
            await one.client.call_tool("ratchet_run_task", {})
    assert caught.value.error.code == -32602


async def test_logs_of_a_talkative_task_fit_and_hold_the_error(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        execution_id = (await ran(one, "chatter", {"lines": 1000})).structured["execution_id"]
        result = fits("get_execution_logs", await one.call("get_execution_logs", {"execution_id": execution_id}))
        assert len(json.dumps(result.structured)) <= CHARACTERS_MAX
        summary = result.structured["summary"]
        assert summary["counts"]["error"] == 1
        assert summary["total"] == 1001
        assert summary["first_error"]["message"] == "the disk of node-7 is full"
        assert "the disk of node-7 is full" in result.text
        [repeated] = result.structured["logs"]
        assert repeated["message"] == "row <number> of <number> read"
        assert repeated["count"] == 100
        assert result.structured["more"]
        assert "row 999 of 1000 read" in summary["last"][-1]
        errors = await one.call("get_execution_logs", {"execution_id": execution_id, "level": "error"})
        assert [line["message"] for line in errors.structured["logs"]] == ["the disk of node-7 is full"]
        preceding = errors.structured["summary"]["first_error"]["preceding"]
        assert preceding == [f"info: row {number} of 1000 read" for number in range(495, 500)]
        second = await one.call(
            "get_execution_logs", {"execution_id": execution_id, "cursor": result.structured["next_cursor"]}
        )
        assert second.structured["logs"][0]["example"] == "row 100 of 1000 read"
        found = await one.call("get_execution_logs", {"execution_id": execution_id, "search": "NODE-7"})
        assert found.structured["summary"]["shown"] == 1


async def test_detailed_logs_page_through_every_record(shared_project: RunningProject, way: tuple[str, str]) -> None:
    async with agent(shared_project, way) as one:
        execution_id = (await ran(one, "chatter", {"lines": 600})).structured["execution_id"]
        messages: list[str] = []
        cursor: str | None = None
        for _ in range(20):
            arguments = {"execution_id": execution_id, "format": "detailed", "limit": 400, "cursor": cursor}
            page = await one.call("get_execution_logs", arguments)
            messages += [line["message"] for line in page.structured["logs"]]
            cursor = page.structured["next_cursor"]
            if not page.structured["more"]:
                break
    rows = [message for message in messages if message.startswith("row ")]
    assert rows == [f"row {number} of 600 read" for number in range(600)]


async def test_a_trace_has_the_spans_of_the_task_and_what_they_mean(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        execution_id = (await ran(one, "steps", {"count": 4, "seconds": 0.02})).structured["execution_id"]
        result = fits("get_execution_trace", await one.call("get_execution_trace", {"execution_id": execution_id}))
        [root] = result.structured["trace"]["spans"]
        assert root["name"] == "steps"
        assert [span["name"] for span in root["children"]] == ["step"] * 4
        assert [span["attributes"]["number"] for span in root["children"]] == [1, 2, 3, 4]
        assert result.structured["trace"]["bottlenecks"][0]["name"] == "step"
        assert any("is spent in `step` itself (4 spans)" in sentence for sentence in result.structured["insights"])
        zoomed = await one.call(
            "get_execution_trace", {"execution_id": execution_id, "span_id": root["children"][1]["span_id"]}
        )
        assert [span["attributes"]["number"] for span in zoomed.structured["trace"]["spans"]] == [2]
        wrong = await one.call("get_execution_trace", {"execution_id": execution_id, "span_id": "0000"})
        assert wrong.failed


async def test_executions_are_listed_filtered_and_paged(shared_project: RunningProject, way: tuple[str, str]) -> None:
    async with agent(shared_project, way) as one:
        for number in range(3):
            await ran(one, "fail", {"message": f"failure {number}"})
        listed = fits(
            "list_executions",
            await one.call("list_executions", {"status": "failed", "task_id": "fail", "since": "1h", "limit": 2}),
        )
        assert [row["input"]["message"] for row in listed.structured["executions"]] == ["failure 2", "failure 1"]
        assert {row["error_type"] for row in listed.structured["executions"]} == {"RuntimeError"}
        cursor = listed.structured["next_cursor"]
        more = await one.call("list_executions", {"status": "failed", "task_id": "fail", "limit": 2, "cursor": cursor})
        assert more.structured["executions"][0]["input"]["message"] == "failure 0"
        none = await one.call("list_executions", {"until": 1_000_000_000_000})
        assert none.structured["executions"] == []
        wrong = fits("list_executions", await one.call("list_executions", {"since": "yesterday-ish"}))
        assert wrong.structured["error"]["problems"][0]["path"] == "since"


async def test_a_page_of_executions_with_long_inputs_still_fits(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        ids = {
            (await ran(one, "echo", {"value": {"text": "x" * 700, "n": number}})).structured["execution_id"]
            for number in range(12)
        }
        seen: list[str] = []
        cursor: str | None = None
        for _ in range(12):
            page = fits("list_executions", await one.call("list_executions", {"task_id": "echo", "cursor": cursor}))
            assert len(json.dumps(page.structured)) <= CHARACTERS_MAX
            seen += [row["execution_id"] for row in page.structured["executions"]]
            cursor = page.structured["next_cursor"]
            if cursor is None or ids <= set(seen):
                break
    assert ids <= set(seen)
    assert len(seen) == len(set(seen))


async def test_tasks_are_listed_with_their_input_in_one_line(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        listed = fits("list_available_tasks", await one.call("list_available_tasks", {"filter": "add"}))
        [task] = listed.structured["tasks"]
        assert task["input"] == "a: integer, b?: integer = 1"
        assert "input_schema" not in task
        full = await one.call("list_available_tasks", {"filter": "add", "include_schemas": True})
        assert full.structured["tasks"][0]["input_schema"]["required"] == ["a"]
        assert '"required": ["a"]' in full.text


async def test_an_execution_is_cancelled_and_says_how(shared_project: RunningProject, way: tuple[str, str]) -> None:
    async with agent(shared_project, way) as one:
        running = await ran(one, "steps", {"count": 1000, "seconds": 0.05}, wait_seconds=0)
        execution_id = running.structured["execution_id"]
        result = fits(
            "cancel_execution",
            await one.call("cancel_execution", {"execution_id": execution_id, "reason": "no longer needed"}),
        )
        assert result.structured["status"] == "cancelled"
        assert not result.failed
        status = await one.call("get_execution_status", {"execution_id": execution_id})
        assert status.structured["cancel_requested"] == "no longer needed"
        again = await one.call("cancel_execution", {"execution_id": execution_id})
        assert again.structured["status"] == "cancelled"


async def test_the_same_idempotency_key_gives_the_same_execution(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    key = f"key-{way}"
    async with agent(shared_project, way) as one:
        first = await ran(one, "add", {"a": 1}, idempotency_key=key)
        second = await ran(one, "add", {"a": 1}, idempotency_key=key)
        other = await ran(one, "add", {"a": 2}, idempotency_key=key)
    assert first.structured["execution_id"] == second.structured["execution_id"]
    assert other.structured["error"]["type"] == "idempotency_conflict"


async def test_health_is_told(shared_project: RunningProject, way: tuple[str, str]) -> None:
    async with agent(shared_project, way) as one:
        health = fits("get_system_health", await one.call("get_system_health"))
    assert health.structured["status"] == "ok", health.text
    assert {peer["role"] for peer in health.structured["actors"]} >= {"worker", "log-store", "trace-store", "mcp-front"}
    assert health.structured["queue"]["slots"] == 8


async def test_a_long_output_is_cut_for_reading_and_whole_for_programs(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    value = {"rows": [f"row {number}" for number in range(3000)]}
    async with agent(shared_project, way) as one:
        result = await ran(one, "echo", {"value": value})
        assert result.structured["output"] == value
        text = result.structured["output_text"]
        offset = len(text)
        for _ in range(20):
            assert f'"output_offset": {offset}' in (result.structured["next"] or "")
            arguments = {"execution_id": result.structured["execution_id"], "output_offset": offset}
            result = fits("get_execution_status", await one.call("get_execution_status", arguments))
            text += result.structured["output_text"]
            offset = len(text)
            if result.structured["next"] is None:
                break
    assert json.loads(text) == value


async def test_an_output_beyond_what_a_result_may_be_is_left_out_and_can_be_paged(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        result = await ran(one, "echo", {"value": {"text": "ü" * 200_000}})
    assert "output" not in result.structured
    assert result.structured["output_truncated"]
    assert result.structured["output_characters"] > 200_000
    assert len(json.dumps(result.structured)) < 256 * 1024


async def test_calls_run_side_by_side(shared_project: RunningProject, way: tuple[str, str]) -> None:
    async with agent(shared_project, way) as one:
        results = await asyncio.gather(*(one.run("add", {"a": number}) for number in range(20)))
    assert [result.structured["output"] for result in results] == [number + 1 for number in range(20)]
