"""A child: loads one task file and runs its tasks, one execution at a time, until its channel closes.

Protocol with the worker (framing of `ratchet.channel`): takes `describe`, `run` and `cancel`; says `described`,
`log`, `span`, `progress`, `inspected` and `done`. What the task asks of other actors has a channel of its own
(`ratchet.runtime.calls`).
"""

import faulthandler
import gc
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ratchet import process
from ratchet.channel import Channel
from ratchet.models import Category, Failure
from ratchet.runtime import http_spans, inspection, propagation
from ratchet.runtime.afterwards import Baseline, end_leftovers
from ratchet.runtime.calls import CallLine
from ratchet.runtime.capture import Capture
from ratchet.runtime.execution import Execution, Outcome, find_task
from ratchet.runtime.failure import Describer
from ratchet.runtime.inbox import Inbox
from ratchet.runtime.interruption import Interruptions
from ratchet.runtime.limits import limit_resources, prefer_for_oom
from ratchet.runtime.loader import LoadedFile, describe, load
from ratchet.runtime.order import RunOrder, read_order
from ratchet.runtime.outlet import Outlet
from ratchet.runtime.recorder import Recorder

_EXIT_SOFTWARE = 70


@dataclass(frozen=True, slots=True)
class ChildSetup:
    """What a fork hands to its child."""

    parent: int
    channel_fd: int
    stdout_fd: int
    stderr_fd: int
    calls_fd: int
    limits: dict[str, int]


def main(setup: ChildSetup) -> NoReturn:
    """Be the child; ends the process without running what belongs to the zygote."""
    gc.enable()
    code = _EXIT_SOFTWARE
    try:
        channel, calls = _prepare(setup)
        Child(channel, calls, setup.limits).serve()
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is must not unwind into the zygote's stack
        os.write(2, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _prepare(setup: ChildSetup) -> tuple[Channel, socket.socket]:
    """Make a fork of the zygote a process of its own. Returns its channel, and the socket of its calls."""
    process.die_with_parent(setup.parent)
    os.setsid()
    process.become_subreaper()
    null = os.open(os.devnull, os.O_RDONLY)
    for fd, target in ((null, 0), (setup.stdout_fd, 1), (setup.stderr_fd, 2)):
        os.dup2(fd, target)
    process.close_fds_except({0, 1, 2, setup.channel_fd, setup.calls_fd})
    os.set_inheritable(setup.channel_fd, False)
    os.set_inheritable(setup.calls_fd, False)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    faulthandler.enable(2)
    prefer_for_oom()
    limit_resources(setup.limits["memory_bytes"], setup.limits["file_bytes"], setup.limits["open_files"])
    sock, calls = (socket.socket(socket.AF_UNIX, fileno=fd) for fd in (setup.channel_fd, setup.calls_fd))
    sock.setblocking(True)
    calls.setblocking(True)
    return Channel(sock), calls


class Child:
    """The loop of a child and what it keeps between runs."""

    def __init__(self, channel: Channel, calls: socket.socket, limits: dict[str, int]) -> None:
        self._limits = limits
        self._inbox = Inbox(channel)
        self._interruptions = Interruptions(self._inbox, Execution.guarded.__code__)
        self._outlet = Outlet(channel.socket, self._interruptions)
        self._recorder = Recorder(self._outlet, self._interruptions)
        self._calls = CallLine(calls, self._interruptions)
        self._capture = Capture(self._recorder)
        self._file: LoadedFile | None = None
        self._interruptions.install()
        inspection.install(self._outlet, self._recorder)
        propagation.install()
        http_spans.install(self._recorder, self._interruptions)
        self._capture.install()
        self._baseline = Baseline(limits["memory_bytes"], limits["open_files"])
        os.register_at_fork(after_in_child=lambda: self._become_a_fork(channel))

    def serve(self) -> None:
        """Do what the worker asks, until it closes the channel."""
        while (message := self._inbox.next()) is not None:
            kind, body = message
            if kind == "describe":
                self._outlet.send("described", describe(body["path"], body["roots"]))
            elif kind == "run":
                self._run(read_order(body))

    def _become_a_fork(self, channel: Channel) -> None:
        """In a process that the task has forked: it must neither speak nor be cancelled as if it were the child."""
        channel.close()
        self._calls.detach()
        self._interruptions.armed = None
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)  # its own CPU time ends it
        self._capture.detach()

    def _run(self, order: RunOrder) -> None:
        started_ns = time.time_ns()
        limits = {**self._limits, "cpu_seconds": order.cpu_seconds}
        describer = Describer(order.roots, order.path, limits)
        self._recorder.open(describer, trace=order.trace)
        self._capture.begin(trace=order.trace)
        self._calls.open()
        outcome = self._attempt(order, describer)
        self._calls.close()
        ended_ns = time.time_ns()
        reusable = self._clean_up(outcome)
        self._recorder.close()
        self._outlet.send("done", _done(outcome, started_ns, ended_ns, reusable=reusable))

    def _attempt(self, order: RunOrder, describer: Describer) -> Outcome:
        file = self._loaded(order.path, order.roots)
        if file is None:
            message = f"this child has loaded {self._file.path if self._file else ''}, and {order.path} was ordered"
            return Outcome(failure=Failure(category=Category.TASK_BROKEN, type="WrongChild", message=message))
        task = find_task(file, order)
        if isinstance(task, Failure):
            return Outcome(failure=task)
        return Execution(order, self._recorder, self._interruptions, describer, self._calls).run(task)

    def _loaded(self, path: str, roots: Sequence[str]) -> LoadedFile | None:
        """The file; None where this child has loaded another one, whose modules would be mixed up with its own."""
        if self._file is None:
            self._file = load(path, roots)
            self._baseline = Baseline(self._limits["memory_bytes"], self._limits["open_files"])
        return self._file if self._file.path == path else None

    def _limit(self) -> None:
        limits = self._limits
        limit_resources(limits["memory_bytes"], limits["file_bytes"], limits["open_files"])

    def _clean_up(self, outcome: Outcome) -> bool:
        """End what is left of the run. Returns whether the process may be used again."""
        self._capture.finish()
        left = end_leftovers(spare=self._calls.reader)
        if left:
            self._recorder.log("warn", "ratchet", str(left), {"threads": left.threads, "processes": left.processes})
        restored = self._baseline.restore()
        self._capture.install()
        if outcome.failure is not None:  # the limits were lifted to describe it
            self._limit()
        return restored and not left and not outcome.doubtful


def _done(outcome: Outcome, started_ns: int, ended_ns: int, *, reusable: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "started_ns": started_ns,
        "ended_ns": ended_ns,
        "reusable": reusable,
        "cancelled": outcome.cancelled,
    }
    if outcome.failure is None:
        return {**body, "output": outcome.output}
    return {**body, "failure": outcome.failure.model_dump(mode="json")}


def warm_up() -> None:
    """In the zygote: have the lazy parts of pydantic and the standard library done before any child is forked."""
    from ratchet.authoring import definition_of, task
    from ratchet.schema import Interface

    @task
    def probe(number: int, text: str = "") -> dict[str, int]:
        """Nothing."""
        return {text: number}

    interface = Interface(definition_of(probe))
    interface.dump({"": interface.bind({"number": 1}).kwargs["number"]}, 100)
    sys.stdout.flush()
    sys.stderr.flush()
