"""Tasks that end badly: each is reported with its exact cause, leaves no process, and the next execution runs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from mcp import Client

from tests.harness import RunningProject, eventually, eventually_async, started_project

TASKS = {
    "bad_ends": """
        import ctypes, os, subprocess, sys, time
        from pathlib import Path
        from ratchet import Context, task

        @task
        def fine() -> str:
            return "fine"

        @task
        def exits(code: int) -> None:
            os._exit(code)

        @task
        def segfaults() -> None:
            ctypes.string_at(0)

        @task
        def eats_memory() -> int:
            hoard = []
            while True:
                hoard.append(bytearray(16 * 1024 * 1024))

        @task
        def fills_a_file(folder: str) -> None:
            with open(folder + "/large", "wb") as file:
                while True:
                    file.write(b"x" * 1024 * 1024)

        @task
        def opens_files() -> None:
            files = []
            while True:
                files.append(open("/dev/null"))

        @task(timeout=0.5)
        def loops() -> None:
            while True:
                pass

        @task(timeout=0.5)
        def ignores_term() -> None:
            import signal
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                try:
                    time.sleep(10)
                except BaseException:
                    pass

        @task
        def forks_a_daemon(ctx: Context, file: str) -> str:
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    with open(file, "w") as pid:
                        pid.write(str(os.getpid()))
                    time.sleep(600)
                os._exit(0)
            os.wait()
            while not os.path.exists(file) or not open(file).read():
                time.sleep(0.01)
            return "left one behind"

        @task
        def unserialisable() -> object:
            return object()

        @task
        def cyclic():
            loop = []
            loop.append(loop)
            return loop

        @task
        def too_large() -> str:
            return "x" * (100 * 1024 * 1024)

        @task
        def prints_everywhere() -> str:
            print("from python")
            sys.stdout.flush()
            ctypes.CDLL(None).puts(b"from a C library")
            ctypes.CDLL(None).fflush(None)
            subprocess.run(["echo", "from a subprocess"], check=True)
            return "printed"

        @task
        def shows_environment() -> dict[str, str]:
            return dict(os.environ)
        """,
    "broken": "def oops(:\n",
}
CONFIG: dict[str, Any] = {
    "limits": {"memory_bytes": "256 MiB", "file_bytes": "8 MiB", "open_files": 64, "cpu_seconds": 60},
    "executions": {"grace_seconds": 0.5},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProject]:
    folder = tmp_path_factory.mktemp("bad-ends") / "project"
    with started_project(folder, tasks=TASKS, config=CONFIG, environ={"PROJECT_SECRET": "hunter2-hunter2"}) as found:
        yield found


async def execute(client: Client, task_id: str, task_input: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await client.call_tool("ratchet_execute_task", {"task_id": task_id, "input": task_input or {}})
    assert answer.structured_content is not None
    return answer.structured_content


@pytest.mark.parametrize(
    ("task_id", "task_input", "category", "words"),
    [
        ("exits", {"code": 3}, "crashed", "exited with code 3"),
        ("segfaults", {}, "crashed", "SIGSEGV"),
        ("eats-memory", {}, "limit", "memory_bytes is 256 MiB"),
        ("fills-a-file", {"folder": "FOLDER"}, "limit", "file_bytes is 8 MiB"),
        ("opens-files", {}, "limit", "open_files is 64"),
        ("loops", {}, "timeout", "timeout of 0.5 s"),
        ("ignores-term", {}, "timeout", "timeout of 0.5 s"),
        ("unserialisable", {}, "invalid_output", "object"),
        ("cyclic", {}, "invalid_output", ""),
        ("too-large", {}, "invalid_output", "bytes"),
    ],
)
async def test_a_bad_end_is_reported_with_its_cause_and_the_next_execution_runs(
    project: RunningProject, task_id: str, task_input: dict[str, Any], category: str, words: str
):
    given = {name: str(project.folder) if value == "FOLDER" else value for name, value in task_input.items()}
    async with project.client() as client:
        ended = await execute(client, task_id, given)
        assert ended["status"] == "failed"
        assert ended["error"]["category"] == category, ended["error"]
        assert words in ended["error"]["message"]
        assert (await execute(client, "fine"))["output"] == "fine"


async def test_a_daemon_that_a_task_leaves_behind_does_not_outlive_its_execution(project: RunningProject):
    file = project.folder / "daemon.pid"
    async with project.client() as client:
        ended = await execute(client, "forks-a-daemon", {"file": str(file)})
    assert ended["output"] == "left one behind"
    pid = int(file.read_text())
    await eventually_async(lambda: not lives(pid), "the daemon is gone", seconds=1)


async def test_what_a_task_a_c_library_and_a_subprocess_print_is_in_the_logs(project: RunningProject):
    async with project.client() as client:
        ended = await execute(client, "prints-everywhere")
        answer = await client.call_tool("ratchet_get_execution_logs", {"execution_id": ended["execution_id"]})
    assert answer.structured_content is not None
    messages = {one["message"] for one in answer.structured_content["logs"]}
    assert {"from python", "from a C library", "from a subprocess"} <= messages


async def test_no_zygote_and_no_child_has_the_environment_of_the_supervisor(project: RunningProject):
    async with project.client() as client:
        environment = (await execute(client, "shows-environment"))["output"]
    assert "PROJECT_SECRET" not in environment
    status = project.status()
    assert status is not None
    workers = [psutil.Process(one.pid) for one in status.children if one.name.startswith("worker") and one.pid]
    below = [one for worker in workers for one in worker.children(recursive=True)]
    assert below
    assert not any("PROJECT_SECRET" in one.environ() for one in below)


async def test_a_broken_file_is_listed_with_its_error_and_does_not_hide_the_others(project: RunningProject):
    async with project.client() as client:
        answer = await client.call_tool("ratchet_list_available_tasks", {})
        assert answer.structured_content is not None
        (broken,) = answer.structured_content["broken_files"]
        assert broken["error_type"] == "SyntaxError"
        assert broken["line"] == 1
        assert any(one["task_id"] == "fine" for one in answer.structured_content["tasks"])


async def test_a_changed_file_is_picked_up_by_the_next_call_and_so_is_its_mending(project: RunningProject):
    path = project.write_task("changing", "from ratchet import task\n@task\ndef changing() -> int:\n    return 1\n")
    async with project.client() as client:
        assert (await execute(client, "changing"))["output"] == 1
        path.write_text("from ratchet import task\n@task\ndef changing() -> int:\n    return 22\n")
        assert (await execute(client, "changing"))["output"] == 22
        path.write_text("def changing(:\n")
        answer = await client.call_tool("ratchet_execute_task", {"task_id": "changing", "input": {}})
        assert answer.is_error
        assert "SyntaxError" in str(answer.content)
        path.write_text("from ratchet import task\n@task\ndef changing() -> int:\n    return 333\n")
        assert (await execute(client, "changing"))["output"] == 333


def test_kill_nine_of_the_supervisor_leaves_no_process_and_the_next_one_goes_on_with_the_queue(
    tmp_path_factory: pytest.TempPathFactory,
):
    folder = tmp_path_factory.mktemp("killed") / "project"
    tasks = {
        "slow": """
            import os, time
            from ratchet import task

            @task(idempotent=True)
            def slow(file: str) -> str:
                if os.fork() == 0:
                    os.setsid()
                    if os.fork() == 0:
                        open(file, "a").write(f"{os.getpid()}\\n")
                        time.sleep(600)
                    os._exit(0)
                time.sleep(0.5)
                return "done"
            """
    }
    with started_project(folder, tasks=tasks, config={"workers": {"count": 1, "children": 1}}) as project:
        daemons = folder / "daemons"
        ids = [submit(project, str(daemons)) for _ in range(3)]
        eventually(lambda: daemons.exists() and daemons.read_text().strip(), "a task runs and has left a daemon")
        supervisor = psutil.Process(project.pid)
        family = [supervisor, *supervisor.children(recursive=True)]
        project.kill_supervisor()
        daemon_pids = [int(pid) for pid in daemons.read_text().split()]
        eventually(lambda: not any(map(lives, daemon_pids)), "no daemon is left", seconds=1)
        eventually(lambda: not any(lives(one.pid) for one in family), "no process is left", seconds=1)
        project.start()
        for execution_id in ids:
            assert status_of(project, execution_id) == "completed"


def lives(pid: int) -> bool:
    """Whether it still runs; a zombie only waits for init to notice."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def submit(project: RunningProject, file: str) -> str:
    return str(
        run_cli(project, "run", "slow", "--no-wait", "--json", "--input", f'{{"file": "{file}"}}')["execution_id"]
    )


def status_of(project: RunningProject, execution_id: str) -> str:
    def ended() -> str | None:
        status = str(run_cli(project, "show", execution_id, "--json")["status"])
        return status if status in ("completed", "failed", "cancelled") else None

    return eventually(ended, f"{execution_id} ends")


def run_cli(project: RunningProject, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "ratchet", *arguments, f"--config={project.config_path}"],
        env=project.environ,
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
