"""Which node gets which version, and what is said where none has it."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from actors.task_runner.node_code import NodeCode
from actors.task_runner.waiting import why_it_waits
from actors.task_runner.workers import Workers
from ipc.errors import UnreachableError
from ratchet.bodies.node_work import FindCode, FoundCode

V1, V2 = "1" * 64, "2" * 64


@dataclass
class Fleet:
    """Nodes that answer what they are told to."""

    has: dict[str, FoundCode | None]
    sessions: dict[str, object] = field(default_factory=dict[str, object])
    refusals: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[tuple[str, list[str]]] = field(default_factory=list[tuple[str, list[str]]])
    news: int = 0

    def __post_init__(self) -> None:
        self.sessions = {name: object() for name in self.has}
        self._tasks: list[Coroutine[Any, Any, Any]] = []
        self.code = NodeCode(
            presence=self,
            ask=self._ask,
            files_of=lambda version: ["report.py", "kit/deep.py"] if version in (V1, V2) else None,
            spawn=lambda work, _name: self._tasks.append(work),
            changed=self._changed,
        )

    def names(self) -> list[str]:
        return sorted(self.has)

    def session(self, node: str) -> object | None:
        return self.sessions.get(node)

    def refusal(self, node: str) -> str | None:
        return self.refusals.get(node)

    def __del__(self) -> None:
        for work in self._tasks:
            work.close()

    def settle(self) -> None:
        """Let everything that was begun end."""
        while self._tasks:
            asyncio.run(self._tasks.pop())

    async def _ask(self, node: str, body: FindCode) -> FoundCode:
        self.asked.append((node, body.files))
        found = self.has[node]
        if found is None:
            raise UnreachableError("gone")
        return found

    def _changed(self) -> None:
        self.news += 1


def test_a_node_is_asked_once_for_a_version_and_fits_when_it_has_exactly_that():
    fleet = Fleet({"gpu": FoundCode(version=V1)})
    assert not fleet.code.fits("gpu", V1)
    assert not fleet.code.fits("gpu", V1)
    fleet.settle()
    assert fleet.asked == [("gpu", ["report.py", "kit/deep.py"])]
    assert fleet.news == 1
    assert fleet.code.fits("gpu", V1)
    assert not fleet.code.fits("gpu", V2)


def test_what_is_known_of_a_node_ends_with_its_session_and_with_its_word():
    fleet = Fleet({"gpu": FoundCode(version=V1)})
    fleet.code.fits("gpu", V1)
    fleet.settle()
    fleet.sessions["gpu"] = object()
    assert not fleet.code.fits("gpu", V1)
    fleet.settle()
    assert fleet.code.fits("gpu", V1)
    fleet.has["gpu"] = FoundCode(version=V2)
    fleet.code.forget("gpu")
    assert not fleet.code.fits("gpu", V1)
    fleet.settle()
    assert not fleet.code.fits("gpu", V1)
    assert len(fleet.asked) == 3


def test_an_answer_about_files_as_they_were_is_of_no_consequence():
    fleet = Fleet({"gpu": FoundCode(version=V1)})
    fleet.code.fits("gpu", V1)
    fleet.code.forget("gpu")
    fleet.settle()
    assert not fleet.code.fits("gpu", V1)


def test_a_node_that_does_not_answer_is_asked_again():
    fleet = Fleet({"gpu": None})
    for _ in range(2):
        assert not fleet.code.fits("gpu", V1)
        fleet.settle()
    assert len(fleet.asked) == 2


def test_a_node_whose_child_found_another_version_gets_no_more_of_it():
    fleet = Fleet({"gpu": FoundCode(version=V1)})
    fleet.code.fits("gpu", V1)
    fleet.settle()
    fleet.code.found_other("gpu", V1)
    assert not fleet.code.fits("gpu", V1)
    assert fleet.code.why_not(V1) == "node gpu has the same files, but imports others with them"


def test_a_version_that_no_task_has_any_more_is_not_asked_for():
    fleet = Fleet({"gpu": FoundCode(version=V1)})
    assert not fleet.code.fits("gpu", "3" * 64)
    fleet.settle()
    assert fleet.asked == []


def test_what_nobody_can_take_says_so_of_every_node():
    fleet = Fleet(
        {
            "busy": FoundCode(version=V2),
            "gone": FoundCode(version=V1),
            "lean": FoundCode(version=V2, missing=["kit/deep.py"]),
            "new": FoundCode(version=V1),
            "quiet": FoundCode(version=V1),
        }
    )
    fleet.sessions.pop("gone")
    fleet.refusals["quiet"] = "is drained"
    workers = Workers(fleet.code.fits)
    assert why_it_waits(V1, "/head/tasks/report.py", 0, workers, fleet.code).startswith("no worker is connected: node ")
    for name in ("busy", "lean", "quiet"):
        workers.register(f"worker:{name}.1", "a", pid=1, slots=1, now=0.0)
        fleet.code.fits(name, V1)
    fleet.settle()
    assert why_it_waits(V1, "/head/tasks/report.py", 0, workers, fleet.code) == (
        "no worker has version 111111111111 of report.py: node busy has 222222222222; node gone is not connected; "
        "node lean lacks kit/deep.py; node new is being asked; node quiet is drained"
    )


def test_what_some_can_take_waits_for_those():
    fleet = Fleet({"gpu": FoundCode(version=V1), "old": FoundCode(version=V2)})
    workers = Workers(fleet.code.fits)
    for name in fleet.has:
        workers.register(f"worker:{name}.1", "a", pid=1, slots=3, now=0.0)
        fleet.code.fits(name, V1)
    fleet.settle()
    assert why_it_waits(V1, "/head/tasks/report.py", 2, workers, fleet.code) == (
        "all 3 slots that have its version are busy; 2 executions are ahead of this one"
    )
