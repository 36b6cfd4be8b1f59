"""Prompts and the completion of their arguments, on both transports and in both eras."""

import json
from collections.abc import Mapping

import mcp_types as t
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from actors.mcp_front.answers.answer import TEXT_CHARACTERS_MAX
from tests.harness import RunningProject
from tests.integration.agents import WAY_IDS, WAYS, agent

every_way = pytest.mark.parametrize("way", WAYS, ids=WAY_IDS)
BASE = "ratchet://executions/{execution_id}"


async def prompted(client: Client, name: str, arguments: Mapping[str, str]) -> str:
    """What a prompt says."""
    [message] = (await client.get_prompt(name, dict(arguments))).messages
    assert message.role == "user"
    assert isinstance(message.content, t.TextContent)
    assert len(message.content.text) <= TEXT_CHARACTERS_MAX
    return message.content.text


async def refused(client: Client, name: str, arguments: Mapping[str, str]) -> str:
    """Why there is no such prompt."""
    with pytest.raises(MCPError) as caught:
        await client.get_prompt(name, dict(arguments))
    assert caught.value.error.code == t.INVALID_PARAMS
    return caught.value.error.message


async def suggested(client: Client, ref: str, argument: str, value: str) -> t.Completion:
    """How an argument of a prompt, or a variable of a template, may go on."""
    reference = t.ResourceTemplateReference(uri=ref) if "://" in ref else t.PromptReference(name=ref)
    return (await client.complete(reference, {"name": argument, "value": value})).completion


@every_way
async def test_prompts_are_written_from_what_ran(shared_project: RunningProject, way: tuple[str, str]) -> None:
    async with agent(shared_project, way) as one:
        listed = {prompt.name: prompt for prompt in (await one.client.list_prompts()).prompts}
        assert list(listed) == ["debug_failed_execution", "run_task", "review_recent_failures"]
        [argument] = listed["debug_failed_execution"].arguments or []
        assert (argument.name, argument.required) == ("execution_id", True)

        failed = (await one.run("fail", {"message": "no such disk"})).structured["execution_id"]
        debug = await prompted(one.client, "debug_failed_execution", {"execution_id": failed})
        assert "no such disk" in debug
        assert f'ratchet_get_execution_logs with {{"execution_id": "{failed}", "level": "warn"}}' in debug
        assert f'"original_execution": "{failed}"' in debug

        done = (await one.run("add", {"a": 4711})).structured["execution_id"]
        run = await prompted(one.client, "run_task", {"task_id": "add", "goal": "know the sum"})
        assert 'ratchet_execute_task with {"task_id": "add", "input": {"a": 4711}}' in run
        assert {"The goal: know the sum", "What it does: Add two numbers."} <= set(run.splitlines())
        assert done in run

        for since in ("1h", "2020-01-01"):
            review = await prompted(one.client, "review_recent_failures", {"task_id": "fail", "since": since})
            assert "of fail: RuntimeError (exception)" in review
            assert f'ratchet_analyze_execution_error with {{"execution_id": "{failed}"}}' in review
        nothing = await prompted(one.client, "review_recent_failures", {"task_id": "never-ran"})
        assert nothing.startswith("No execution of the task never-ran has failed")
        assert "nothing failed" in await prompted(one.client, "debug_failed_execution", {"execution_id": done})


@every_way
async def test_what_is_wrong_with_a_prompt_is_a_wrong_parameter(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        assert "review_recent_failures" in await refused(one.client, "write_a_poem", {})
        assert "needs execution_id" in await refused(one.client, "debug_failed_execution", {})
        assert "it takes goal, task_id" in await refused(one.client, "run_task", {"task_id": "add", "speed": "fast"})
        assert "exec_none" in await refused(one.client, "debug_failed_execution", {"execution_id": "exec_none"})
        assert "unknown task 'ad'" in await refused(one.client, "run_task", {"task_id": "ad"})
        assert "since is 'lately'" in await refused(one.client, "review_recent_failures", {"since": "lately"})
        for argument in ("since", "task_id"):
            said = await refused(one.client, "review_recent_failures", {argument: "x" * 100_000})
            assert len(said) < 1_000
            assert f"{argument} " in said


@every_way
async def test_ids_are_completed_from_their_beginning_and_their_end(
    shared_project: RunningProject, way: tuple[str, str]
) -> None:
    async with agent(shared_project, way) as one:
        failed = (await one.run("fail", {"message": "a"})).structured["execution_id"]
        done = (await one.run("add", {"a": 1})).structured["execution_id"]

        newest = await suggested(one.client, BASE, "execution_id", "exec_")
        assert newest.values[0] == done
        assert failed in newest.values
        assert newest.has_more is (newest.total is None)
        for path in ("", "/logs", "/trace", "/output"):
            for part in (done, done[-12:], done.removeprefix("exec_"), done.upper()):
                found = await suggested(one.client, BASE + path, "execution_id", part)
                assert (found.values, found.total, found.has_more) == ([done], 1, False)
        assert (await suggested(one.client, BASE, "execution_id", "exec%")).values == []

        of_debug = ("debug_failed_execution", "execution_id")
        assert (await suggested(one.client, *of_debug, "")).values[0] == failed
        assert (await suggested(one.client, *of_debug, failed[-12:])).values == [failed]
        assert (await suggested(one.client, *of_debug, done)).values == []

        for ref in ("run_task", "review_recent_failures", "ratchet://tasks/{task_id}"):
            assert (await suggested(one.client, ref, "task_id", "F")).values == ["fail"]
            found = await suggested(one.client, ref, "task_id", "")
            assert found.values == sorted(found.values)
            assert (found.total, found.has_more) == (len(found.values), False)
        assert (await suggested(one.client, "run_task", "goal", "to")).values == []

        for ref, argument in (("sing", "task_id"), ("run_task", "tempo"), (BASE, "task_id"), ("ratchet://x/{y}", "y")):
            with pytest.raises(MCPError) as caught:
                await suggested(one.client, ref, argument, "a")
            assert caught.value.error.code == t.INVALID_PARAMS


async def test_at_most_a_hundred_are_suggested_and_more_is_told(shared_project: RunningProject) -> None:
    async with agent(shared_project, WAYS[0]) as one:
        for _ in range(101):
            await one.run("add", {"a": 1}, wait_seconds=0)
        found = await suggested(one.client, BASE, "execution_id", "exec_")
        assert (len(found.values), found.total, found.has_more) == (100, None, True)
        listed = (await one.call("list_executions", {"limit": 5})).structured["executions"]
        assert found.values[:5] == [row["execution_id"] for row in listed]
        assert json.dumps(found.values).count("exec_") == len(set(found.values))
