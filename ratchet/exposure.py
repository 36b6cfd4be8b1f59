"""Which tasks are tools of their own, and under which names. Pure.

Hosts want names of `^[a-zA-Z0-9_-]{1,64}$`, which a task's id is but for its dots. A name means one thing for
everybody: where two tasks would have the same, or a tool of Ratchet's has it, the later task is not exposed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ratchet.models import BrokenFile, Model, Task
from ratchet.policy.rate_limits import TOOL_OF_SHORT_NAME

_OWN_NAMES = frozenset(TOOL_OF_SHORT_NAME.values())
_OWN_PREFIX = "ratchet_"
UNEXPOSED = "NotExposed"


@dataclass(frozen=True, slots=True)
class Exposure:
    """What came of the patterns.

    Attributes:
        tools: Tasks by the names of their tools, in the order of their ids.
        refused: Tasks that were to be exposed and are not, each with the reason.
    """

    tools: Mapping[str, Task] = field(default_factory=dict[str, Task])
    refused: tuple[tuple[Task, BrokenFile], ...] = ()

    @property
    def revision(self) -> str:
        """The same as long as clients are told the same; not what the tasks do, nor where they are."""
        told = [
            (name, task.model_dump_json(exclude={"path", "version", "function"})) for name, task in self.tools.items()
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def listing_revision(tasks: Iterable[Task]) -> str:
    """The same as long as a list of these tasks shows the same: their ids, and what they are for."""
    shown = [(task.task_id, task.description) for task in tasks]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]


def expose(tasks: Iterable[Task], patterns: Sequence[str]) -> Exposure:
    """The tasks that are tools.

    Args:
        tasks: By id.
        patterns: Ids of tasks, `*` as a wildcard, as in `allowed_task_patterns`.
    """
    tools: dict[str, Task] = {}
    refused: list[tuple[Task, BrokenFile]] = []
    for task in tasks:
        if not any(fnmatchcase(task.task_id, pattern) for pattern in patterns):
            continue
        name = tool_name(task.task_id)
        if name.removeprefix(_OWN_PREFIX) in _OWN_NAMES:
            refused.append((task, _unexposed(task, f"its name {name!r} is that of a tool of Ratchet's")))
        elif name in tools:
            refused.append((task, _unexposed(task, f"the name {name!r} is that of another task's tool")))
        else:
            tools[name] = task
    return Exposure(tools, tuple(refused))


def tool_name(task_id: str) -> str:
    """The name of a task's tool."""
    return task_id.replace(".", "_")


def _unexposed(task: Task, reason: str) -> BrokenFile:
    """It says nothing of the other task, which may not exist for whoever reads it."""
    return BrokenFile(
        path=task.path,
        error_type=UNEXPOSED,
        message=f"task {task.task_id!r} runs, but is no tool of its own: {reason}. Give the task another id",
    )


# --- what the task-runner says of it to fronts; the rows are in the table of `ratchet.messages` ---


class ExposedTools(Model):
    """Tasks by the names of their tools; None: the revision is the one that the caller knows."""

    revision: str
    tools: dict[str, Task] | None = None


class ToolsChanged(Model):
    """The tasks, or those of them that are tools, or what is said of them, became different. Served by every front.

    Attributes:
        revision: Of the tasks that are tools.
        tasks: Of what lists of all tasks show; the same as long as they show the same.
    """

    revision: str
    tasks: str
