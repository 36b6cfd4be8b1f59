"""Drives a real zygote and its children the way a worker does, with every wait bounded."""

import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ratchet.channel import Channel, Message, pair
from ratchet.runtime import ZYGOTE_MAIN

SECONDS_MAX = 20.0
MIB = 1024 * 1024
LIMITS = {"memory_bytes": 1024 * MIB, "file_bytes": 1024 * MIB, "open_files": 1024}


class EndedError(Exception):
    """The other side closed the channel."""


class Peer:
    """One channel, read with a bound."""

    def __init__(self, sock: socket.socket) -> None:
        self.channel = Channel(sock)
        self._waiting: list[Message] = []

    def next(self) -> Message:
        """The next message."""
        deadline = time.monotonic() + SECONDS_MAX
        while not self._waiting:
            ready, _, _ = select.select([self.channel], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("no message")
            try:
                messages = self.channel.receive()
            except ConnectionResetError:
                messages = None
            if messages is None:
                raise EndedError
            self._waiting += messages
        return self._waiting.pop(0)

    def until(self, kind: str) -> list[Message]:
        """Every message up to the first of this kind."""
        found: list[Message] = []
        while not found or found[-1][0] != kind:
            found.append(self.next())
        return found

    def rest(self) -> list[Message]:
        """Every message up to the end of the channel."""
        found: list[Message] = []
        with suppress(EndedError):
            while True:
                found.append(self.next())
        return found

    def close(self) -> None:
        """Close this end."""
        self.channel.close()


@dataclass
class Run:
    """What a child said about one execution."""

    messages: list[Message]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The bodies of one kind."""
        return [body for said, body in self.messages if said == kind]

    @property
    def done(self) -> dict[str, Any]:
        """The last word."""
        return self.messages[-1][1]

    @property
    def output(self) -> Any:
        """What the task returned."""
        assert "output" in self.done, self.done
        return self.done["output"]

    @property
    def failure(self) -> dict[str, Any]:
        """Why it did not."""
        assert "failure" in self.done, self.done
        return cast("dict[str, Any]", self.done["failure"])

    @property
    def logs(self) -> list[tuple[str, str, str]]:
        """(level, logger, message) of every record."""
        return [(body["level"], body["logger"], body["message"]) for body in self.of("log")]


@dataclass
class ChildHandle:
    """A forked child."""

    zygote: "ZygoteHandle"
    slot: int
    pid: int
    peer: Peer
    calls: Peer
    out: int
    err: int
    sent: int = field(default=0)

    def describe(self, path: Path) -> dict[str, Any]:
        """What the file defines."""
        self.peer.channel.send("describe", {"path": str(path), "roots": [str(path.parent)]})
        return self.peer.until("described")[-1][1]

    def order(
        self, described: dict[str, Any], task_id: str, given: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        """Order a run; returns its execution id."""
        found = [task for task in described["tasks"] if task["task_id"] == task_id]
        assert found, described
        self.sent += 1
        execution_id = f"execution-{self.slot}-{self.sent}"
        body: dict[str, Any] = {
            "execution_id": execution_id,
            "attempt": 1,
            "task_id": task_id,
            "function": found[0]["function"],
            "path": found[0]["path"],
            "roots": [str(Path(found[0]["path"]).parent)],
            "version": found[0]["version"],
            "input": given or {},
            "trace": True,
            "cpu_seconds": 60,
            "output_bytes": 4 * MIB,
        }
        self.peer.channel.send("run", {**body, **changes})
        return execution_id

    def finish(self) -> Run:
        """Wait for the end of the run."""
        return Run(self.peer.until("done"))

    def run(self, described: dict[str, Any], task_id: str, given: dict[str, Any] | None = None, **changes: Any) -> Run:
        """Order a run and wait for its end."""
        self.order(described, task_id, given, **changes)
        return self.finish()

    def cancel(self, execution_id: str, reason: str = "enough") -> None:
        """Ask the run to stop, as the worker does."""
        self.peer.channel.send("cancel", {"execution_id": execution_id, "reason": reason})
        self.signal(signal.SIGUSR1)

    def signal(self, number: int, *, tree: bool = False) -> None:
        """Have the zygote send a signal."""
        self.zygote.peer.channel.send("signal", {"slot": self.slot, "signal": number, "tree": tree})

    def logged(self, message: str) -> None:
        """Wait until the task has logged this."""
        while True:
            kind, body = self.peer.next()
            if kind == "log" and body["message"] == message:
                return

    def read_out(self) -> bytes:
        """What was written to descriptor 1, up to its end or what is there."""
        return _available(self.out)

    def read_err(self) -> bytes:
        """The same of descriptor 2."""
        return _available(self.err)

    def close(self) -> None:
        """Let go of the child."""
        self.peer.close()
        self.calls.close()
        for fd in (self.out, self.err):
            os.close(fd)


class ZygoteHandle:
    """A zygote process and its children."""

    def __init__(self, **environment: str) -> None:
        ours, theirs = pair()
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(ZYGOTE_MAIN), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], **environment},
            cwd="/",
        )
        theirs.close()
        self.peer = Peer(ours)
        self.children: list[ChildHandle] = []
        self._exits: dict[int, dict[str, Any]] = {}
        self.ready = self.peer.until("ready")[-1][1]

    def fork(self, **limits: int) -> ChildHandle:
        """A new child."""
        slot = len(self.children) + 1
        ours, theirs = pair()
        our_calls, their_calls = pair()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        fds = [theirs.fileno(), out_write, err_write, their_calls.fileno()]
        self.peer.channel.send("fork", {"slot": slot, "limits": {**LIMITS, **limits}}, fds)
        theirs.close()
        their_calls.close()
        os.close(out_write)
        os.close(err_write)
        pid = self._await(lambda kind, body: kind == "forked" and body["slot"] == slot)["pid"]
        child = ChildHandle(self, slot, pid, Peer(ours), Peer(our_calls), out_read, err_read)
        self.children.append(child)
        return child

    def exited(self, child: ChildHandle) -> dict[str, Any]:
        """How the child ended."""
        if child.slot in self._exits:
            return self._exits[child.slot]
        return self._await(lambda kind, body: kind == "exited" and body["slot"] == child.slot)

    def close(self) -> int:
        """Close the channel and wait for the zygote's end; returns its exit code."""
        for child in self.children:
            child.close()
        self.children.clear()
        self.peer.close()
        return self.wait()

    def wait(self) -> int:
        """Wait for its end."""
        try:
            code = self.process.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code

    def _await(self, wanted: Callable[[str, dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            kind, body = self.peer.next()
            if kind == "exited":
                self._exits[body["slot"]] = body
            if wanted(kind, body):
                return body


def write(folder: Path, name: str, text: str) -> Path:
    """A task file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("from ratchet import Context, task\n" + textwrap.dedent(text), encoding="utf-8")
    return path


def alive(pid: int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def eventually(condition: Callable[[], bool], seconds: float = SECONDS_MAX) -> bool:
    """Whether the condition becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        select.select([], [], [], 0.005)
    return True


def _available(fd: int) -> bytes:
    found = b""
    while select.select([fd], [], [], 0.05)[0]:
        data = os.read(fd, 65536)
        if not data:
            break
        found += data
    return found
