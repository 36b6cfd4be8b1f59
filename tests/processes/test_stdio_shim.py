"""`ratchet stdio` with real processes: one supervisor for all agents of a project, and every end told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ratchet.supervision import election
from ratchet.supervision.client import SupervisorClient
from tests.processes.tiny_project import (
    BOUND_SECONDS,
    SHIM,
    TinyProject,
    eventually,
    exists,
    sockets_of,
)


def front_pids(project: TinyProject) -> dict[str, int]:
    return {name: pid for name, pid in project.pids().items() if name.startswith("mcp-front:")}


def gone(project: TinyProject) -> bool:
    return not election.is_claimed(project.project)


def test_an_agent_is_served_by_a_supervisor_that_starts_for_it_and_leaves_after_it(project: TinyProject) -> None:
    agent = project.agent()
    assert agent.ask("hello") == "HELLO"
    status = project.status()
    assert status
    assert (status.mode, status.clients, status.addresses) == ("on-demand", 1, [])
    assert os.getsid(status.pid) not in (os.getsid(0), os.getsid(agent.process.pid))
    assert agent.leave() == 0
    assert agent.stderr() == ""
    eventually(lambda: gone(project), "the supervisor leaves")
    assert not exists(status.pid)


def test_twenty_agents_at_once_share_one_supervisor(project: TinyProject) -> None:
    agents = [project.agent() for _ in range(20)]
    for number, agent in enumerate(agents):
        assert agent.ask(f"agent {number}") == f"AGENT {number}"
    status = project.status()
    assert status
    assert status.clients == 20
    started = [line for line in project.notes("mcp-front") if line["said"] == "ready"]
    assert len({line["pid"] for line in started}) == 20
    assert len([line for line in project.notes("task-runner") if line.get("said") == "ready"]) == 1
    assert [agent.leave() for agent in agents] == [0] * 20
    eventually(lambda: gone(project), "the supervisor leaves")


def test_agents_use_the_supervisor_that_is_up_and_leave_it_up(project: TinyProject) -> None:
    up = project.up()
    agent = project.agent()
    assert agent.ask("hello") == "HELLO"
    status = project.status()
    assert status
    assert status.pid == up.pid
    assert agent.leave() == 0
    eventually(project.all_running, "the supervisor stays")


def test_two_projects_never_see_each_other(project: TinyProject, tmp_path: Path, runtime_dir: Path) -> None:
    other = TinyProject(tmp_path / "other", runtime_dir)
    try:
        agents = [project.agent(), other.agent()]
        assert [agent.ask("x") for agent in agents] == ["X", "X"]
        mine, others = project.status(), other.status()
        assert mine
        assert others
        assert mine.pid != others.pid
        assert mine.data_dir != others.data_dir
        assert [agent.leave() for agent in agents] == [0, 0]
    finally:
        other.close()


def test_work_keeps_the_supervisor_after_the_last_agent(project: TinyProject) -> None:
    agent = project.agent()
    agent.ask("hello")
    (project.data_dir / "busy").write_text("")
    eventually(lambda: (status := project.status()) and status.busy, "the runner is busy")
    assert agent.leave() == 0
    eventually(lambda: (status := project.status()) and status.clients == 0, "the agent is gone")
    assert project.kill("task-runner").state == "running", "a restart of the runner does not make it forget"
    (project.data_dir / "busy").unlink()
    eventually(lambda: gone(project), "the supervisor leaves when the work is done")


def test_only_the_front_holds_the_agents_pipes(project: TinyProject) -> None:
    agent = project.agent()
    agent.ask("hello")
    assert agent.process.stdout
    wire = os.readlink(f"/proc/self/fd/{agent.process.stdout.fileno()}")  # noqa: PTH115
    status = project.status()
    assert status
    holders = {name for name, pid in project.pids().items() if wire in sockets_of(pid)}
    assert holders == {"mcp-front:1"}
    assert wire not in sockets_of(status.pid)
    assert wire not in sockets_of(agent.process.pid)
    agent.leave()


def test_another_configuration_is_refused_by_name(project: TinyProject) -> None:
    first = project.agent()
    first.ask("hello")
    config = project.folder / "ratchet.yaml"
    config.write_text(config.read_text() + "\n# changed\n")
    second = project.agent()
    assert second.process.wait(BOUND_SECONDS) == 1
    said = second.stderr()
    assert f"runs with another configuration: it started with {config} of digest" in said
    assert "run `ratchet down`" in said
    assert first.ask("still there") == "STILL THERE"
    first.leave()


def test_a_supervisor_that_cannot_start_tells_its_agents_why(project: TinyProject) -> None:
    (project.folder / "ratchet.yaml").write_text("wrokers: {}\n")
    agents = [project.agent() for _ in range(3)]
    for agent in agents:
        assert agent.process.wait(BOUND_SECONDS) == 1
        assert "wrokers" in agent.stderr()


def test_an_actor_that_cannot_start_is_told_to_the_agents_too(project: TinyProject) -> None:
    project.order("log-store", fail="the disk is full of cats")
    agent = project.agent()
    assert agent.process.wait(BOUND_SECONDS) == 1
    said = agent.stderr()
    assert "log-store cannot be started: the disk is full of cats" in said
    eventually(lambda: gone(project), "the supervisor leaves")
    assert "Traceback" not in Path(f"{project.project.lock_path}.stderr").read_text()


def test_a_supervisor_that_crashes_before_it_answers_is_shown(project: TinyProject) -> None:
    command = [sys.executable, "-P", "-c", SHIM.replace("tiny_supervisor", "no_such_module")]
    ran = subprocess.run(
        command, cwd=project.folder, env=project.environ, capture_output=True, timeout=BOUND_SECONDS, check=False
    )
    assert ran.returncode == 1
    assert b"the supervisor ended before it answered" in ran.stderr
    assert b"No module named no_such_module" in ran.stderr


def test_wrong_usage_and_a_missing_file_are_said_at_once(project: TinyProject) -> None:
    wrong = project.agent("--frobnicate")
    assert wrong.process.wait(BOUND_SECONDS) == 2
    assert "usage: ratchet stdio" in wrong.stderr()
    missing = project.agent("--config=nowhere.yaml")
    assert missing.process.wait(BOUND_SECONDS) == 1
    assert "nowhere.yaml" in missing.stderr()


def test_a_front_that_dies_ends_its_shim_with_the_reason(project: TinyProject) -> None:
    agent, other = project.agent(), project.agent()
    assert other.ask("hello") == "HELLO"
    agent.ask("hello")
    assert agent.process.stdin
    agent.process.stdin.write(b"die\n")
    agent.process.stdin.flush()
    assert agent.process.wait(BOUND_SECONDS) == 1
    assert "the MCP front ended with SIGKILL; executions go on" in agent.stderr()
    assert other.ask("still there") == "STILL THERE"
    other.leave()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_shim_that_is_ended_takes_its_front_along(project: TinyProject, number: signal.Signals) -> None:
    other = project.agent()
    other.ask("hello")
    agent = project.agent()
    agent.ask("hello")
    fronts = front_pids(project)
    agent.process.send_signal(number)
    assert agent.process.wait(BOUND_SECONDS) == -number
    eventually(lambda: len(front_pids(project)) == 1, "its front is gone")
    assert not exists((set(fronts.values()) - set(front_pids(project).values())).pop())
    other.leave()


def test_a_killed_supervisor_ends_its_shims(project: TinyProject) -> None:
    agent = project.agent()
    agent.ask("hello")
    status = project.status()
    assert status
    os.kill(status.pid, signal.SIGKILL)
    assert agent.process.wait(BOUND_SECONDS) == 1
    assert "the supervisor is gone" in agent.stderr()
    again = project.agent()
    assert again.ask("hello") == "HELLO"
    again.leave()


def test_down_ends_agents_without_an_error(project: TinyProject) -> None:
    agent = project.agent()
    agent.ask("hello")
    with SupervisorClient(project.project) as client:
        client.request_down()
        client.wait_gone()
    assert agent.process.wait(BOUND_SECONDS) == 0
    assert "the supervisor was stopped" in agent.stderr()


def test_an_agent_that_comes_while_a_supervisor_drains_gets_the_next_one(project: TinyProject) -> None:
    project.configure(supervisor={"idle_exit_seconds": 0.3, "drain_seconds": 5})
    project.order("worker:1", stubborn=True)
    first = project.agent()
    first.ask("hello")
    eventually(lambda: (status := project.status()) and all(c.state == "running" for c in status.children), "all run")
    before = project.status()
    with SupervisorClient(project.project) as client:
        client.request_down()
        second = project.agent()
        assert second.ask("hello") == "HELLO"
    after = project.status()
    assert before
    assert after
    assert before.pid != after.pid
    second.leave()


def test_up_attaches_to_a_supervisor_that_an_agent_started(project: TinyProject) -> None:
    agent = project.agent()
    agent.ask("hello")
    up = project.run()
    eventually(lambda: (found := project.status()) and found.addresses, "the port is open")
    status = project.status()
    assert status
    assert status.mode == "on-demand"
    agent.leave()
    eventually(lambda: project.child("mcp-front").state == "running", "its front runs")
    up.send_signal(signal.SIGINT)
    said = project.said(up)
    assert up.returncode == 0
    assert status.addresses[0] in said
    assert "Detached." in said
    eventually(lambda: gone(project), "the supervisor leaves after it")


def test_a_port_that_the_configuration_asks_for_is_open_without_up(project: TinyProject) -> None:
    project.configure(mcp={"server": {"transport": "http", "bind_address": "127.0.0.1:0"}})
    agent = project.agent()
    agent.ask("hello")
    status = eventually(project.status, "it answers")
    assert len(status.addresses) == 1
    agent.leave()


def test_an_agents_host_that_ends_the_whole_family_does_not_end_the_supervisor(project: TinyProject) -> None:
    agent, other = project.agent(), project.agent()
    assert other.ask("hello") == "HELLO"
    agent.ask("hello")
    for one in (agent, other):
        os.killpg(one.process.pid, signal.SIGKILL)
    eventually(lambda: gone(project), "it leaves in its own time")
    ended = [line for line in project.log("supervisor") if line["event"] == "the supervisor ends"]
    assert ended[0]["exit_code"] == 0


def test_the_shim_imports_next_to_nothing() -> None:
    heavy = {"asyncio", "typer", "pydantic", "yaml", "zmq", "structlog", "pathlib", "subprocess", "typing", "argparse"}
    code = f"import sys; import ratchet.shim; print(*({heavy!r} & set(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-P", "-S", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert ran.stderr == ""
    assert ran.stdout.split() == []


def test_help_is_given_by_the_real_command_line() -> None:
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "ratchet", "stdio", "--help"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0
    assert "--data-dir" in ran.stdout
