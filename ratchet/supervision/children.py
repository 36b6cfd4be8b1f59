"""The actors of one supervisor: performs what `ratchet.supervision.states` decides, and tells it what happened.

Every end is learned from SIGCHLD and wait4, on Linux as on macOS: a process that is ours to reap keeps its id until
we reap it, so a pidfd would add nothing, and orphans that are reparented to us come the same way.
"""

import os
import random
import secrets
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from ratchet import channel
from ratchet.actor import ActorSetup
from ratchet.supervision.connection import Connection, close_all
from ratchet.supervision.exits import ExitReport
from ratchet.supervision.fork import fork_actor
from ratchet.supervision.loop import Loop, Timer
from ratchet.supervision.restart import RestartHistory, RestartPolicy
from ratchet.supervision.spec import ChildSpec, Restart
from ratchet.supervision.states import (
    Child,
    Drain,
    Due,
    Effect,
    Event,
    Exited,
    KillNow,
    Ready,
    Replace,
    Start,
    StartFailed,
    State,
    step,
)

# A signal to the whole group reaches the supervisor too, within this time.
_GROUP_SIGNAL_SECONDS = 0.1

log = structlog.stdlib.get_logger("ratchet.supervisor")


@dataclass(slots=True)
class Process:
    """A living process of an actor.

    Attributes:
        started: When it was forked (monotonic).
        ready_seconds: How long it took to get ready, once it is.
        info: What it said then.
    """

    pid: int
    incarnation: str
    control: Connection
    started: float
    ready_seconds: float | None = None
    info: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Actor:
    """A row of the child table and what became of it."""

    spec: ChildSpec
    child: Child
    fds: list[int] = field(default_factory=list[int])  # open here until the first fork hands them over
    extras: Mapping[str, Any] = field(default_factory=dict[str, Any])
    process: Process | None = None
    timer: Timer | None = None
    last_exit: ExitReport | None = None

    @property
    def name(self) -> str:
        """Its name in the child table."""
        return self.spec.name

    @property
    def state(self) -> State:
        """Where it is in its life."""
        return self.child.state


@dataclass(frozen=True, slots=True)
class Observer:
    """Who wants to know.

    Attributes:
        on_state: An actor came into another state.
        on_message: An actor said something that is not about its own life.
        on_exit: An actor's process is gone.
        on_intensity: More restarts than the policy bears; the actor is the newest one.
    """

    on_state: Callable[[Actor], None]
    on_message: Callable[[Actor, str, dict[str, Any]], None]
    on_exit: Callable[[ExitReport], None]
    on_intensity: Callable[[Actor], None]


MakeSetup = Callable[[Actor, str, Any], ActorSetup]


