"""Tasks that are tools of their own: which there are for whom, and word to the fronts when they or all tasks change.

Nobody who only listens has a reason to ask again by itself, so here the task folders are looked at all the time; a look
costs as little as one at the modification times does.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from actors.task_runner.behalf import acting, exists_for
from actors.task_runner.catalogue import Catalogue
from ipc.link import Request
from ratchet.bodies.executions import ListTools
from ratchet.errors import RatchetError
from ratchet.exposure import Exposure, ToolsChanged, expose, listing_revision
from ratchet.messages import ExposedTools
from ratchet.models import BrokenFile
from ratchet.policy.client import Client

log = structlog.stdlib.get_logger("task-runner")

_LOOK_SECONDS = 0.25


class Toolbox:
    """The procedure `tasks.tools`.

    Args:
        patterns: Ids of tasks that are exposed.
        catalogue: Where they are.
        tell: Sends word of a change to every front.
        changed: Told whenever anything in the task folders may be different.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        catalogue: Catalogue,
        tell: Callable[[ToolsChanged], None],
        changed: Callable[[], None],
    ) -> None:
        self._patterns = patterns
        self._catalogue = catalogue
        self._tell = tell
        self._changed = changed
        self._generation = -1
        self._exposure = Exposure()
        self._revision = self._exposure.revision
        self._listing = listing_revision([])

    async def listed(self, body: ListTools, request: Request) -> ExposedTools:
        """The tasks that are tools for the client at this moment."""
        client = acting(body, request)
        if self._patterns:
            await self._catalogue.refresh()
            self._update()
        if body.known == self._revision:
            return ExposedTools(revision=self._revision)
        tools = {name: task for name, task in self._exposure.tools.items() if exists_for(client, task)}
        return ExposedTools(revision=self._revision, tools=tools)

    def refused_for(self, client: Client | None) -> list[BrokenFile]:
        """Why tasks of the client's that were to be exposed are not."""
        self._update()
        return [why for task, why in self._exposure.refused if exists_for(client, task)]

    async def watch(self) -> None:
        """Look at the task folders for as long as the runner lives."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self._catalogue.refresh()
            except RatchetError as error:
                log.debug("the task folders could not be looked at", error=str(error))
            self._update()

    def _update(self) -> None:
        if self._generation == self._catalogue.generation:
            return
        self._generation = self._catalogue.generation
        before, self._exposure = self._exposure, expose(self._catalogue.tasks, self._patterns)
        for task, why in self._exposure.refused:
            if why not in [earlier for _, earlier in before.refused]:
                log.warning("a task is not exposed", task=task.task_id, reason=why.message)
        told = self._revision, self._listing
        self._revision, self._listing = self._exposure.revision, listing_revision(self._catalogue.tasks)
        if (self._revision, self._listing) != told:
            self._tell(ToolsChanged(revision=self._revision, tasks=self._listing))
        self._changed()
