"""The life of an execution as a pure function: `(state, event) -> (state, effect)`.

    queued -> running -> completed | failed | cancelled
    queued -> cancelled                                   (cancelled before it ran)
    running -> queued                                     (never delivered, or another attempt follows)
    running <-> input_required                            (its task asks the caller, and has the answer)

The task-runner is the shell around it: it makes an effect durable before it performs the next one. A fence is the
number of the current attempt; whatever speaks of another attempt is stale and changes nothing. Whether an attempt that
failed is followed by another is decided by `ratchet.next_attempt`.
"""

from dataclasses import dataclass, replace
from typing import Literal

from ratchet.models import Category, Failure, RetryPolicy, Status
from ratchet.next_attempt import Again, GiveUp, Past, next_attempt

# Categories with which an attempt ended through no doing of the task.
_LOST = frozenset({Category.WORKER_LOST, Category.SHUTDOWN})
_NOTHING_YET = Past()


@dataclass(frozen=True, slots=True)
class State:
    """What decides about an execution's next step.

    Attributes:
        status: Where it is.
        fence: Number of the current (or last) attempt; 0 before the first.
        idempotent: Whether its task may run again after an attempt was lost.
        retry: What its task says of attempts that failed; None: no other follows them.
        cancel_requested: Whether somebody asked it to stop.
        past: What became of its attempts so far.
        asks: Keys of questions to the caller that have no answer yet; it is `input_required` while there are any.
    """

    status: Status = Status.QUEUED
    fence: int = 0
    idempotent: bool = False
    retry: RetryPolicy | None = None
    cancel_requested: bool = False
    past: Past = _NOTHING_YET
    asks: frozenset[str] = frozenset()


# --- events -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Placed:
    """A worker has a free slot for it."""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """The order for attempt `fence` certainly never reached its worker."""

    fence: int


@dataclass(frozen=True, slots=True)
class Ended:
    """Attempt `fence` is over: reported by its worker, or known to be lost.

    Attributes:
        failure: How; None: it completed.
        left_seconds: Time until the execution must have ended; None: any.
        chance: From 0 to 1, random.
    """

    fence: int
    failure: Failure | None = None
    left_seconds: float | None = None
    chance: float = 0.0


@dataclass(frozen=True, slots=True)
class Unrunnable:
    """It waits for a slot, or for its next attempt, and cannot have it: its task is gone, or its time is up."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody asked for the execution to stop."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The task of attempt `fence` asks the caller something."""

    fence: int
    key: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A question of attempt `fence` has its answer, or is given up."""

    fence: int
    key: str


Event = Placed | Undelivered | Ended | Unrunnable | CancelRequested | Asked | Settled


# --- effects ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """Record attempt `fence`, then order a worker to run it."""

    fence: int


@dataclass(frozen=True, slots=True)
class Requeue:
    """Record that attempt `fence` is over (with `failure`, if it was delivered at all) and queue the execution.

    It waits for `delay_seconds` before it may have a slot.
    """

    fence: int
    failure: Failure | None
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stop:
    """Tell the worker of attempt `fence` to end it."""

    fence: int


@dataclass(frozen=True, slots=True)
class Finish:
    """Record the terminal state, then wake whoever waits."""

    status: Status
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Suspend:
    """Record the question and that the execution waits for its answer, then have the caller asked."""

    fence: int
    key: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Record what became of the question, then tell the task."""

    fence: int
    key: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell whoever sent the event that it is of no consequence any more."""

    why: Literal["stale fence", "terminal"]


Effect = Order | Requeue | Stop | Finish | Suspend | Resume | Refuse
Step = tuple[State, Effect]


def step(state: State, event: Event) -> Step:
    """The next state and what must be done about it. Total: every event has an answer in every state."""
    match event:
        case Placed():
            return _place(state)
        case Undelivered(fence=fence):
            return _undeliver(state, fence)
        case Ended():
            return _end(state, event)
        case Unrunnable(failure=failure):
            if state.status is not Status.QUEUED:
                return state, Refuse(_why(state))
            return _finished(state, Status.FAILED, failure)
        case CancelRequested():
            return _cancel(state)
        case Asked(fence=fence, key=key):
            return _ask(state, fence, key)
        case Settled(fence=fence, key=key):
            return _settle(state, fence, key)


def _place(state: State) -> Step:
    if state.status is not Status.QUEUED:
        return state, Refuse(_why(state))
    running = replace(state, status=Status.RUNNING, fence=state.fence + 1)
    return running, Order(running.fence)


def _undeliver(state: State, fence: int) -> Step:
    if not state.status.active or fence != state.fence:
        return state, Refuse("stale fence")
    if state.cancel_requested:
        return _finished(state, Status.CANCELLED, None)
    return replace(state, status=Status.QUEUED, asks=frozenset()), Requeue(fence, None)


def _end(state: State, event: Ended) -> Step:
    failure = event.failure
    if state.status.terminal:
        return state, Refuse("terminal")
    if not state.status.active or event.fence != state.fence:
        return state, Refuse("stale fence")
    if failure is None:
        return _finished(state, Status.COMPLETED, None)
    if state.cancel_requested:
        stopped = failure.category in _LOST or failure.category is Category.CANCELLED
        return _finished(state, Status.CANCELLED if stopped else Status.FAILED, failure)
    past = state.past.after(event.fence, failure)
    match next_attempt(
        failure,
        past,
        policy=state.retry,
        idempotent=state.idempotent,
        left_seconds=event.left_seconds,
        chance=event.chance,
    ):
        case Again(delay_seconds=delay_seconds):
            queued = replace(state, status=Status.QUEUED, past=past, asks=frozenset())
            return queued, Requeue(event.fence, failure, delay_seconds)
        case GiveUp(failure=failure):
            return _finished(replace(state, past=past), Status.FAILED, failure)


def _cancel(state: State) -> Step:
    if state.status.terminal:
        return state, Refuse("terminal")
    asked = replace(state, cancel_requested=True)
    if state.status is Status.QUEUED:
        return _finished(asked, Status.CANCELLED, None)
    return asked, Stop(state.fence)


def _ask(state: State, fence: int, key: str) -> Step:
    if not state.status.active or fence != state.fence or key in state.asks:
        return state, Refuse(_why(state))
    return replace(state, status=Status.INPUT_REQUIRED, asks=state.asks | {key}), Suspend(fence, key)


def _settle(state: State, fence: int, key: str) -> Step:
    if fence != state.fence or key not in state.asks:
        return state, Refuse(_why(state))
    asks = state.asks - {key}
    return replace(state, status=Status.INPUT_REQUIRED if asks else Status.RUNNING, asks=asks), Resume(fence, key)


def _why(state: State) -> Literal["stale fence", "terminal"]:
    return "terminal" if state.status.terminal else "stale fence"


def _finished(state: State, status: Status, failure: Failure | None) -> Step:
    return replace(state, status=status, asks=frozenset()), Finish(status, failure)