class Children:
    """All actors, by name."""

    def __init__(self, loop: Loop, policy: RestartPolicy, make_setup: MakeSetup, observer: Observer) -> None:
        self.actors: dict[str, Actor] = {}
        self._loop = loop
        self._policy = policy
        self._make_setup = make_setup
        self._observer = observer
        self._history = RestartHistory()

    def start(self, spec: ChildSpec, *, fds: list[int] | None = None, extras: Mapping[str, Any] | None = None) -> Actor:
        """Add an actor and start it; `fds` are handed over and closed here."""
        actor = self.actors[spec.name] = Actor(spec, Child(spec.restart), fds=fds or [], extras=extras or {})
        self._tell(actor, Start())
        return actor

    def remove(self, actor: Actor) -> None:
        """Forget an actor that has no process."""
        assert not actor.state.has_process
        if actor.timer:
            actor.timer.cancel()
        del self.actors[actor.name]

    def drain(self, actor: Actor, grace_seconds: float | None = None) -> None:
        """Ask an actor to finish within its grace (or a shorter one)."""
        self._tell(actor, Drain(actor.spec.grace_seconds if grace_seconds is None else grace_seconds))

    def replace(self, actor: Actor, grace_seconds: float) -> None:
        """Ask a running actor to finish, and start it again once it has."""
        self._tell(actor, Replace(grace_seconds))

    def kill_all(self) -> None:
        """End every process at once."""
        for actor in list(self.actors.values()):
            self._tell(actor, KillNow())

    def with_process(self) -> list[Actor]:
        """The actors that have a process now."""
        return [actor for actor in self.actors.values() if actor.state.has_process]

    def pids(self) -> set[int]:
        """The process ids of all of them."""
        return {actor.process.pid for actor in self.actors.values() if actor.process}

    def reap(self) -> None:
        """Take note of every process that ended: actors' and orphans'."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            actor = next((one for one in self.actors.values() if one.process and one.process.pid == pid), None)
            if actor is None or actor.process is None:
                log.info("reaped an orphan", orphan_pid=pid, status=status)
                continue
            report = ExitReport.of(actor.name, actor.process.incarnation, pid, status, usage)
            self._on_exit(actor, actor.process, report)

    def _on_exit(self, actor: Actor, process: Process, report: ExitReport) -> None:
        process.control.read_rest()  # it may have said why
        process.control.close()
        actor.process = None
        actor.last_exit = report
        abnormal = report.exit_code != 0
        unexpected = abnormal or (actor.state is State.RUNNING and actor.spec.restart is Restart.PERMANENT)
        (log.warning if unexpected and actor.state is not State.KILLING else log.info)(
            "an actor ended",
            name=actor.name,
            ended_pid=report.pid,
            cause=report.cause,
            state=str(actor.state),
            cpu_seconds=report.cpu_seconds,
        )
        self._observer.on_exit(report)
        self._tell(actor, Exited(abnormal, report.cause))

    def _tell(self, actor: Actor, event: Event) -> None:
        """The one place where an actor's state changes."""
        before = actor.state
        actor.child, effects = step(actor.child, event, policy=self._policy, now=time.monotonic(), random=random.random)
        self._arm(actor)
        for effect in effects:
            self._perform(actor, effect)
        if actor.state is not before:
            self._observer.on_state(actor)

    def _perform(self, actor: Actor, effect: Effect) -> None:
        match effect:
            case Effect.FORK:
                self._fork(actor)
            case Effect.ASK_TO_DRAIN:
                assert actor.process
                actor.process.control.send("drain", grace_seconds=max(0.0, (actor.child.due or 0) - time.monotonic()))
            case Effect.KILL:
                assert actor.process
                os.kill(actor.process.pid, signal.SIGKILL)
            case Effect.COUNT_RESTART:
                now = time.monotonic()
                self._history.add(now)
                if self._policy.exceeded(self._history, now):
                    self._observer.on_intensity(actor)
            case Effect.GIVE_UP:
                log.error("an actor cannot be started", name=actor.name, error=actor.child.error)

    def _arm(self, actor: Actor) -> None:
        """Have the state machine woken when it wants to be."""
        if actor.timer:
            actor.timer.cancel()
            actor.timer = None
        if actor.child.due is not None:
            actor.timer = self._loop.call_later(
                max(0.0, actor.child.due - time.monotonic()), lambda: self._tell(actor, Due())
            )

    def _fork(self, actor: Actor) -> None:
        try:
            actor.process = self._forked(actor)
        except OSError as error:
            message = f"no process can be started: {error.strerror}"
            self._tell(actor, StartFailed({"code": "startup_failed", "message": message}))
            self._tell(actor, Exited(abnormal=True, cause=message))
        finally:
            close_all(actor.fds)
            actor.fds = []

    def _forked(self, actor: Actor) -> Process:
        ours, theirs = channel.pair()
        incarnation = secrets.token_hex(6)
        try:
            pid = fork_actor(actor.spec, self._make_setup(actor, incarnation, theirs))
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        control = Connection(
            self._loop, ours, on_message=lambda kind, body: self._on_message(actor, kind, body), on_close=_nothing
        )
        log.debug("forked an actor", name=actor.name, forked_pid=pid)
        return Process(pid, incarnation, control, time.monotonic())

    def _on_message(self, actor: Actor, kind: str, body: dict[str, Any]) -> None:
        match kind:
            case "ready" if actor.process:
                actor.process.ready_seconds = round(time.monotonic() - actor.process.started, 4)
                actor.process.info = body
                self._tell(actor, Ready())
            case "failed":
                self._tell(actor, StartFailed(dict(body.get("error") or {})))
            case "asked_to_end" if actor.process:
                control = actor.process.control
                self._loop.call_later(_GROUP_SIGNAL_SECONDS, lambda: self._replace(actor, control))
            case _:
                self._observer.on_message(actor, kind, body)

    def _replace(self, actor: Actor, control: Connection) -> None:
        """Somebody sent the process a SIGTERM: have it finish; its restart policy says what follows."""
        if actor.state is State.RUNNING:
            control.send("drain", grace_seconds=actor.spec.grace_seconds)


def _nothing() -> None:
    """An actor that closes its channel is about to end; SIGCHLD tells."""


def signal_quietly(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
