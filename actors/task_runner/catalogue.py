"""What the task folders hold at this moment.

Task code is imported only in children: a worker describes a file on request. A description is good as long as every
file that its version is the hash of is unchanged, which a look at their modification times tells
(`actors/task_runner/stamps.py`); so a changed file is noticed by the next call that concerns it, without a watcher and
without a restart.
"""

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from actors.task_runner.behalf import exists_for, task_action
from actors.task_runner.stamps import Stamp, is_young, stamp_of
from ratchet.bodies.attempts import FileDescription
from ratchet.errors import BrokenTaskError, UnknownTaskError
from ratchet.models import BrokenFile, Execution, Task
from ratchet.policy.client import Client
from ratchet.policy.decision import decide
from ratchet.policy.enforce import require
from ratchet.runtime.versions import name_of, version_of
from ratchet.validation import SchemaValidator

log = structlog.stdlib.get_logger("task-runner")

Describe = Callable[[str], Awaitable[FileDescription]]
Save = Callable[[Mapping[str, FileDescription]], Awaitable[None]]

_DESCRIBING_AT_ONCE = 2
_LOOKS_MAX = 5  # at a file that changes again and again while it is described; the next call goes on
# Editors and tools that write in place are seen half way, and what is split over two files is saved in turn.
_SETTLE_SECONDS = 0.2
_UNSETTLED_NS = 400_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A described file.

    Attributes:
        stamp: Of every file that matters, as they were when they had the version that is described; None: they never
            were seen to have it.
        young: Whether one was written so lately that another write might not show in the stamp.
        ids: Task ids it defines, or defined before it broke.
    """

    description: FileDescription
    stamp: Stamp | None
    young: bool
    ids: frozenset[str]


class Catalogue:
    """Tasks by id, kept true to the files."""

    def __init__(self, roots: Iterable[Path], describe: Describe, save: Save) -> None:
        self._roots = list(roots)
        self._describe = describe
        self._save = save
        self._entries: dict[str, Entry] = {}
        self._by_id: dict[str, Task] = {}
        self._duplicates: list[BrokenFile] = []
        self._validators: dict[tuple[str, str, str], SchemaValidator] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._slots = asyncio.Semaphore(_DESCRIBING_AT_ONCE)
        self.generation = 0  # counts the times that something may have become different

    def remember(self, path: str, description: FileDescription) -> None:
        """Take a description from an earlier run that the caller knows to be of the files as they are."""
        self._enter(path, description, _stamp(description))

    def doubt_broken(self) -> None:
        """Have broken files described again: something that they lack may be installed by now."""
        for path, entry in self._entries.items():
            if entry.description.broken is not None:
                self._entries[path] = replace(entry, stamp=None)

    async def refresh(self) -> None:
        """Look at every task folder; describe what is new or changed, forget what is gone."""
        found = [str(path) for path in task_files(self._roots)]
        gone = self._entries.keys() - set(found)
        for path in gone:
            del self._entries[path]
        if gone:
            self._index()
        stale = [path for path in found if not self._fresh(path)]
        if stale:
            await asyncio.gather(*(self._update(path) for path in stale))
        if stale or gone:
            await self._save({path: entry.description for path, entry in self._entries.items()})

    async def find(self, task_id: str, client: Client | None = None) -> Task:
        """The task as its file defines it now.

        Args:
            task_id: Its id.
            client: Who wants to run it; None: the user, or one who was asked before.

        Raises:
            ForbiddenError: It is marked dangerous, and the client may not run such tasks.
            UnknownTaskError: No file defines it; the nearest ones named are those that exist for the client.
            BrokenTaskError: The file that does (or did) cannot be loaded.
        """
        task = self._by_id.get(task_id)
        if task is None or not self._fresh(task.path):
            await self.refresh()
            task = self._by_id.get(task_id)
        if task is None:
            raise self._missing(task_id, client)
        require(client, task_action(task_id, dangerous=task.dangerous))
        return task

    def version_now(self, execution: Execution) -> str:
        """The version that an execution would run in, as far as is known without another look."""
        task = self._by_id.get(execution.task_id)
        return execution.version if task is None else task.version

    def path_of(self, task_id: str) -> str | None:
        """The file that defines a task, likewise."""
        task = self._by_id.get(task_id)
        return None if task is None else task.path

    def name_of(self, task: Task) -> str:
        """A task's file by its path within the task folders."""
        return name_of(task.path, [str(root) for root in self._roots])

    def files_of(self, version: str) -> list[str] | None:
        """The paths within the task folders of the files of a version; None where no task has it by now."""
        roots = [str(root) for root in self._roots]
        for entry in self._entries.values():
            if entry.description.version == version:
                return [name_of(path, roots) for path in entry.description.files]
        return None

    def validator(self, task: Task) -> SchemaValidator:
        """The compiled input schema of a task."""
        key = (task.path, task.version, task.task_id)
        if key not in self._validators:
            self._validators[key] = SchemaValidator(task.input_schema)
        return self._validators[key]

    @property
    def tasks(self) -> list[Task]:
        """By id."""
        return [self._by_id[one] for one in sorted(self._by_id)]

    def listed(self, client: Client | None) -> tuple[list[Task], list[BrokenFile]]:
        """The tasks that exist for a client, by id, and the broken files that would hold some of its tasks."""
        tasks = [one for one in self.tasks if exists_for(client, one)]
        if client is None:
            return tasks, self.broken
        return tasks, [one for one in self.broken if self._would_exist_for(client, one)]

    def _would_exist_for(self, client: Client, file: BrokenFile) -> bool:
        """What a broken file defines is known from before it broke, or guessed from its name."""
        entry = self._entries.get(file.path)
        ids = (entry.ids if entry is not None else frozenset[str]()) or {_task_id(file.path)}
        return any(decide(client, task_action(task_id)).visible for task_id in ids)

    @property
    def broken(self) -> list[BrokenFile]:
        """Files that cannot be loaded, and those that define an id for the second time; by path."""
        files = [one.description.broken for one in self._entries.values() if one.description.broken is not None]
        return sorted([*files, *self._duplicates], key=lambda one: one.path)

    def _fresh(self, path: str) -> bool:
        entry = self._entries.get(path)
        if entry is None or entry.stamp is None or entry.stamp != _stamp(entry.description):
            return False
        if not entry.young:
            return True
        young = is_young(entry.stamp)  # before the look, after which it may be written again
        same = self._has_version(entry.description)
        self._entries[path] = replace(entry, young=young, stamp=entry.stamp if same else None)
        return same

    def _has_version(self, description: FileDescription) -> bool:
        """Whether the files are what was described, byte for byte."""
        return version_of(description.files, [str(root) for root in self._roots]) == description.version

    async def _update(self, path: str) -> None:
        async with self._locks.setdefault(path, asyncio.Lock()), self._slots:
            if self._fresh(path):
                return
            description, stamp = await self._described(path)
            self._enter(path, description, stamp)
            if description.broken is not None:
                log.warning("a task file cannot be loaded", path=path, error=description.broken.message)

    async def _described(self, path: str) -> tuple[FileDescription, Stamp | None]:
        """What the file defines and the stamp of it; where it would not hold still, what it is or was, and None."""
        for _ in range(_LOOKS_MAX):
            description = await self._described_once(path)
            stamp = _stamp(description)
            # Only now: what changes after the stamp was taken shows in the next one.
            if not await asyncio.to_thread(self._has_version, description):
                continue
            if self._loses(path, description) and is_young(stamp, _UNSETTLED_NS):
                await asyncio.sleep(_SETTLE_SECONDS)
                if stamp != _stamp(description):
                    continue
            return description, stamp
        earlier = self._entries.get(path)
        return (await self._described_once(path) if earlier is None else earlier.description), None

    async def _described_once(self, path: str) -> FileDescription:
        description = _usable(path, await self._describe(path))
        # Where an import ended its process, it is not known which modules it came to: one that it had may be mended.
        if description.broken is None or description.files != [path] or path not in self._entries:
            return description
        earlier = self._entries[path].description
        watched = {*description.absent, *earlier.files, *earlier.absent} - {path}
        return description.model_copy(update={"absent": sorted(watched)})

    def _loses(self, path: str, description: FileDescription) -> bool:
        """Whether tasks that were there before would be gone."""
        ids = self._entries[path].ids if path in self._entries else frozenset[str]()
        return description.broken is not None or not ids <= {task.task_id for task in description.tasks}

    def _enter(self, path: str, description: FileDescription, stamp: Stamp | None) -> None:
        """Know a file as described, and its tasks with it: whoever comes next finds nothing to describe."""
        ids = frozenset(task.task_id for task in description.tasks)
        if description.broken is not None and path in self._entries:
            ids = self._entries[path].ids
        self._entries[path] = Entry(description, stamp, stamp is not None and is_young(stamp), ids)
        self._index()

    def _index(self) -> None:
        self.generation += 1
        self._by_id.clear()
        self._duplicates.clear()
        versions = {(path, one.description.version) for path, one in self._entries.items()}
        self._validators = {key: one for key, one in self._validators.items() if key[:2] in versions}
        for path in sorted(self._entries):
            for task in self._entries[path].description.tasks:
                first = self._by_id.setdefault(task.task_id, task)
                if first is not task:
                    self._duplicates.append(_duplicate(task, first))

    def _missing(self, task_id: str, client: Client | None) -> UnknownTaskError | BrokenTaskError:
        for path, entry in self._entries.items():
            broken = entry.description.broken
            if broken is not None and (task_id in entry.ids or _task_id(path) == task_id):
                return BrokenTaskError(
                    f"task {task_id!r} cannot run: {path} does not load: {broken.error_type}: {broken.message}",
                    details=broken.model_dump(mode="json"),
                )
        there = [one.task_id for one in self.tasks if exists_for(client, one)]
        nearest = difflib.get_close_matches(task_id, there, n=3)
        hint = (
            f"did you mean {' or '.join(map(repr, nearest))}?"
            if nearest
            else "list_available_tasks names those there are"
        )
        return UnknownTaskError(f"no task has the id {task_id!r}; {hint}", details={"nearest": nearest})


