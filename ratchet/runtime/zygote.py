"""The zygote: a single-threaded process that forks children, reaps them, and lets nothing of theirs survive.

It never runs an author's code. Protocol with the worker (framing of `ratchet.channel`): takes `fork {slot, limits}`
with four descriptors and `signal {slot, signal, tree}`; says `ready`, `forked` and `exited`. At the end of the stream
it kills everything below itself until nothing is left, and exits. It has no parent-death signal on purpose: it must
outlive its worker by the moment that takes.
"""

import asyncio.runners
import concurrent.futures.thread
import gc
import os
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ratchet import process
from ratchet.channel import Channel, ChannelError
from ratchet.runtime import child as child_process
from ratchet.runtime.limits import resident_bytes_max

PRELOADED = (asyncio.runners, concurrent.futures.thread)  # what nearly every task needs, paid for once
_TICK_SECONDS = 0.02
_BURIAL_SECONDS_MAX = 2.0
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, process.INSPECT_SIGNAL)
_EXIT_NO_FORK = 71


def run(channel_fd: int) -> int:
    """Serve until the worker's end of the channel closes; in a forked child: be that child, and never return."""
    os.set_inheritable(channel_fd, False)
    process.close_fds_except({0, 1, 2, channel_fd})
    process.become_subreaper()
    for number in _IGNORED:  # a terminal's Ctrl-C reaches the whole group; only the channel ends a zygote
        signal.signal(number, signal.SIG_IGN)
    child_process.warm_up()
    gc.freeze()  # collecting was off from the start (`zygote_main`): nothing a child collects is shared with us
    zygote = Zygote(Channel(socket.socket(fileno=channel_fd)))
    setup = zygote.serve()
    if setup is not None:
        child_process.main(setup)
    return 0


@dataclass(slots=True)
class _Dead:
    slot: int
    pid: int
    status: int
    cpu_seconds: float
    memory_bytes_max: int
    at: float = field(default_factory=time.monotonic)


class Zygote:
    """The loop. `serve` returns twice a fork: never in the parent before the end, and at once in each child."""

    def __init__(self, channel: Channel) -> None:
        channel.socket.setblocking(True)
        self._channel = channel
        self._pids: dict[int, int] = {}  # slot -> pid of its living child
        self._slots: dict[int, int] = {}  # and back
        self._dead: list[_Dead] = []  # reaped, but something they left behind may still live
        self._killed: set[int] = set()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector = selectors.DefaultSelector()

    def serve(self) -> "child_process.ChildSetup | None":
        """Run until the end of the channel. In a child it returns what the child needs to know."""
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._selector.register(self._channel, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        try:
            self._channel.send("ready", {"pid": os.getpid(), "python": sys.version.split()[0]})
            while True:
                messages = self._wait(_TICK_SECONDS if self._dead else None)
                if messages is None:
                    break
                for kind, body in messages:
                    setup = self._handle(kind, body)
                    if setup is not None:
                        return setup
                self._reap()
                self._bury()
        except (OSError, ChannelError):
            pass  # the worker is gone or speaks nonsense: the same end as a closed channel
        self._end_everything()
        return None

    def _wait(self, timeout: float | None) -> list[tuple[str, dict[str, Any]]] | None:
        messages: list[tuple[str, dict[str, Any]]] = []
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._wake_read:
                self._drain_wakeups()
                continue
            received = self._channel.receive()
            if received is None:
                return None
            messages += received
        return messages

    def _drain_wakeups(self) -> None:
        with suppress(BlockingIOError):
            while self._wake_read.recv(4096):
                pass

    def _handle(self, kind: str, body: dict[str, Any]) -> "child_process.ChildSetup | None":
        if kind == "fork":
            return self._fork(int(body["slot"]), body["limits"])
        if kind == "signal":
            pid = self._pids.get(int(body["slot"]))
            if pid is not None:
                _signal(pid, int(body["signal"]), tree=bool(body.get("tree")))
        return None

    def _fork(self, slot: int, limits: dict[str, int]) -> "child_process.ChildSetup | None":
        fds = self._channel.take_fds(4)
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._say_exited(_Dead(slot, 0, _EXIT_NO_FORK << 8, 0.0, 0), 0, f"cannot fork: {error}")
            pid = -1
        if pid == 0:
            self._forget()
            return child_process.ChildSetup(parent, *fds, limits=limits)
        for fd in fds:
            os.close(fd)
        if pid > 0:
            self._pids[slot] = pid
            self._slots[pid] = slot
            self._channel.send("forked", {"slot": slot, "pid": pid})
        return None

    def _forget(self) -> None:
        """In a child: let go of everything that is the zygote's, before any of its numbers is used again."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()
        self._channel.close()

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            slot = self._slots.pop(pid, None)
            if slot is not None:
                if self._pids.get(slot) == pid:
                    del self._pids[slot]
                self._dead.append(
                    _Dead(slot, pid, status, usage.ru_utime + usage.ru_stime, resident_bytes_max(usage.ru_maxrss))
                )

    def _bury(self) -> None:
        """Kill what dead children left (the kernel made it ours), and report a death once nothing is left of it."""
        left = [pid for pid in process.children_of(os.getpid()) if pid not in self._slots]
        for pid in left:
            self._killed.update(_signal(pid, signal.SIGKILL, tree=True))
        overdue = bool(self._dead) and time.monotonic() - self._dead[0].at > _BURIAL_SECONDS_MAX
        if left and not overdue:
            return
        dead, self._dead = self._dead, []
        for one in dead:
            self._say_exited(one, len(self._killed))
            self._killed.clear()

    def _say_exited(self, dead: _Dead, orphans_killed: int, error: str | None = None) -> None:
        code = os.waitstatus_to_exitcode(dead.status)
        body = {
            "slot": dead.slot,
            "pid": dead.pid,
            "exit_code": code if code >= 0 else None,
            "signal": -code if code < 0 else None,
            "cpu_seconds": dead.cpu_seconds,
            "memory_bytes_max": dead.memory_bytes_max,
            "orphans_killed": orphans_killed,
        }
        self._channel.send("exited", body if error is None else {**body, "error": error})

    def _end_everything(self) -> None:
        while True:
            for pid in {*self._slots, *process.children_of(os.getpid())}:
                _signal(pid, signal.SIGKILL, tree=True)
            try:
                while os.wait4(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            self._pause()

    def _pause(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            selector.select(_TICK_SECONDS)
        self._drain_wakeups()


def _signal(pid: int, number: int, *, tree: bool) -> list[int]:
    """Signal a process of ours, or it and everything below it. Returns those that existed.

    Without /proc (macOS) the tree is what has stayed in the child's session.
    """
    if tree and not process.LINUX:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
    found: list[int] = []
    for one in [pid, *(process.descendants_of(pid) if tree else ())]:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(one, number)
            found.append(one)
    return found
