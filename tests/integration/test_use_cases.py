"""The programs that play an agent, run as a newcomer runs them: over HTTP with an API key, and over stdio."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from examples.agent import Answer, over_http
from tests.harness import BOUND_SECONDS, ROOT, START_SECONDS, RunningProject, started_project

KEY = "key-of-an-agent-0123"
PERMISSIONS = {
    "can_execute_tasks": True,
    "can_read_logs": True,
    "can_read_traces": True,
    "allowed_task_patterns": ["*"],
}
CONFIG = {
    "tasks": {"paths": [str(ROOT / "examples" / "tasks")]},
    "mcp": {
        "server": {
            "auth": {"type": "api_key", "api_keys": [{"key": KEY, "name": "agent", "permissions": PERMISSIONS}]},
        }
    },
}
WAYS = ["http", "stdio"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    with started_project(tmp_path_factory.mktemp("use-cases") / "project", tasks={}, config=CONFIG) as found:
        yield found


def run(project: RunningProject, module: str, way: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A program of the examples, connected in this way."""
    options = {
        "http": ["--url", project.url, "--api-key", KEY],
        "stdio": ["--stdio", f"--config={project.config_path}"],
    }
    return subprocess.run(
        [sys.executable, "-m", f"examples.{module}", *options[way], *arguments],
        cwd=ROOT,
        env=project.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_SECONDS + BOUND_SECONDS,
        check=False,
    )


async def reruns(project: RunningProject) -> list[Answer]:
    """What was run again, as the client with the key sees it, newest first."""
    async with over_http(project.url, KEY) as agent:
        listed = await agent.call("list_executions")
    return [one for one in listed["executions"] if "metadata" in one]


@pytest.mark.parametrize("way", WAYS)
def test_debugging_finds_the_cause_and_runs_the_task_again_with_a_corrected_input(
    project: RunningProject, way: str
) -> None:
    done = run(project, "use_case_debugging", way)
    assert done.returncode == 0, done.stderr
    for said in (
        "SourceError: no file 'large-dataset.csv'",
        "category: bad_input",
        "the data set is not there",
        "find: error",
        "so once more with {'file': 'large_dataset.csv'}",
        "4000 measurements of 4 stations",
    ):
        assert said in done.stdout


def test_debugging_a_file_that_is_right_has_nothing_to_do(project: RunningProject) -> None:
    done = run(project, "use_case_debugging", "http", "large_dataset.csv")
    assert done.returncode == 0, done.stderr
    assert "Why it failed" not in done.stdout


def test_debugging_gives_up_where_nothing_better_is_known(project: RunningProject) -> None:
    done = run(project, "use_case_debugging", "http", "airports.csv")
    assert done.returncode == 1
    assert "its columns are iata" in done.stdout
    assert "data-processor failed" in done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_monitoring_mends_what_can_be_mended_and_leaves_the_rest_to_a_person(project: RunningProject, way: str) -> None:
    done = run(project, "use_case_monitoring", way)
    assert done.returncode == 0, done.stderr
    assert '`file` is "large-dataset.csv"' in done.stdout
    assert '`station` is "hill-top"' in done.stdout
    assert "this needs a person" in done.stdout
    assert "mended: 2, left: " in done.stdout


async def test_what_was_run_again_says_why_and_for_what_and_is_not_run_again_twice(project: RunningProject) -> None:
    before = await reruns(project)
    for one in before:
        assert one["status"] == "completed"
        assert one["metadata"]["retry_reason"] in ("SourceError", "csvdata.source.SourceError", "ValueError")
        async with over_http(project.url, KEY) as agent:
            original = await agent.call(
                "get_execution_status", execution_id=one["metadata"]["original_execution"], wait_seconds=0
            )
        assert original["status"] == "failed"
        assert original["task_id"] == one["task_id"]
    run(project, "use_case_monitoring", "http", "--look")
    assert len(before) >= 3
    assert await reruns(project) == before


async def test_a_program_that_asks_for_the_status_hears_how_far_a_task_is(
    project: RunningProject, capsys: pytest.CaptureFixture[str]
) -> None:
    async with over_http(project.url, KEY) as agent:
        answer = await agent.poll("slow-count", {"to": 6, "pause_seconds": 0.5})
    assert answer["output"] == 6
    printed = capsys.readouterr().out.splitlines()
    shares = [float(line.split()[1]) for line in printed if line.startswith("  running: ")]
    assert shares
    assert shares == sorted(shares)
    assert 0 < shares[-1] < 100


@pytest.mark.parametrize("module", ["pipeline", "use_case_debugging", "use_case_monitoring"])
def test_without_a_key_nothing_is_done(project: RunningProject, module: str) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "RATCHET_API_KEY"}
    done = subprocess.run(
        [sys.executable, "-m", f"examples.{module}", "--url", project.url],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=BOUND_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert "--api-key" in done.stderr
    assert "Traceback" not in done.stderr
