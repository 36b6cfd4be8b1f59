"""The examples as a newcomer runs them: the pipeline over both transports, and `make run`."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.harness import (
    BOUND_SECONDS,
    ROOT,
    START_SECONDS,
    RunningProject,
    eventually,
    folder_project,
    started_project,
)

CONFIG = {"tasks": {"paths": [str(ROOT / "examples" / "tasks")]}}


def program(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"examples.{module}", *arguments]


def run_pipeline(project: RunningProject, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        program("pipeline", *arguments),
        cwd=ROOT,
        env=project.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_SECONDS + BOUND_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    with started_project(tmp_path_factory.mktemp("examples") / "project", tasks={}, config=CONFIG) as project:
        yield project


def is_pdf(path: Path) -> bool:
    content = path.read_bytes()
    return content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF") and content.count(b"/Type /Page\n") > 1


def test_the_pipeline_leaves_a_report_over_http(examples: RunningProject, tmp_path: Path) -> None:
    report = tmp_path / "report.pdf"
    done = run_pipeline(examples, "--url", examples.url, "--out", str(report))
    assert done.returncode == 0, done.stderr
    assert "1461 rows, 6 columns" in done.stdout
    assert "48 groups by date" in done.stdout
    assert "100 %" in done.stdout
    assert is_pdf(report)


def test_the_pipeline_leaves_a_report_over_stdio(examples: RunningProject, tmp_path: Path) -> None:
    report = tmp_path / "report.pdf"
    config = str(examples.config_path)
    done = run_pipeline(examples, "airports.csv", "--stdio", "--config", config, "--out", str(report))
    assert done.returncode == 0, done.stderr
    assert "57 groups by state" in done.stdout
    assert is_pdf(report)


def test_the_pipeline_stops_at_a_file_that_is_not_valid(examples: RunningProject, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n3\n")
    report = tmp_path / "report.pdf"
    done = run_pipeline(examples, str(tmp_path / "bad.csv"), "--url", examples.url, "--out", str(report))
    assert done.returncode == 1
    assert "1 fields where the header has 2" in done.stderr
    assert not report.exists()


def test_the_pipeline_shows_what_a_failed_step_said(examples: RunningProject, tmp_path: Path) -> None:
    report = tmp_path / "no such folder" / "report.pdf"
    done = run_pipeline(examples, "--url", examples.url, "--out", str(report))
    assert done.returncode == 1
    assert "generate-report failed" in done.stderr
    assert "FileNotFoundError" in done.stderr


def test_the_pipeline_says_so_where_nobody_answers(examples: RunningProject, tmp_path: Path) -> None:
    done = run_pipeline(examples, "--url", "http://127.0.0.1:9/mcp", "--out", str(tmp_path / "report.pdf"))
    assert done.returncode == 1
    assert "make run" in done.stderr


def test_make_run_runs_a_task_stays_up_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    with folder_project(tmp_path / "project", tasks={}, config=CONFIG) as project:
        printed = tmp_path / "printed"
        with printed.open("wb") as output:
            process = subprocess.Popen(
                program("quickstart", "--config", str(project.config_path)),
                cwd=ROOT,
                env=project.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            eventually(
                lambda: "Connect an agent" in printed.read_text(), "the first run is made", seconds=START_SECONDS
            )
            text = printed.read_text()
            assert "1461 rows, valid: True" in text
            assert f"Ratchet is up: {project.url}" in text
            family = psutil.Process(process.pid).children(recursive=True)
            os.kill(process.pid, signal.SIGINT)
            assert process.wait(BOUND_SECONDS) == 0
        finally:
            process.kill()
            process.wait()
            sys.stderr.write(printed.read_text())
        assert psutil.wait_procs(family, timeout=BOUND_SECONDS)[1] == []
