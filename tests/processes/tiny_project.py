"""A project of its own for one test, whose supervisor has tiny actors (`tiny_supervisor.py`)."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from ratchet.errors import NotRunningError, UnavailableError
from ratchet.project import Project, find_project
from ratchet.supervision.client import SupervisorClient
from ratchet.supervision.status import ChildStatus, SupervisorStatus

HERE = Path(__file__).parent
SHIM = "import sys; from ratchet.shim import main; sys.exit(main(sys.argv[1:], module='tiny_supervisor'))"
BOUND_SECONDS = 20.0

ResultT = TypeVar("ResultT")


def eventually(look: Callable[[], ResultT | None], what: str, *, seconds: float = BOUND_SECONDS) -> ResultT:
    """The first result of `look` that is true; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds: {what}"
        time.sleep(0.01)


def exists(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def sockets_of(pid: int) -> set[str]:
    """The kernel's names of the sockets and pipes that a process holds."""
    found: set[str] = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            target = str(fd.readlink())
            if target.startswith(("socket:", "pipe:")):
                found.add(target)
    return found


class Agent:
    """An agent's host: speaks to a shim over pipes."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def ask(self, line: str) -> str:
        """Send a line and return the answer."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], BOUND_SECONDS)
        if not ready:
            self.process.kill()
        assert ready, f"no answer to {line!r}; stderr: {self.stderr()}"
        answer = self.process.stdout.readline().decode().rstrip("\n")
        assert answer, f"the shim ended: {self.stderr()}"
        return answer

    def leave(self) -> int:
        """Close stdin, as a host does that ends, and return the shim's exit code."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(BOUND_SECONDS)

    def stderr(self) -> str:
        """What the shim said, once it has ended."""
        assert self.process.stderr
        return self.process.stderr.read().decode()


class TinyProject:
    """A folder with a configuration, and the processes that a test started in it."""

    def __init__(self, folder: Path, runtime_dir: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.environ = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(runtime_dir),
            "PYTHONPATH": str(HERE),
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        folder.mkdir(exist_ok=True)
        (folder / "tasks").mkdir()
        self.configure()

    def configure(self, **sections: Any) -> None:
        """Write the configuration; a section that is not given keeps the test's default."""
        content = {
            "data_dir": str(self.data_dir),
            "supervisor": {"restart_intensity": 100, "idle_exit_seconds": 0.3},
            "mcp": {"server": {"bind_address": "127.0.0.1:0"}},
            **sections,
        }
        (self.folder / "ratchet.yaml").write_text(json.dumps(content))

    @property
    def project(self) -> Project:
        """As a client finds it."""
        return find_project(None, None, self.environ, self.folder)

    def order(self, actor: str, **orders: object) -> None:
        """What an actor shall do when it starts next."""
        self.data_dir.mkdir(exist_ok=True)
        draft = self.data_dir / f"{actor}.draft"
        draft.write_text(json.dumps(orders))
        draft.replace(self.data_dir / f"{actor}.orders.json")  # an actor reads the old ones or the new ones, never half

    def notes(self, role: str) -> list[dict[str, Any]]:
        """What actors of a role left for us to read."""
        path = self.data_dir / f"{role}.notes"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def log(self, role: str) -> list[dict[str, Any]]:
        """The log of actors of a role."""
        path = self.data_dir / "logs" / f"{role}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def run(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """A supervisor, as `ratchet up` starts it, in a process group of its own."""
        return self._start([sys.executable, "-P", "-m", "tiny_supervisor", *arguments], stdin=subprocess.DEVNULL)

    def up(self) -> "subprocess.Popen[bytes]":
        """A supervisor whose actors all run."""
        process = self.run()
        eventually(lambda: process.poll() is not None or self.all_running(), "every actor runs")
        assert process.poll() is None, self.said(process)
        return process

    def agent(self, *arguments: str) -> Agent:
        """An agent that starts a shim."""
        return Agent(self._start([sys.executable, "-P", "-c", SHIM, *arguments], stdin=subprocess.PIPE))

    def said(self, process: "subprocess.Popen[bytes]") -> str:
        """Everything on stderr of a process that ends by itself."""
        assert process.stderr
        process.wait(BOUND_SECONDS)
        return process.stderr.read().decode()

    def status(self) -> SupervisorStatus | None:
        """What the supervisor says of itself; None without one."""
        try:
            with SupervisorClient(self.project) as client:
                return client.status()
        except (NotRunningError, UnavailableError):
            return None

    def child(self, name: str) -> ChildStatus:
        """An actor as the supervisor sees it."""
        status = self.status()
        assert status, "no supervisor runs"
        return next(child for child in status.children if child.name == name)

    def all_running(self) -> bool:
        """Whether every actor that should run does."""
        status = self.status()
        return (
            status is not None and len(status.children) > 4 and all(one.state == "running" for one in status.children)
        )

    def pids(self) -> dict[str, int]:
        """The process of each actor."""
        status = self.status()
        assert status, "no supervisor runs"
        return {child.name: child.pid for child in status.children if child.pid is not None}

    def kill(self, name: str) -> ChildStatus:
        """Kill an actor and return what replaced it."""
        before = self.child(name)
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)

        def replaced() -> ChildStatus | None:
            now = self.child(name)
            return now if now.state == "running" and now.incarnation != before.incarnation else None

        return eventually(replaced, f"{name} is replaced", seconds=2.0)

    def close(self) -> None:
        """End everything, the hard way where it must be."""
        status = self.status()
        if status is not None and status.mode == "on-demand":
            with SupervisorClient(self.project) as client:
                client.request_down()
                client.wait_gone()
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    with suppress(BrokenPipeError):  # what was not sent any more
                        pipe.close()
            process.wait(BOUND_SECONDS)

    def _start(self, command: list[str], *, stdin: int) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environ,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._processes.append(process)
        return process