def _usable(path: str, description: FileDescription) -> FileDescription:
    """The description; a broken one where no input could be checked, because a schema that its author gave is none."""
    for task in description.tasks:
        try:
            SchemaValidator(task.input_schema)
        except ValueError as error:
            message = f"the input schema of task {task.task_id!r} is not valid: {error}"
            broken = BrokenFile(path=path, error_type="InvalidSchema", message=message)
            return description.model_copy(update={"tasks": [], "broken": broken})
    return description


def task_files(roots: Iterable[Path]) -> list[Path]:
    """The files of task folders that may define tasks: not tests, and nothing that starts with an underscore."""
    found = {path for root in roots if root.is_dir() for path in root.glob("*.py") if _is_task_file(path.name)}
    return sorted(found)


def _is_task_file(name: str) -> bool:
    return not name.startswith(("_", "test_")) and not name.endswith("_test.py") and name != "conftest.py"


def _task_id(path: str) -> str:
    """The id of a task that is named like its file."""
    return Path(path).stem.replace("_", "-")


def _stamp(description: FileDescription) -> Stamp:
    return stamp_of([*description.files, *description.absent])


def _duplicate(task: Task, first: Task) -> BrokenFile:
    return BrokenFile(
        path=task.path,
        error_type="DuplicateTask",
        message=f"the id {task.task_id!r} is already defined in {first.path}; give one of them another id",
    )
