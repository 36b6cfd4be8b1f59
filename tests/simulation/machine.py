"""What simulated processes share: the loop, the seed's choices, the task file, and what really happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from ratchet.runtime.versions import version_of
from tests.simulation.loop import SimulatedLoop
from tests.simulation.truth import Truth

if TYPE_CHECKING:
    from tests.simulation.children import SimulatedZygote
    from tests.simulation.tasks import ChildProcess


class Machine:
    """One per schedule.

    Attributes:
        children: Every child that lives, busy or idle.
        zygotes: By worker, the newest.
        task_file: The file that all simulated tasks are in.
    """

    def __init__(self, loop: SimulatedLoop, chance: Random, truth: Truth, folder: Path) -> None:
        self.loop = loop
        self.chance = chance
        self.truth = truth
        self.children: set[ChildProcess] = set()
        self.zygotes: dict[str, SimulatedZygote] = {}
        self.trail: list[str] = []
        self.task_file = folder / "simulated.py"
        self.version = ""
        self._pid = 1000
        self._edits = 0
        self.edit()

    def edit(self) -> None:
        """Change the task file: what runs next is another version."""
        self._edits += 1
        self.task_file.write_text("# simulated\n" * self._edits)
        self.version = version_of([str(self.task_file)], [str(self.task_file.parent)])

    def new_pid(self) -> int:
        self._pid += 1
        return self._pid

    def within(self, seconds: float) -> float:
        """Some part of these seconds."""
        return self.chance.random() * seconds

    def later(self, seconds: float, do: Callable[..., object], *args: Any) -> None:
        """Do something within some seconds, in whosever context this is called."""
        self.loop.call_later(self.within(seconds), do, *args)

    def note(self, what: str) -> None:
        """Add to what is shown of a schedule that failed."""
        self.trail.append(f"{self.loop.now:10.4f}  {what}")
