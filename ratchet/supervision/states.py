"""The states of a supervised actor and every way from one to another: a pure function of an event and the time.

    stopped → starting → running → draining → stopped
                 ↑ ↓        ↓          ↓
               backoff ←────┘       killing → stopped
                 ↓
               failed           running → replacing → starting

`ratchet.supervision.children` performs the effects.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ratchet.supervision.restart import FIRST_STARTS_MAX, LATER_STARTS_MAX, STABLE_SECONDS, RestartPolicy
from ratchet.supervision.spec import Restart


class State(StrEnum):
    """Where an actor is in its life."""

    STOPPED = "stopped"  # no process, and none wanted
    BACKOFF = "backoff"  # no process; one will be started when the delay is over
    STARTING = "starting"  # a process that has not said ready yet
    RUNNING = "running"
    DRAINING = "draining"  # asked to finish
    REPLACING = "replacing"  # asked to finish, so that another process can take its place
    KILLING = "killing"  # killed, not reaped yet
    FAILED = "failed"  # could not be started, given up

    @property
    def has_process(self) -> bool:
        """Whether there is a process in this state."""
        return self in (State.STARTING, State.RUNNING, State.DRAINING, State.REPLACING, State.KILLING)

    @property
    def over(self) -> bool:
        """Whether nothing happens any more until somebody wants the actor again."""
        return self in (State.STOPPED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Start:
    """Somebody wants the actor."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The process said that it does its work."""


@dataclass(frozen=True, slots=True)
class StartFailed:
    """The process said that it cannot start, and why; its exit follows."""

    error: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is gone."""

    abnormal: bool
    cause: str


@dataclass(frozen=True, slots=True)
class Due:
    """The time that the child waits for has come."""


@dataclass(frozen=True, slots=True)
class Drain:
    """The actor shall finish within its grace."""

    grace_seconds: float


@dataclass(frozen=True, slots=True)
class Replace:
    """The process shall finish within its grace, and another take its place."""

    grace_seconds: float


@dataclass(frozen=True, slots=True)
class KillNow:
    """The actor shall end at once."""


Event = Start | Ready | StartFailed | Exited | Due | Drain | Replace | KillNow


class Effect(StrEnum):
    """What the shell has to do after a step."""

    FORK = "fork"
    ASK_TO_DRAIN = "ask to drain"
    KILL = "kill"
    COUNT_RESTART = "count restart"  # against the intensity
    GIVE_UP = "give up"


@dataclass(frozen=True, slots=True)
class Child:
    """One actor as the state machine sees it.

    Attributes:
        restart: Its restart policy.
        state: Where it is.
        since: When it came there.
        due: When it wants a `Due` event, if ever.
        crashes: Ends while running since it was last stable.
        failures: Starts that failed in a row.
        restarts: How often it was started again, ever.
        was_ready: Whether any of its processes got ready.
        error: Why the newest start failed: code, message and details.
    """

    restart: Restart
    state: State = State.STOPPED
    since: float = 0.0
    due: float | None = None
    crashes: int = 0
    failures: int = 0
    restarts: int = 0
    was_ready: bool = False
    error: dict[str, Any] | None = None

    @property
    def reason(self) -> str:
        """The message of `error`; empty without one."""
        return str((self.error or {}).get("message", ""))


Step = tuple[Child, tuple[Effect, ...]]


def step(child: Child, event: Event, *, policy: RestartPolicy, now: float, random: Callable[[], float]) -> Step:
    """What becomes of `child`, and what is to be done. An event that means nothing in its state changes nothing."""
    match event, child.state:
        case Start(), State.STOPPED | State.FAILED:
            return _start(replace(child, failures=0), policy, now)
        case Ready(), State.STARTING:
            ready = replace(child, failures=0, was_ready=True, error=None)
            return _enter(ready, State.RUNNING, now), ()
        case StartFailed(error), State.STARTING:
            return replace(child, error=error), ()
        case Exited(), _ if child.state.has_process:
            return _exited(child, event, policy, now, random)
        case Due(), _ if child.due is not None and now >= child.due:
            return _due(child, policy, now)
        case Drain(grace), State.STARTING | State.RUNNING | State.REPLACING:
            return _enter(child, State.DRAINING, now, due=now + grace), (Effect.ASK_TO_DRAIN,)
        case Replace(grace), State.RUNNING if child.restart is Restart.PERMANENT:
            return _enter(child, State.REPLACING, now, due=now + grace), (Effect.ASK_TO_DRAIN,)
        case KillNow(), State.STARTING | State.RUNNING | State.DRAINING | State.REPLACING:
            return _enter(child, State.KILLING, now), (Effect.KILL,)
        case ((Drain() | KillNow()), State.BACKOFF):
            return _enter(child, State.STOPPED, now), ()
        case _:
            return child, ()


def _enter(child: Child, state: State, now: float, *, due: float | None = None) -> Child:
    return replace(child, state=state, since=now, due=due)


def _start(child: Child, policy: RestartPolicy, now: float) -> Step:
    starting = _enter(replace(child, error=None), State.STARTING, now, due=now + policy.start_seconds)
    return starting, (Effect.FORK,)


def _due(child: Child, policy: RestartPolicy, now: float) -> Step:
    match child.state:
        case State.BACKOFF:
            return _start(replace(child, restarts=child.restarts + 1), policy, now)
        case State.STARTING:
            message = f"it was not ready after {policy.start_seconds:g} seconds"
            return replace(child, due=None, error={"code": "startup_failed", "message": message}), (Effect.KILL,)
        case State.DRAINING:
            return _enter(child, State.KILLING, now), (Effect.KILL,)
        case State.REPLACING:
            return replace(child, due=None), (Effect.KILL,)
        case _:
            return replace(child, due=None), ()


def _exited(child: Child, exit_: Exited, policy: RestartPolicy, now: float, random: Callable[[], float]) -> Step:
    match child.state:
        case State.STARTING:
            return _start_failed(child, exit_, policy, now, random)
        case State.RUNNING:
            return _crashed(child, exit_, policy, now, random)
        case State.REPLACING:
            return _start(replace(child, restarts=child.restarts + 1), policy, now)
        case _:
            return _enter(child, State.STOPPED, now), ()


def _start_failed(child: Child, exit_: Exited, policy: RestartPolicy, now: float, random: Callable[[], float]) -> Step:
    error = child.error or {"code": "startup_failed", "message": f"it ended before it was ready ({exit_.cause})"}
    failed = replace(child, failures=child.failures + 1, error=error)
    if child.restart is Restart.TEMPORARY:
        return _enter(failed, State.STOPPED, now), ()
    if failed.failures >= (LATER_STARTS_MAX if child.was_ready else FIRST_STARTS_MAX):
        return _enter(failed, State.FAILED, now), (Effect.GIVE_UP,)
    return _enter(failed, State.BACKOFF, now, due=now + policy.start_delay(failed.failures, random)), ()


def _crashed(child: Child, exit_: Exited, policy: RestartPolicy, now: float, random: Callable[[], float]) -> Step:
    if child.restart is Restart.TEMPORARY or (child.restart is Restart.TRANSIENT and not exit_.abnormal):
        return _enter(child, State.STOPPED, now), ()
    crashes = 1 if now - child.since >= STABLE_SECONDS else child.crashes + 1
    crashed = replace(child, crashes=crashes)
    due = now + policy.crash_delay(crashes, random)
    return _enter(crashed, State.BACKOFF, now, due=due), (Effect.COUNT_RESTART,)
