"""A run with 100,000 log lines and 5,000 spans: what an agent gets by default still fits it, and has what matters."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import RunningProject, started_project
from tests.integration.agents import Result, agent

CHARACTERS_MAX = 8_000
LINES, SPANS = 100_000, 5_000
NEEDLE = "disk of node-7 is full"
TASK = f"""
import logging
from ratchet import Context, task

@task
def big(ctx: Context) -> None:
    '''Say a lot, and one thing that matters.'''
    log = logging.getLogger("big")
    for number in range({SPANS}):
        with ctx.span("slice", number=number):
            for line in range({LINES // SPANS}):
                if number == {SPANS // 2} and line == 7:
                    log.error("the {NEEDLE}")
                else:
                    log.info("row %d of slice %d is %s", line, number, "fine" if line % 2 else "good")
    raise RuntimeError("gave up: the {NEEDLE}")
"""


def small(result: Result) -> str:
    """The answer, both of whose forms fit."""
    assert len(result.text) <= CHARACTERS_MAX
    assert len(json.dumps(result.structured)) <= CHARACTERS_MAX
    return result.text


@pytest.fixture
def project(tmp_path: Path) -> Iterator[RunningProject]:
    with started_project(tmp_path / "project", tasks={"big": TASK}) as found:
        yield found


async def test_default_answers_about_a_large_run_are_small_and_hold_the_one_line_that_matters(
    project: RunningProject,
) -> None:
    async with agent(project, ("http", "auto")) as one:
        result = await one.run("big", wait_seconds=55)
        assert NEEDLE in small(result), result.text
        about = {"execution_id": result.structured["execution_id"]}

        logs = await one.call("get_execution_logs", about)
        assert NEEDLE in small(logs)
        by_level = logs.structured["summary"]["counts"]
        assert (by_level["info"], by_level["error"]) == (LINES - 1, 1)
        assert NEEDLE in small(await one.call("get_execution_logs", {**about, "level": "error"}))

        trace = await one.call("get_execution_trace", about)
        assert "slice" in small(trace)
        assert str(SPANS) in trace.text.replace(",", "")

        assert NEEDLE in small(await one.call("analyze_execution_error", about))
        assert NEEDLE in small(await one.call("get_execution_status", about))
        assert "big" in small(await one.call("list_executions"))
