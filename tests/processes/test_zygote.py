"""The zygote as a process: it forks, reaps, and lets nothing of a child survive."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratchet.process import STACK_FILE
from ratchet.runtime import ZYGOTE_MAIN
from tests.processes.zygote_harness import ChildHandle, ZygoteHandle, alive, eventually, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="subreapers and /proc are Linux's")

DAEMON = """
    import os, time

    def daemonize(report: int) -> None:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.setsid()
                os.write(report, b"%d\\n" % os.getpid())
                time.sleep(600)
            os._exit(0)
        os.wait()

    @task
    def leave_daemon_and_die() -> None:
        read, write = os.pipe()
        daemonize(write)
        print("daemon", int(os.read(read, 20)))
        os._exit(3)

    @task
    def keep_daemon(ctx: Context) -> None:
        read, write = os.pipe()
        daemonize(write)
        ctx.log("daemon", pid=int(os.read(read, 20)))
        time.sleep(600)

    @task
    def wait(ctx: Context) -> None:
        ctx.log("waiting")
        time.sleep(600)

    @task
    def leave() -> int:
        os._exit(7)

    @task
    def segfault() -> None:
        import ctypes
        ctypes.string_at(0)
"""


@pytest.fixture
def zygote() -> Iterator[ZygoteHandle]:
    handle = ZygoteHandle()
    yield handle
    assert handle.close() == 0


def test_it_says_when_it_is_ready_and_on_which_python(zygote: ZygoteHandle) -> None:
    assert zygote.ready == {"pid": zygote.process.pid, "python": sys.version.split()[0]}


def test_a_child_exits_when_its_channel_closes(zygote: ZygoteHandle) -> None:
    child = zygote.fork()
    child.peer.close()
    exited = zygote.exited(child)
    assert (exited["exit_code"], exited["signal"]) == (0, None)
    assert exited["memory_bytes_max"] > 1024 * 1024
    assert exited["orphans_killed"] == 0


def test_an_exit_code_is_reported(zygote: ZygoteHandle, tmp_path: Path) -> None:
    described = zygote.fork().describe(write(tmp_path, "tasks.py", DAEMON))
    child = zygote.fork()
    child.order(described, "leave")
    exited = zygote.exited(child)
    assert (exited["pid"], exited["exit_code"], exited["signal"]) == (child.pid, 7, None)


def test_a_segfault_is_reported_and_its_python_stack_is_in_the_raw_output(zygote: ZygoteHandle, tmp_path: Path) -> None:
    described = zygote.fork().describe(write(tmp_path, "tasks.py", DAEMON))
    child = zygote.fork()
    child.order(described, "segfault")
    assert zygote.exited(child)["signal"] == signal.SIGSEGV
    stack = child.read_err()
    assert b"Segmentation fault" in stack
    assert b"in segfault" in stack


def test_the_daemon_of_a_dead_child_is_killed_before_the_death_is_reported(
    zygote: ZygoteHandle, tmp_path: Path
) -> None:
    described = zygote.fork().describe(write(tmp_path, "tasks.py", DAEMON))
    child = zygote.fork()
    child.order(described, "leave-daemon-and-die")
    exited = zygote.exited(child)
    logged = [body["message"] for kind, body in child.peer.rest() if kind == "log"]
    daemon = int(logged[0].split()[1])
    assert not alive(daemon)
    assert (exited["exit_code"], exited["orphans_killed"]) == (3, 1)


def test_a_tree_signal_reaches_what_the_child_started(zygote: ZygoteHandle, tmp_path: Path) -> None:
    described = zygote.fork().describe(write(tmp_path, "tasks.py", DAEMON))
    child = zygote.fork()
    child.order(described, "keep-daemon")
    daemon = _daemon_of(child)
    child.signal(signal.SIGKILL, tree=True)
    assert zygote.exited(child)["signal"] == signal.SIGKILL
    assert not alive(daemon)


def test_a_signal_to_a_child_that_is_gone_does_no_harm(zygote: ZygoteHandle) -> None:
    child = zygote.fork()
    child.peer.close()
    zygote.exited(child)
    child.signal(signal.SIGKILL, tree=True)
    assert zygote.fork().pid > 0


def test_when_the_worker_goes_nothing_is_left(tmp_path: Path) -> None:
    zygote = ZygoteHandle()
    described = zygote.fork().describe(write(tmp_path, "tasks.py", DAEMON))
    keeping, waiting = zygote.fork(), zygote.fork()
    keeping.order(described, "keep-daemon")
    waiting.order(described, "wait")
    daemon = _daemon_of(keeping)
    waiting.logged("waiting")
    zygote.peer.close()
    assert zygote.wait() == 0
    assert not [pid for pid in (daemon, keeping.pid, waiting.pid) if alive(pid)]
    for child in zygote.children:
        child.close()


def test_when_the_zygote_is_killed_its_children_die_too(tmp_path: Path) -> None:
    zygote = ZygoteHandle()
    described = zygote.fork().describe(write(tmp_path, "tasks.py", DAEMON))
    child = zygote.fork()
    child.order(described, "wait")
    child.logged("waiting")
    zygote.process.kill()
    assert eventually(lambda: not alive(child.pid))
    zygote.close()


def test_it_survives_the_signals_a_terminal_sends(zygote: ZygoteHandle) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        os.kill(zygote.process.pid, number)
    assert zygote.fork().pid > 0


def test_a_zygote_and_its_children_hold_only_their_own_descriptors(tmp_path: Path) -> None:
    secret, other = os.pipe()
    os.set_inheritable(secret, True)
    zygote = ZygoteHandle()
    first, second = zygote.fork(), zygote.fork()
    first.describe(write(tmp_path, "tasks.py", DAEMON))
    second.describe(write(tmp_path, "tasks.py", DAEMON))
    for child in (first, second):
        kinds = _descriptors(child.pid)
        assert kinds.pop(0) == "/dev/null"
        stack = kinds.pop(next(number for number, kind in kinds.items() if kind.startswith("/memfd:")))
        assert stack == f"/memfd:{STACK_FILE} (deleted)"  # each has its own; they only have one name
        assert [kind.split(":")[0] for kind in kinds.values()] == ["pipe", "pipe", "socket", "socket"]
    shared = set(_descriptors(first.pid).values()) & set(_descriptors(second.pid).values())
    assert shared == {"/dev/null", f"/memfd:{STACK_FILE} (deleted)"}
    channel = f"socket:[{os.fstat(zygote.peer.channel.fileno()).st_ino}]"
    assert channel not in _descriptors(first.pid).values()
    os.close(secret)
    os.close(other)
    zygote.close()


def test_many_children_dying_at_once_are_all_reported(zygote: ZygoteHandle) -> None:
    children = [zygote.fork() for _ in range(20)]
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
    assert {zygote.exited(child)["signal"] for child in children} == {signal.SIGKILL}


def test_a_child_is_the_leader_of_its_session_and_first_to_go_when_memory_is_short(zygote: ZygoteHandle) -> None:
    child = zygote.fork()
    child.peer.channel.send("cancel", {"reason": "nothing runs"})
    assert eventually(lambda: os.getsid(child.pid) == child.pid)
    assert eventually(lambda: Path(f"/proc/{child.pid}/oom_score_adj").read_text().strip() == "1000")


def test_a_nonsense_message_ends_the_zygote_as_a_closed_channel_does() -> None:
    zygote = ZygoteHandle()
    child = zygote.fork()
    zygote.peer.channel.socket.sendall(b"\x00\x00\x00\x01\xc1")
    assert zygote.wait() == 0
    assert not alive(child.pid)
    zygote.close()


def test_an_interpreter_without_pydantic_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-S", str(ZYGOTE_MAIN), "0"], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 78
    assert "pip install pydantic msgpack" in done.stderr


def test_a_child_imports_from_the_interpreter_and_the_task_roots_only(zygote: ZygoteHandle, tmp_path: Path) -> None:
    text = """
        import sys

        @task
        def look() -> list[str]:
            return sys.path
    """
    described = zygote.fork().describe(write(tmp_path, "tasks.py", text))
    bare = subprocess.run(
        [sys.executable, "-P", "-c", "import json, sys; print(json.dumps(sys.path))"], capture_output=True, check=True
    )
    assert zygote.fork().run(described, "look").output == [*json.loads(bare.stdout), str(tmp_path)]


def test_a_child_needs_nothing_from_the_interpreter_but_pydantic_and_msgpack(
    zygote: ZygoteHandle, tmp_path: Path
) -> None:
    text = """
        import sys

        @task
        async def look() -> list[str]:
            found = {name.partition(".")[0] for name in sys.modules if not name.startswith("ratchet_task_")}
            return sorted(found - set(sys.stdlib_module_names) - {"__main__"})
    """
    described = zygote.fork().describe(write(tmp_path, "tasks.py", text))
    found = set(zygote.fork().run(described, "look").output)
    assert {"ratchet", "pydantic", "msgpack"} <= found
    assert not found & {"zmq", "structlog", "mcp", "psutil", "yaml", "typer", "anyio", "ipc", "actors", "supervisor"}


def _descriptors(pid: int) -> dict[int, str]:
    folder = Path(f"/proc/{pid}/fd")
    entries = sorted(folder.iterdir(), key=lambda path: int(path.name))
    return {int(entry.name): str(entry.readlink()) for entry in entries}


def _daemon_of(child: ChildHandle) -> int:
    while True:
        kind, body = child.peer.next()
        if kind == "log" and body["message"] == "daemon":
            return int(body["context"]["pid"])
