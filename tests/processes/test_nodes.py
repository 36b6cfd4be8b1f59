"""Machines that only work: they join by token, get what they have the code for, and may be cut off and come back."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratchet.bodies.common import Empty
from ratchet.messages import GET_HEALTH
from ratchet.models import Category, Status
from tests.harness import eventually
from tests.processes.cluster import Cluster, Proxy, cluster

LEASE_SECONDS = 4


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head that runs nothing itself; the tests below add its nodes, one after the other."""
    base = tmp_path_factory.mktemp("cluster")
    with cluster(base, config={"workers": {"count": 0, "node_lease_seconds": LEASE_SECONDS}}) as found:
        yield found


@pytest.fixture(scope="module")
def proxy(fleet: Cluster) -> Iterator[Proxy]:
    """The way of node `one` to the head."""
    found = Proxy(fleet.port)
    yield found
    found.close()


@pytest.fixture(scope="module")
def one(fleet: Cluster, proxy: Proxy) -> Cluster:
    """With node `one`, two executions at a time."""
    fleet.need("one", port=proxy.port)
    return fleet


def test_an_execution_waits_for_a_node_and_runs_there_with_all_that_it_says(fleet: Cluster, proxy: Proxy) -> None:
    execution_id = fleet.submit("below")
    assert fleet.show(execution_id).waiting_for == "no worker is connected"
    fleet.need("one", port=proxy.port)
    done = fleet.until(execution_id, Status.COMPLETED)
    assert done.output == ["one", "one"]
    assert [attempt.worker for attempt in done.attempts] == ["worker:one.1"]
    eventually(lambda: fleet.show(execution_id).attempts[0].telemetry == "complete", "all that it said is stored")
    [called] = [one for one in fleet.called_by(execution_id) if one.task_id == "where"]
    assert "here" in fleet.cli("logs", called.execution_id)
    assert "look" in fleet.cli("trace", called.execution_id)
    key = fleet.nodes["one"].data_dir / "node.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert fleet.secret("one") not in fleet.environments("one")
    status = fleet.cli("status", project=fleet.nodes["one"])
    assert f"tcp://127.0.0.1:{proxy.port}, as node one" in status


@pytest.mark.usefixtures("one")
def test_a_node_gets_no_work_of_a_version_that_it_does_not_have(fleet: Cluster) -> None:
    node, file = fleet.nodes["one"], fleet.nodes["one"].folder / "tasks" / "where.py"
    right = file.read_text()
    node.write_task("where", right + "\nX = 1\n")

    def one_that_waits() -> str | None:
        """Until the node notices, children that have loaded the right version go on running it."""
        submitted = fleet.submit("where")
        return submitted if "no worker has version" in (fleet.show(submitted).waiting_for or "") else None

    execution_id = eventually(one_that_waits, "an execution waits for its version")
    waits = fleet.show(execution_id).waiting_for or ""
    assert " of where.py: node one has " in waits
    assert waits in fleet.cli("show", execution_id)
    file.unlink()
    fleet.until_waiting_for(execution_id, "node one lacks where.py")
    file.write_text(right)
    assert fleet.until(execution_id, Status.COMPLETED).output == "one"


@pytest.mark.usefixtures("one")
def test_a_node_that_loses_the_head_reports_when_it_is_back_within_the_lease(
    fleet: Cluster, proxy: Proxy, tmp_path: Path
) -> None:
    execution_id = fleet.submit("wait-for", flag=str(tmp_path / "flag"), out=str(tmp_path / "out"))
    fleet.until(execution_id, Status.RUNNING)
    proxy.cut()
    (tmp_path / "flag").touch()
    eventually((tmp_path / "out").exists, "it ends, cut off as it is")
    assert fleet.show(execution_id).status is Status.RUNNING
    proxy.mend()
    done = fleet.until(execution_id, Status.COMPLETED)
    assert (done.output, len(done.attempts)) == ("one", 1)
    assert (tmp_path / "out").read_text() == "one\n"


@pytest.mark.usefixtures("one")
def test_after_the_lease_its_attempts_are_given_up_and_a_late_end_is_refused_and_known_of(
    fleet: Cluster, proxy: Proxy, tmp_path: Path
) -> None:
    execution_id = fleet.submit("wait-for", flag=str(tmp_path / "flag"), out=str(tmp_path / "out"))
    fleet.until(execution_id, Status.RUNNING)
    proxy.cut()
    (tmp_path / "flag").touch()
    failed = fleet.until(execution_id, Status.FAILED)
    assert failed.failure is not None
    assert (failed.failure.category, failed.failure.type) == (Category.WORKER_LOST, "LeaseExpired")
    assert f"its lease is {LEASE_SECONDS} s" in failed.failure.message
    proxy.mend()
    eventually(lambda: fleet.show(execution_id).attempts[0].late_end, "the late end is known of")
    after = fleet.show(execution_id)
    assert (after.status, after.output, after.attempts[0].late_end) == (Status.FAILED, None, "it completed")
    assert "its end came too late and was refused: it completed" in fleet.cli("show", execution_id)
    assert fleet.ask(GET_HEALTH, Empty()).counters["late_reports"] == 1
    fleet.wait_connected("one")


