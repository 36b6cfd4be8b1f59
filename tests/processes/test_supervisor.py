"""The supervisor with real processes: start, watch, restart, drain, and nothing left behind."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from ratchet.channel import Channel, encode
from ratchet.supervision import election
from tests.processes.tiny_project import BOUND_SECONDS, TinyProject, eventually, exists, sockets_of


def test_the_report_says_where_everything_is(project: TinyProject) -> None:
    process = project.up()
    status = project.status()
    assert status
    assert status.mode == "up"
    process.terminate()
    said = project.said(process)
    assert process.returncode == 0
    for expected in (str(project.folder), str(project.data_dir), *status.addresses, "2 tasks, 1 file", "Ctrl-C"):
        assert expected in said
    for child in status.children:
        assert f"pid {child.pid}" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_drains_stage_after_stage(project: TinyProject, number: signal.Signals) -> None:
    process = project.up()
    os.killpg(process.pid, number)
    project.said(process)
    assert process.returncode == 0
    ended = [line["name"] for line in project.log("supervisor") if line["event"] == "an actor ended"]
    assert ended[0] == "mcp-front"
    assert set(ended[1:3]) == {"worker:1", "worker:2"}
    assert set(ended[3:5]) == {"log-store", "trace-store"}
    assert ended[5] == "task-runner"
    assert project.notes("task-runner")[-1]["said"] == "draining"


def test_a_second_signal_insists(project: TinyProject) -> None:
    project.configure(supervisor={"drain_seconds": 30})
    project.order("mcp-front", stubborn=True)
    process = project.up()
    process.send_signal(signal.SIGINT)
    eventually(lambda: project.notes("mcp-front")[-1]["said"] == "draining", "the front drains")
    process.send_signal(signal.SIGINT)
    assert process.wait(BOUND_SECONDS) == 0


def test_an_actor_that_does_not_drain_is_killed_after_its_grace(project: TinyProject) -> None:
    project.order("worker:1", stubborn=True)
    process = project.up()
    process.terminate()
    assert process.wait(BOUND_SECONDS) == 0
    ends = {line["name"]: line["cause"] for line in project.log("supervisor") if line["event"] == "an actor ended"}
    assert ends["worker:1"] == "SIGKILL"
    assert ends["worker:2"] == "exit code 0"


@pytest.mark.parametrize("name", ["task-runner", "log-store", "worker:1", "mcp-front"])
def test_a_killed_actor_is_back_within_two_seconds_and_the_runner_knows_why(project: TinyProject, name: str) -> None:
    project.up()
    killed = project.child(name)
    replaced = project.kill(name)
    assert replaced.restarts == 1
    assert replaced.last_exit
    assert replaced.last_exit.cause == "SIGKILL"
    report = eventually(
        lambda: next((one for one in project.notes("task-runner") if "exit" in one), None), "the exit is reported"
    )
    assert report["exit"]["name"] == name
    assert report["exit"]["incarnation"] == killed.incarnation
    assert report["exit"]["pid"] == killed.pid
    assert report["exit"]["memory_bytes_max"] > 2**20
    assert report["cause"] == "SIGKILL"


def test_an_exit_is_reported_until_a_runner_acknowledges_it(project: TinyProject) -> None:
    project.up()
    project.order("task-runner", deaf=True)  # it dies of the report before it can acknowledge
    project.kill("worker:2")
    reports = eventually(
        lambda: [one for one in project.notes("task-runner") if one.get("exit", {}).get("name") == "worker:2"][1:],
        "the report comes again",
    )
    project.order("task-runner")
    eventually(lambda: project.child("task-runner").state == "running", "a runner that hears")
    assert len({one["pid"] for one in reports}) == len(reports), "every time to another process"


def test_an_actor_whose_task_crashes_is_replaced_and_its_traceback_is_logged(project: TinyProject) -> None:
    project.up()
    project.order("log-store", **{"own crash": True})
    project.kill("log-store")
    crashed = eventually(
        lambda: [line for line in project.log("log-store") if "crashed" in line["event"]], "the crash is logged"
    )
    assert crashed[0]["exception"][0]["exc_value"] == "ordered to crash"
    project.order("log-store")
    eventually(
        lambda: any(one.get("exit", {}).get("exit_code") == 1 for one in project.notes("task-runner")),
        "it ended with code 1",
    )
    eventually(project.all_running, "a good one is back")


def test_a_sigterm_to_one_actor_drains_and_replaces_it(project: TinyProject) -> None:
    project.up()
    before = project.child("worker:1")
    os.kill(before.pid or 0, signal.SIGTERM)
    eventually(lambda: project.child("worker:1").incarnation != before.incarnation, "another worker")
    assert {"name": "worker:1", "pid": before.pid, "said": "draining"} in project.notes("worker")


def test_actors_hold_no_socket_of_one_another_and_not_the_supervisors(project: TinyProject) -> None:
    process = project.up()
    held = {name: sockets_of(pid) for name, pid in project.pids().items()}
    own = sockets_of(process.pid)
    stderr = str(Path(f"/proc/{process.pid}/fd/2").readlink())
    for name, sockets in held.items():
        for other, others in held.items():
            assert name == other or sockets & others <= {stderr}, f"{name} and {other} share {sockets & others}"
    shared = {name: (sockets & own) - {stderr} for name, sockets in held.items()}
    assert len(shared.pop("mcp-front")) == 1, "the listening socket, and no other"
    assert set().union(*shared.values()) == set()
    for pid in project.pids().values():
        assert Path(f"/proc/{pid}/fd/0").readlink() == Path(os.devnull)


def test_nothing_is_left_one_second_after_the_supervisor_was_killed(project: TinyProject) -> None:
    process = project.up()
    pids = list(project.pids().values())
    process.kill()
    process.wait(BOUND_SECONDS)
    eventually(lambda: not any(map(exists, pids)), "every actor is gone", seconds=1.0)


def daemon_of(project: TinyProject) -> int:
    """The pid that the daemon of a worker writes; nobody waits for it to have done so."""
    path = project.data_dir / "daemon.pid"
    return int(eventually(lambda: path.exists() and path.read_text(), "the daemon runs"))


def test_what_a_killed_worker_leaves_behind_is_killed(project: TinyProject) -> None:
    project.order("worker:1", daemon=True)
    project.up()
    daemon = daemon_of(project)
    assert exists(daemon)
    project.order("worker:1")
    project.kill("worker:1")
    eventually(lambda: not exists(daemon), "the daemon is gone", seconds=3.0)


def test_what_a_drained_worker_leaves_behind_is_killed(project: TinyProject) -> None:
    project.order("worker:1", daemon=True)
    process = project.up()
    daemon = daemon_of(project)
    process.terminate()
    assert process.wait(BOUND_SECONDS) == 0
    assert not exists(daemon)


def test_an_actor_that_cannot_start_ends_the_supervisor_with_its_reason(project: TinyProject) -> None:
    project.order("trace-store", fail="the disk is full of cats")
    process = project.run()
    assert "trace-store cannot be started: the disk is full of cats" in project.said(process)
    assert process.returncode == 1


def test_too_many_restarts_drain_and_exit_with_70(project: TinyProject) -> None:
    project.configure(supervisor={"restart_intensity": 2})
    process = project.up()
    project.kill("worker:1")
    project.kill("worker:2")
    os.kill(project.pids()["log-store"], signal.SIGKILL)
    said = project.said(process)
    assert process.returncode == 70
    assert "more than 2 restarts within 60 seconds; the last to end was log-store (SIGKILL)" in said


def test_a_port_in_use_is_named_with_the_key_to_change(project: TinyProject) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        project.configure(mcp={"server": {"bind_address": f"127.0.0.1:{port}"}})
        process = project.run()
        said = project.said(process)
    assert process.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use; set mcp.server.bind_address" in said
    assert not election.is_claimed(project.project)


def test_a_data_dir_that_cannot_be_is_named(project: TinyProject) -> None:
    (project.folder / "file").write_text("")
    project.configure(data_dir=str(project.folder / "file" / "data"))
    process = project.run()
    said = project.said(process)
    assert process.returncode == 1
    assert (
        f"the data directory {project.folder / 'file' / 'data'} cannot be used: Not a directory; set data_dir" in said
    )


def test_two_projects_do_not_share_a_data_dir(project: TinyProject, tmp_path: Path, runtime_dir: Path) -> None:
    project.up()
    other = TinyProject(tmp_path / "other", runtime_dir)
    other.configure(data_dir=str(project.data_dir))
    process = other.run()
    try:
        assert f"another supervisor uses the data directory {project.data_dir}" in other.said(process)
        assert process.returncode == 1
    finally:
        other.close()


def test_a_second_up_is_refused_and_names_the_first(project: TinyProject) -> None:
    first = project.up()
    second = project.run()
    assert f"is up already, with pid {first.pid}" in project.said(second)
    assert second.returncode == 1
    assert project.all_running()


def test_hostile_clients_are_dropped_and_nobody_else_notices(project: TinyProject) -> None:
    project.up()
    control = project.project
    for garbage in (b"\xff" * 64, b"\x00\x00\x00\x01\x00", encode("stdio", {"version": 7}), encode("status", {}) * 3):
        client = election.connect(control)
        assert client
        with client:
            client.settimeout(BOUND_SECONDS)
            client.sendall(garbage)
            while client.recv(65536):
                pass
    assert project.all_running()


def test_descriptors_of_a_refused_client_are_closed(project: TinyProject) -> None:
    project.up()
    client = election.connect(project.project)
    assert client
    read, write = os.pipe()
    with client:
        client.settimeout(BOUND_SECONDS)
        Channel(client).send("stdio", {"version": "other"}, fds=(write, write, write))
        os.close(write)
        assert client.recv(65536)
    assert os.read(read, 1) == b"", "nobody holds the other end"
    os.close(read)


def test_down_tells_what_it_waits_for_and_returns_when_the_supervisor_is_gone(project: TinyProject) -> None:
    from ratchet.supervision.client import SupervisorClient

    process = project.up()
    waited: list[str] = []
    with SupervisorClient(project.project) as client:
        assert client.request_down() == process.pid
        for _kind, body in client.messages():
            waited += body["waiting_for"]
    assert process.wait(BOUND_SECONDS) == 0
    stages = [("mcp-front",), ("worker:1", "worker:2"), ("log-store", "trace-store"), ("task-runner",)]
    order = [next(number for number, names in enumerate(stages) if name in names) for name in waited]
    assert order == sorted(order)
    assert waited[-1] == "task-runner"


def test_the_next_up_goes_on_after_the_supervisor_was_killed(project: TinyProject) -> None:
    first = project.up()
    first.kill()
    first.wait(BOUND_SECONDS)
    started = time.monotonic()
    second = project.up()
    assert time.monotonic() - started < BOUND_SECONDS
    assert project.status()
    second.terminate()
    assert second.wait(BOUND_SECONDS) == 0
