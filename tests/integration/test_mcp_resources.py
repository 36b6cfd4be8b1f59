"""Tasks and executions as resources, on both transports and in both eras."""

import json
from typing import Any

import mcp_types as t
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from tests.harness import RunningProject
from tests.integration.agents import WAY_IDS, WAYS, agent

pytestmark = pytest.mark.parametrize("way", WAYS, ids=WAY_IDS)


async def read(client: Client, uri: str) -> Any:
    [content] = (await client.read_resource(uri)).contents
    assert isinstance(content, t.TextResourceContents)
    assert content.mime_type == "application/json"
    return json.loads(content.text)


async def test_tasks_and_executions_are_listed_and_every_template_reads(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        execution_id = (await one.run("steps", {"count": 1})).structured["execution_id"]
        listed = {resource.uri for resource in (await one.client.list_resources()).resources}
        assert {"ratchet://tasks/add", f"ratchet://executions/{execution_id}"} <= listed
        templates = {one.uri_template for one in (await one.client.list_resource_templates()).resource_templates}
        base = "ratchet://executions/{execution_id}"
        assert templates == {"ratchet://tasks/{task_id}", base, f"{base}/logs", f"{base}/trace", f"{base}/output"}
        uri = f"ratchet://executions/{execution_id}"
        assert (await read(one.client, uri))["status"] == "completed"
        assert (await read(one.client, f"{uri}/output")) == 1
        assert (await read(one.client, f"{uri}/logs"))["logs"][0]["message"] == "step 1"
        assert (await read(one.client, f"{uri}/trace"))["trace"]["spans"]
        assert "count" in (await read(one.client, "ratchet://tasks/steps"))["input_schema"]["properties"]


async def test_what_is_not_there_is_a_wrong_parameter(shared_project: RunningProject, way: tuple[str, str]) -> None:
    async with agent(shared_project, way) as one:
        failed = (await one.run("fail", {"message": "x"})).structured["execution_id"]
        assert (await read(one.client, f"ratchet://executions/{failed}"))["error"]["type"] == "RuntimeError"
        for uri in ("tasks/ad", "executions/exec_none", "executions/exec_none/logs", f"executions/{failed}/other", "x"):
            with pytest.raises(MCPError) as caught:
                await one.client.read_resource(f"ratchet://{uri}")
            assert caught.value.error.code == t.INVALID_PARAMS
