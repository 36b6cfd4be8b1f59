"""Hearing of changes instead of asking for them: every transport, both eras."""

import pytest
from mcp.shared.exceptions import MCPError

from actors.mcp_front.protocol.subscriptions import RESOURCES_MAX
from tests.harness import RunningProject
from tests.integration.agents import WAY_IDS, WAYS, agent
from tests.integration.listening import Updates, subscribed

every_way = pytest.mark.parametrize("way", WAYS, ids=WAY_IDS)


@every_way
async def test_a_client_hears_of_progress_of_logs_and_of_the_end(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    updates = Updates()
    async with agent(shared_project, way, message_handler=updates) as one:
        resources = one.client.server_capabilities.resources
        assert resources is not None
        assert resources.subscribe
        started = await one.run("steps", {"count": 12, "seconds": 0.05}, wait_seconds=0)
        uri = f"ratchet://executions/{started.structured['execution_id']}"
        views = [uri, f"{uri}/logs", f"{uri}/output"]
        async with subscribed(one.client, updates, views):
            before = await updates.until(uri, f"{uri}/logs")
            status = (await one.call("get_execution_status", {"execution_id": uri.rpartition("/")[2]})).structured
            assert f"{uri}/output" in before or status["status"] == "running"
            seen = before + await updates.until(f"{uri}/output")
            assert len(seen) < 12, "a few updates a second, not one for each change"
        # Whoever comes too late is told at once: what it read before may be another by now.
        while not updates.told.empty():
            updates.told.get_nowait()
        async with subscribed(one.client, updates, [f"{uri}/trace"]):
            assert await updates.until(f"{uri}/trace") == [f"{uri}/trace"]


@every_way
async def test_what_cannot_be_read_cannot_be_subscribed_to(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    updates = Updates()
    async with agent(shared_project, way, message_handler=updates) as one:
        for uri in ("ratchet://executions/exec_none", "ratchet://executions/exec_none/logs", "ratchet://x"):
            with pytest.raises(MCPError) as reading:
                await one.client.read_resource(uri)
            with pytest.raises(MCPError) as caught:
                async with subscribed(one.client, updates, [uri]):
                    pass
            assert caught.value.error == reading.value.error
        with pytest.raises(MCPError, match="only of ratchet://executions/ID"):
            async with subscribed(one.client, updates, ["ratchet://tasks/add"]):
                pass
        if one.client.protocol_version == "2026-07-28":
            many = [f"ratchet://{number}" for number in range(RESOURCES_MAX + 1)]
            with pytest.raises(MCPError, match=f"there may be {RESOURCES_MAX}"):
                async with subscribed(one.client, updates, many):
                    pass
