"""Executions that clients subscribed to, followed: one wait at the runner for each, however many clients want to know.

An update says that a view of an execution shows something else now. Updates are conflated: a client hears of an
execution a few times a second at most, and always of its end.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from actors.mcp_front.front import Own
from ipc.errors import IpcError
from ipc.link import Link
from ratchet import rpc
from ratchet.bodies.executions import GetExecution
from ratchet.bodies.telemetry import ReadLogs
from ratchet.errors import RatchetError, UnavailableError
from ratchet.messages import GET_EXECUTION, READ_LOGS
from ratchet.models import Execution, JsonObject
from ratchet.policy.client import Client

log = structlog.stdlib.get_logger("mcp-front")

FOLLOWED_MAX = 500
PACE_SECONDS = 0.25
_WAIT_SECONDS = 50.0
_MARGIN_SECONDS = 5.0
_LOOK_SECONDS = 10.0
_RETRY_SECONDS = 1.0

STATUS, LOGS, TRACE, OUTPUT = "", "/logs", "/trace", "/output"
Tell = Callable[[str], Awaitable[None]]


class Following:
    """Every execution of this front that somebody wants to hear of.

    Args:
        link: To the hub.
        own: Runs something beside the requests for the actor.
        tell: Says that the resource of a URI is another.
    """

    def __init__(self, link: Link, own: Own, tell: Tell) -> None:
        self._link = link
        self._own = own
        self._tell = tell
        self._followed: dict[str, _Followed] = {}

    async def follow(self, client: Client, execution_id: str, view: str, uri: str) -> "Hold":
        """Have it told when a view of an execution shows something else.

        Args:
            client: On whose behalf; the execution's owner.
            execution_id: Which one.
            view: What of it.
            uri: What is told.

        Raises:
            RatchetError: There is no such execution for the client, or too many are followed.
            IpcError: The runner does not answer.
        """
        request = GetExecution(client=client, execution_id=execution_id)
        execution = await rpc.call(self._link, GET_EXECUTION, request, timeout_seconds=_LOOK_SECONDS)
        if execution.status.terminal:
            return Hold(None, view, uri)
        followed = self._followed.get(execution_id)
        if followed is None or followed.over:
            followed = self._begin(client, execution)
        return Hold(followed, view, uri)

    def _begin(self, client: Client, execution: Execution) -> "_Followed":
        if len(self._followed) >= FOLLOWED_MAX:
            raise UnavailableError(
                f"{FOLLOWED_MAX} executions are followed for subscriptions and no more may be; read the resource again "
                "later instead, or subscribe once others have ended"
            )
        followed = _Followed(self._link, client, execution, self._tell)
        self._followed[execution.execution_id] = followed
        followed.task = self._own(followed.run(), f"follow {execution.execution_id}")
        followed.task.add_done_callback(lambda _: self._forget(followed))
        return followed

    def _forget(self, followed: "_Followed") -> None:
        if self._followed.get(followed.execution_id) is followed:
            del self._followed[followed.execution_id]


class Hold:
    """One subscriber's hold on an execution that is followed; None: on one that had ended already."""

    def __init__(self, followed: "_Followed | None", view: str, uri: str) -> None:
        self._followed = followed
        self._what = (view, uri)
        if followed is not None:
            followed.add(*self._what)

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self._followed is None or self._followed.over

    def release(self) -> None:
        """Let go; the execution is followed no more once nobody holds it."""
        followed, self._followed = self._followed, None
        if followed is not None:
            followed.remove(*self._what)


class _Followed:
    """One execution until its end."""

    task: "asyncio.Task[Any] | None" = None

    @property
    def over(self) -> bool:
        return self._left or self.task is None or self.task.done()

    def __init__(self, link: Link, client: Client, execution: Execution, tell: Tell) -> None:
        self.execution_id = execution.execution_id
        self._link = link
        self._client = client
        self._tell = tell
        self._uris: Counter[tuple[str, str]] = Counter()
        self._left = False  # by everybody
        self._seen = _shown(execution)
        self._changed: set[str] = set()
        self._news = asyncio.Event()
        self._wanted: asyncio.Event = asyncio.Event()  # somebody wants to hear of the log

    def add(self, view: str, uri: str) -> None:
        self._uris[view, uri] += 1
        if view == LOGS:
            self._wanted.set()

    def remove(self, view: str, uri: str) -> None:
        self._uris[view, uri] -= 1
        self._uris = +self._uris
        if not self._uris and self.task is not None:
            self._left = True
            self.task.cancel()

    async def run(self) -> None:
        """Tell of changes until the execution has ended, and of that."""
        telling = asyncio.create_task(self._tell_all(), name="updates")
        listening = asyncio.create_task(self._follow_log(), name="log")
        try:
            await self._follow_status()
        except RatchetError as error:  # it is gone
            log.info("an execution cannot be followed any more", execution=self.execution_id, error=str(error))
        finally:
            telling.cancel()
            listening.cancel()
            await asyncio.wait([telling, listening])
        await self._say({STATUS, LOGS, TRACE, OUTPUT})

    async def _follow_status(self) -> None:
        request = GetExecution(client=self._client, execution_id=self.execution_id, wait_seconds=_WAIT_SECONDS)
        while True:
            try:
                execution = await rpc.call(
                    self._link,
                    GET_EXECUTION,
                    request,
                    timeout_seconds=_WAIT_SECONDS + _MARGIN_SECONDS,
                    on_progress=self._progressed,
                )
            except IpcError as error:
                log.debug("the runner does not answer", execution=self.execution_id, error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if execution.status.terminal:
                return
            self._look(_shown(execution))

    def _progressed(self, body: JsonObject) -> None:
        self._look((str(body["status"]), *(body.get(name) for name in _PROGRESS)))

    def _look(self, shown: tuple[Any, ...]) -> None:
        if shown == self._seen:
            return
        self._note(STATUS, *([TRACE] if shown[0] != self._seen[0] else []))
        self._seen = shown

    async def _follow_log(self) -> None:
        """Wait for a record after the last one; how many there are is for the reader to see."""
        await self._wanted.wait()
        newest = ReadLogs(execution_id=self.execution_id, tail=True, limit=1)
        told: str | None = None
        while True:
            try:
                cursor = (await rpc.call(self._link, READ_LOGS, newest, timeout_seconds=_LOOK_SECONDS)).next_cursor
                if cursor != told:  # also at first: some may have come since the client looked
                    self._note(LOGS)
                told = cursor
                later = ReadLogs(execution_id=self.execution_id, after=cursor, limit=1, wait_seconds=_WAIT_SECONDS)
                page = await rpc.call(self._link, READ_LOGS, later, timeout_seconds=_WAIT_SECONDS + _MARGIN_SECONDS)
            except (IpcError, RatchetError) as error:
                log.debug("the log cannot be followed", execution=self.execution_id, error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if page.records:
                self._note(LOGS)
                told = page.next_cursor
                await asyncio.sleep(PACE_SECONDS)

    def _note(self, *views: str) -> None:
        self._changed.update(views)
        self._news.set()

    async def _tell_all(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            changed, self._changed = self._changed, set()
            await self._say(changed)
            await asyncio.sleep(PACE_SECONDS)

    async def _say(self, views: set[str]) -> None:
        for view, uri in list(self._uris):
            if view in views:
                await self._tell(uri)


_PROGRESS = ("current", "total", "message")


def _shown(execution: Execution) -> tuple[Any, ...]:
    progress = execution.progress
    return (execution.status.value, *(None if progress is None else getattr(progress, name) for name in _PROGRESS))
