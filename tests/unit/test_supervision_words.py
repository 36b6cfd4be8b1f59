"""What people read of the supervisor: reports, causes, process names."""

from pathlib import Path

import pytest

from ratchet.config import Config
from ratchet.supervision.exits import describe
from ratchet.supervision.fork import process_name
from ratchet.supervision.report import startup_report
from ratchet.supervision.states import State
from ratchet.supervision.status import ChildStatus, SupervisorStatus
from supervisor import child_table


def status(**changes: object) -> SupervisorStatus:
    fields: dict[str, object] = {
        "project": "/work/demo",
        "config_path": None,
        "config_digest": "0",
        "data_dir": "/data",
        "version": "1.2.3",
        "pid": 7,
        "mode": "up",
        "uptime_seconds": 1,
        "draining": False,
        "busy": False,
        "addresses": [],
        "children": [],
        "clients": 0,
    }
    return SupervisorStatus.model_validate({**fields, **changes})


def test_the_report_tells_what_is_missing_too() -> None:
    text = startup_report(status(warnings=["first", "second"]))
    assert "no ratchet.yaml: defaults apply" in text
    assert "no port is open; agents connect with `ratchet stdio`" in text
    assert "  warning   first\n            second\n" in text


def test_the_report_shows_an_actor_that_is_in_trouble() -> None:
    child = ChildStatus(name="log-store", state=State.BACKOFF, error="no disk")
    assert "log-store      backoff  (no disk)" in startup_report(status(children=[child.model_dump()]))


def test_the_report_counts_tasks_and_broken_files() -> None:
    child = ChildStatus(
        name="task-runner", state=State.RUNNING, pid=8, ready_seconds=0.123, info={"tasks": 1, "broken": 2}
    )
    text = startup_report(status(children=[child.model_dump()]))
    assert "1 task, 2 files that cannot be loaded" in text
    assert "pid 8  ready in 0.12 s" in text


@pytest.mark.parametrize(
    ("exit_code", "signal", "words"), [(0, None, "exit code 0"), (None, 9, "SIGKILL"), (None, 77, "signal 77")]
)
def test_causes_are_named(exit_code: int | None, signal: int | None, words: str) -> None:
    assert describe(exit_code, signal) == words


def test_every_actor_can_be_told_from_the_others_in_ps() -> None:
    table = child_table(Config(data_dir=Path("/data")))
    specs = [*table.always, table.http_front]
    names = [process_name(spec.name) for spec in specs] + [process_name(f"mcp-front:{number}") for number in (1, 12)]
    assert len(set(names)) == len(names)
    assert all(name.startswith("ratchet:") and len(name) <= 15 for name in names)
    assert process_name("worker:1") == "ratchet:worke:1"


def test_the_child_table_starts_the_runner_first_and_the_fronts_last() -> None:
    table = child_table(Config(data_dir=Path("/data")))
    assert table.always[0].name == table.reports_to == "task-runner"
    assert table.always[0].stage < min(spec.stage for spec in table.always[1:])
    assert table.http_front.stage == table.stdio_front.stage > max(spec.stage for spec in table.always)
    assert [spec.name for spec in table.always if spec.subreaper] == ["worker:1", "worker:2"]
