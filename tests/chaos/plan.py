"""What is done to whom, and when: a pure function of the seed and of how many executions there will be."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["kill", "stop", "restart", "full disk", "partition"]

SUPERVISOR: Final = "supervisor"
NODE: Final = "node"
STORES: Final = {"task-runner": "executions", "log-store": "logs", "trace-store": "spans"}
ACTORS: Final = ("task-runner", "log-store", "trace-store", "llm-gateway", "mcp-front", "worker")
LEASE_SECONDS: Final = 30.0
TARGETS: Final = (*ACTORS, "zygote", "child", SUPERVISOR, NODE)

_EXECUTIONS_PER_FAULT: Final = 25
# A session is suspect after 3 s of silence and dead after 10.
_STOPS: Final = ((0.2, 1.0), (0.5, 2.5), (3.2, 5.0), (10.5, 13.0))
_STOP_WEIGHTS: Final = (6, 4, 2, 1)
_LONGER_THAN_LEASE: Final = (LEASE_SECONDS + 2, LEASE_SECONDS + 5)
_FULL_SECONDS: Final = (0.3, 4.0)
_TOGETHER_SHARE: Final = 0.2  # of the faults fall at the same moment as the one before
# Rare ones of a long run, which cost it half a minute each: once in so many executions.
_EXECUTIONS_PER_LEASE: Final = 1500
_EXECUTIONS_PER_CRASH: Final = 1500


@dataclass(frozen=True, slots=True)
class Fault:
    """One blow.

    Attributes:
        number: Its place in the schedule.
        at: It falls when so many executions have ended.
        kind: What is done.
        target: To which kind of process.
        pick: Which of them, as a share of their number.
        seconds: For how long, where it is not for good.
    """

    number: int
    at: int
    kind: Kind
    target: str
    pick: float
    seconds: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"#{self.number} at {self.at}: {self.kind} {self.target}{lasting}"


def schedule(executions: int, seed: int, *, only: Iterable[str] = TARGETS) -> list[Fault]:
    """The faults of a run, by the number of executions that have ended before each.

    Every kind of blow to every kind of process comes as often as any other, in a random order, so that short runs
    leave as little out as they can.

    Args:
        executions: How many there will be.
        seed: The same faults for the same seed.
        only: Kinds of processes that are struck.
    """
    rng = random.Random(f"faults {seed}")
    wanted = set(only)
    deck = [one for one in _deck() if one[1] in wanted]
    blows: list[tuple[Kind, str]] = []
    count = executions // _EXECUTIONS_PER_FAULT
    while deck and len(blows) < count:
        rng.shuffle(deck)
        blows += deck
    faults = [_ordinary(kind, target, rng) for kind, target in blows[:count]]
    faults += _rare(executions, wanted, rng)
    rng.shuffle(faults)
    step = executions / (len(faults) + 1)
    planned: list[Fault] = []
    for number, rest in enumerate(faults, 1):
        together = planned and rng.random() < _TOGETHER_SHARE
        planned.append(Fault(number, planned[-1].at if together else round(step * number), *rest))
    return planned


_Rest = tuple[Kind, str, float, float]


def _deck() -> list[tuple[Kind, str]]:
    by_kind: dict[Kind, Iterable[str]] = {
        "kill": (*ACTORS, "zygote", "child"),
        "stop": (*ACTORS, "zygote", "child", SUPERVISOR),
        "restart": ACTORS,
        "full disk": STORES,
        "partition": (NODE,),
    }
    return [(kind, target) for kind, targets in by_kind.items() for target in targets]


def _ordinary(kind: Kind, target: str, rng: random.Random) -> _Rest:
    seconds = 0.0
    if kind in ("stop", "partition"):
        [(low, high)] = rng.choices(_STOPS, _STOP_WEIGHTS)
        seconds = rng.uniform(low, high)
    elif kind == "full disk":
        seconds = rng.uniform(*_FULL_SECONDS)
    return kind, target, rng.random(), seconds


def _rare(executions: int, wanted: set[str], rng: random.Random) -> list[_Rest]:
    found: list[_Rest] = []
    struck = [target for target in ("worker", "task-runner") if target in wanted]
    for number in range(executions // _EXECUTIONS_PER_LEASE if struck else 0):
        lease: _Rest = ("stop", struck[number % len(struck)], rng.random(), rng.uniform(*_LONGER_THAN_LEASE))
        found.append(lease)
    if SUPERVISOR in wanted:
        ends: list[_Rest] = [("kill", SUPERVISOR, 0.0, 0.0), ("restart", SUPERVISOR, 0.0, 0.0)]
        found += [ends[number % 2] for number in range(executions // _EXECUTIONS_PER_CRASH)]
    return found
