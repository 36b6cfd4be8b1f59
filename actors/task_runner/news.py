"""News for people who watch: what became of tasks and executions, told to each as fast as it reads, and no faster."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator

from actors.task_runner.catalogue import Catalogue
from ipc.link import Request
from ratchet import messages
from ratchet.bodies.news import FollowNews, News
from ratchet.errors import UnavailableError
from ratchet.models import Execution, Task

_FOLLOWERS_MAX = 16
_UNTOLD_MAX = 1000  # executions that wait to be told to one follower
_TOLD_AT_ONCE_MAX = 100
_PACE_SECONDS = 0.05


class _Follower:
    """What one of those who watch has not been told yet."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.tasks = True
        self.executions: OrderedDict[str, Execution] = OrderedDict()
        self.missed = 0
        self.news.set()

    def note(self, execution: Execution) -> None:
        self.executions[execution.execution_id] = execution
        self.executions.move_to_end(execution.execution_id)
        if len(self.executions) > _UNTOLD_MAX:
            self.executions.popitem(last=False)
            self.missed += 1
        self.news.set()

    def take(self) -> list[Execution]:
        """The next executions to be told."""
        count = min(len(self.executions), _TOLD_AT_ONCE_MAX)
        return [_headline(self.executions.popitem(last=False)[1]) for _ in range(count)]


class Newsroom:
    """The stream `news.follow`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._followers: set[_Follower] = set()

    def executed(self, execution: Execution) -> None:
        """An execution was accepted, or came into another state."""
        for one in self._followers:
            one.note(execution)

    def tasks_changed(self) -> None:
        """Something in the task folders may be different."""
        for one in self._followers:
            one.tasks = True
            one.news.set()

    async def follow(self, _body: FollowNews, _request: Request) -> AsyncGenerator[News]:
        """What there is, then what changes.

        Raises:
            UnavailableError: Too many watch already, or no worker could load the task files.
        """
        if len(self._followers) >= _FOLLOWERS_MAX:
            raise UnavailableError(f"{_FOLLOWERS_MAX} watch already and no more may; end one of them")
        await self._catalogue.refresh()
        follower = _Follower()
        self._followers.add(follower)
        try:
            while True:
                await follower.news.wait()
                follower.news.clear()
                tasks, follower.tasks = follower.tasks, False
                missed, follower.missed = follower.missed, 0
                yield News(tasks=self._tasks() if tasks else None, executions=follower.take(), missed=missed)
                if follower.executions:
                    follower.news.set()
                await asyncio.sleep(_PACE_SECONDS)
        finally:
            self._followers.discard(follower)

    def _tasks(self) -> messages.Catalogue:
        return messages.Catalogue(tasks=[_named(one) for one in self._catalogue.tasks], broken=self._catalogue.broken)


def _headline(execution: Execution) -> Execution:
    return execution.model_copy(update={"input": {}, "output": None, "metadata": {}})


def _named(task: Task) -> Task:
    return task.model_copy(update={"input_schema": {}, "output_schema": None})
