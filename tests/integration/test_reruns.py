"""An execution and those that were run again because of it find each other, as far as they have one owner."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.harness import Json, RunningProject, started_project
from tests.integration.command_line import CommandLine
from tests.integration.policy_world import KEYS, WAYS, Way, configuration, told

TASKS = {
    "picky": """
        from ratchet import task

        @task
        def halve(number: int) -> int:
            '''Halve an even number.'''
            if number % 2:
                raise ValueError(f"{number} is odd")
            return number // 2
        """
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    folder = tmp_path_factory.mktemp("reruns") / "project"
    with started_project(folder, tasks=TASKS, config=configuration({}), environ=KEYS) as found:
        yield found


def again(number: int, original: str) -> Json:
    metadata = {"retry_reason": "ValueError", "original_execution": original}
    return {"task_id": "halve", "input": {"number": number}, "metadata": metadata}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.transport}-{way.mode}")
async def test_a_failure_and_its_reruns_are_linked_both_ways(project: RunningProject, way: Way) -> None:
    async with way.client(project) as client, project.client(headers={"X-API-Key": KEYS["OTHER_KEY"]}) as stranger:
        original = (await told(client, "execute_task", task_id="halve", input={"number": 3}))["execution_id"]
        assert "reruns" not in await told(client, "get_execution_status", execution_id=original)
        failed = await told(client, "execute_task", **again(5, original))
        mended = await told(client, "execute_task", **again(4, original))
        foreign = await told(stranger, "execute_task", **again(6, original))

        forth = await told(client, "get_execution_status", execution_id=original)
        back = await told(client, "get_execution_status", execution_id=mended["execution_id"])
        listing = await told(client, "list_executions", task_id="halve", limit=2)
    expected = [(mended["execution_id"], "completed"), (failed["execution_id"], "failed")]
    assert [(one["execution_id"], one["status"]) for one in forth["reruns"]] == expected
    assert back["metadata"] == {"retry_reason": "ValueError", "original_execution": original}
    assert "reruns" not in back
    assert [row["metadata"]["original_execution"] for row in listing["executions"]] == [original] * 2
    assert foreign["output"] == 3

    shown = await asyncio.to_thread(CommandLine(project).run_process, "show", original)
    [line] = [one for one in shown.out.splitlines() if one.startswith("run again")]
    assert f"{mended['execution_id']} (completed)" in line