@pytest.mark.usefixtures("one")
def test_a_killed_task_runner_finds_again_what_its_nodes_run(fleet: Cluster, tmp_path: Path) -> None:
    execution_id = fleet.submit("wait-for", flag=str(tmp_path / "flag"), out=str(tmp_path / "out"))
    fleet.until(execution_id, Status.RUNNING)
    fleet.head.kill("task-runner")
    (tmp_path / "flag").touch()
    done = fleet.until(execution_id, Status.COMPLETED)
    assert (done.output, len(done.attempts)) == ("one", 1)


@pytest.mark.usefixtures("one")
def test_how_a_worker_of_a_node_ended_is_said_by_its_own_supervisor(fleet: Cluster, tmp_path: Path) -> None:
    execution_id = fleet.submit("wait-for", flag=str(tmp_path / "flag"), out=str(tmp_path / "out"))
    fleet.until(execution_id, Status.RUNNING)
    fleet.nodes["one"].kill("worker:one.1")
    failed = fleet.until(execution_id, Status.FAILED)
    assert failed.failure is not None
    assert (failed.failure.category, failed.failure.type) == (Category.WORKER_LOST, "WorkerDied")
    assert "worker:one.1" in failed.failure.message
    assert "SIGKILL" in failed.failure.message
    fleet.wait_connected("one")


@pytest.mark.usefixtures("one")
def test_two_nodes_share_the_work_and_a_drained_one_finishes_what_it_runs(fleet: Cluster, tmp_path: Path) -> None:
    fleet.need("two")
    out = tmp_path / "out"
    running = [fleet.submit("wait-for", flag=str(tmp_path / "flag"), out=str(out)) for _ in range(4)]
    for execution_id in running:
        fleet.until(execution_id, Status.RUNNING)
    fleet.cli("node", "drain", "two")
    waiting = fleet.submit("wait-for", flag=str(tmp_path / "flag"), out=str(out))
    assert fleet.show(waiting).status is Status.QUEUED
    (tmp_path / "flag").touch()
    outputs = [fleet.until(execution_id, Status.COMPLETED).output for execution_id in [*running, waiting]]
    assert outputs[-1] == "one"
    assert Counter(outputs) == Counter(out.read_text().split()) == {"one": 3, "two": 2}
    fleet.cli("node", "resume", "two")
    fleet.cli("node", "drain", "one")
    assert fleet.until(fleet.submit("where"), Status.COMPLETED).output == "two"


@pytest.mark.usefixtures("one")
def test_a_node_needs_a_token_only_once_and_ends_with_the_reason_when_revoked(fleet: Cluster, tmp_path: Path) -> None:
    fleet.need("two")
    fleet.cli("node", "drain", "one")
    assert fleet.stop("two") == 0
    fleet.start("two")
    execution_id = fleet.submit("wait-for", flag=str(tmp_path / "flag"), out=str(tmp_path / "out"))
    fleet.until(execution_id, Status.RUNNING)
    fleet.cli("node", "revoke", "two")
    failed = fleet.until(execution_id, Status.FAILED)
    assert failed.failure is not None
    assert (failed.failure.category, failed.failure.type) == (Category.WORKER_LOST, "NodeRevoked")
    (tmp_path / "flag").touch()
    assert fleet.wait_ended("two") == 77
    assert "does not admit the key of node two" in fleet.said("two")
    assert fleet.show(execution_id).attempts[0].late_end is None


def test_a_token_on_the_command_line_is_refused_and_never_repeated(fleet: Cluster) -> None:
    for arguments in (["--name=rjt_secret"], ["rjt_secret"]):
        done = _worker(fleet, *arguments)
        assert done.returncode == 2
        assert "can be read by everybody" in done.stderr
        assert "rjt_secret" not in done.stderr


@pytest.mark.usefixtures("one")
def test_without_a_token_or_with_a_spent_one_or_under_a_taken_name_it_is_said_what_to_do(
    fleet: Cluster, tmp_path: Path
) -> None:
    assert "ratchet node token" in _worker(fleet, "--name=three").stderr
    token = tmp_path / "token"
    token.write_text(fleet.tokens["one"])
    spent = _worker(fleet, "--name=three", f"--token-file={token}")
    assert spent.returncode != 0
    assert "does not take this join token" in spent.stderr
    token.write_text(fleet.token())
    taken = _worker(fleet, "--name=one", f"--token-file={token}")
    assert taken.returncode != 0
    assert "another key is enrolled as node one" in taken.stderr


def _worker(fleet: Cluster, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`ratchet worker` in an empty folder."""
    folder = fleet.head.folder.parent / "nowhere"
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-P", "-m", "ratchet", "worker", f"--join=tcp://127.0.0.1:{fleet.port}", *arguments],
        cwd=folder,
        env={**fleet.head.environ, "XDG_DATA_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
