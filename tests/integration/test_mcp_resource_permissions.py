"""Resources are under the policy of the tools that they are read through."""

from pathlib import Path

import mcp_types as t
import pytest
from mcp.shared.exceptions import MCPError

from tests.harness import running_project

KEY = "k-runner-0123456789abcdef"


async def test_what_a_client_may_not_read_is_neither_offered_nor_given(tmp_path: Path) -> None:
    permissions = {"can_execute_tasks": True, "can_read_logs": False, "can_read_traces": False}
    keys = [
        {"name": "runner", "key": "${RUNNER_KEY}", "permissions": {**permissions, "allowed_task_patterns": ["add"]}}
    ]
    config = {"mcp": {"server": {"auth": {"type": "api_key", "api_keys": keys}}}}
    async with (
        running_project(tmp_path / "project", config=config, environ={"RUNNER_KEY": KEY}) as project,
        project.client(headers={"X-API-Key": KEY}) as client,
    ):
        ran = await client.call_tool("ratchet_execute_task", {"task_id": "add", "input": {"a": 1}})
        assert ran.structured_content is not None
        uri = f"ratchet://executions/{ran.structured_content['execution_id']}"
        templates = {one.uri_template for one in (await client.list_resource_templates()).resource_templates}
        assert not any(one.endswith(("/logs", "/trace")) for one in templates)
        assert {one.uri for one in (await client.list_resources()).resources} == {"ratchet://tasks/add", uri}
        assert (await client.read_resource(f"{uri}/output")).contents
        for refused in (f"{uri}/logs", f"{uri}/trace", "ratchet://tasks/echo"):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(refused)
            assert caught.value.error.code == t.INVALID_PARAMS
