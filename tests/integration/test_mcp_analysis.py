"""Why an execution failed, as an agent is told: on both transports and in both eras."""

import json
from pathlib import Path

import jsonschema_rs
import pytest

from actors.mcp_front.tools.table import TOOLS
from tests.harness import RunningProject, running_project
from tests.integration.agents import WAY_IDS, WAYS, Agent, Result, agent

CHARACTERS_MAX = 8_000
SUMMARISE = """
    from ratchet import Context, task

    @task
    def summarise(ctx: Context, rows: list[int], aggregate: str = "sum") -> int:
        try:
            if aggregate not in ("sum", "largest"):
                raise ValueError(f"unknown aggregate {aggregate!r}; did you mean 'largest'?")
        except ValueError:
            ctx.log.exception("cannot summarise")
            raise
        return sum(rows) if aggregate == "sum" else max(rows)
    """


async def analyzed(agent: Agent, execution_id: str, *, include_suggestions: bool = True) -> Result:
    arguments = {"execution_id": execution_id, "include_suggestions": include_suggestions}
    result = await agent.call("analyze_execution_error", arguments)
    jsonschema_rs.validate(TOOLS["analyze_execution_error"].output_schema, result.structured)
    assert len(result.text) <= CHARACTERS_MAX
    assert len(json.dumps(result.structured, ensure_ascii=False)) <= CHARACTERS_MAX
    return result


@pytest.mark.parametrize("way", WAYS, ids=WAY_IDS)
async def test_an_analysis_says_cause_place_and_next_call(shared_project: RunningProject, way: tuple[str, str]) -> None:
    async with agent(shared_project, way) as one:
        failed = (await one.run("fail", {"message": f"no such row by {way}"})).structured
        result = await analyzed(one, failed["execution_id"])
        found = result.structured
        assert not result.failed
        assert (found["status"], found["task_id"], found["error_type"]) == ("failed", "fail", "RuntimeError")
        assert found["root_cause"]["type"] == "ValueError"
        assert found["failing_frame"]["function"] == "fail"
        assert any(line.startswith(">") for line in found["failing_frame"]["source_lines"])
        assert [link["type"] for link in found["chain"]] == ["RuntimeError", "ValueError"]
        assert result.text.startswith(found["summary"])
        assert found["next"] in result.text
        call = found["next_call"]
        assert found["next"] == f"Call {call['tool']} with {json.dumps(call['arguments'])}"
        assert await one.client.call_tool(call["tool"], call["arguments"])


@pytest.mark.parametrize("way", WAYS, ids=WAY_IDS)
async def test_of_an_execution_that_did_not_fail_it_says_so(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        execution_id = (await one.run("add", {"a": 1})).structured["execution_id"]
        completed = await analyzed(one, execution_id)
        running = (await one.run("steps", {"count": 20}, wait_seconds=0)).structured["execution_id"]
        unfinished = await analyzed(one, running)
        unknown = await one.call("analyze_execution_error", {"execution_id": "exec_none"})
    assert not completed.failed
    assert completed.structured["status"] == "completed"
    assert "nothing failed" in completed.text
    assert completed.structured["next"] is None
    assert not unfinished.failed
    assert "get_execution_status" in unfinished.structured["next"]
    assert unknown.failed
    assert unknown.structured["error"]["type"] == "unknown_execution"


async def test_the_next_call_runs_the_corrected_input_and_it_succeeds(tmp_path: Path) -> None:
    async with running_project(tmp_path / "project", tasks={"sums": SUMMARISE}) as project, project.client() as client:
        one = Agent(client)
        await one.run("summarise", {"rows": [1, 2]})
        earlier, failed = [
            (await one.run("summarise", {"rows": [1, 2], "aggregate": "largst"})).structured for _ in range(2)
        ]
        found = (await analyzed(one, failed["execution_id"])).structured
        plain = (await analyzed(one, failed["execution_id"], include_suggestions=False)).structured
        assert found["category"] == "bad_input"
        assert found["suggestions"][0]["patch"] == [{"op": "replace", "path": "/aggregate", "value": "largest"}]
        assert plain["suggestions"] == []
        assert found["similar_failures"]["execution_ids"] == [earlier["execution_id"]]
        assert found["changed_since_last_success"]["input"][0]["path"] == "/aggregate"
        assert "analyze_execution_error" in failed["next"]
        [record] = (await one.call("get_execution_logs", {"execution_id": failed["execution_id"]})).structured["logs"]
        assert record["error_info"]["type"] == "ValueError"
        assert record["error_info"]["suggestions"] == ["The error asks whether largest was meant."]
        call = found["next_call"]
        again = await client.call_tool(call["tool"], call["arguments"])
        assert again.structured_content is not None
        assert again.structured_content["output"] == 2
