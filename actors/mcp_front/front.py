"""What every call of this front shares: the link to the runner, the wording of answers, the waits, the clock."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

from actors.mcp_front.answers.answer_cache import AnswerCache
from actors.mcp_front.audit import AuditTrail
from actors.mcp_front.protocol.exposed import Exposed
from actors.mcp_front.protocol.loudness import Loudness
from actors.mcp_front.protocol.notifications import Notifications
from actors.mcp_front.waits import Waits
from actors.mcp_front.wording import Wording
from ipc.link import Link
from ratchet.health import ProcessHealth
from ratchet.policy.profiles import Profiles

Own = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[Any]]

_FINISH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Front:
    """One front process (or, in a test, one server).

    Attributes:
        link: To the hub.
        wording: How tools are named and where pages are.
        profiles: Who may come in here, and what each may do.
        audit: Where every call and refusal is noted.
        transport: How clients come in.
        health: This process's own account.
        own: Runs something beside the requests for the actor.
        log_entries_max: Most log records in one answer; None: as many as the tool allows.
        finished_logs: Answers about logs that are complete.
        exposed: Tasks that are tools of their own.
        reaches_out: Whether there is an llm-gateway.
        connection: Names the only connection of a stdio front.
        state_key: Seals what clients carry from one call to the next.
        waits: What running requests wait for.
        notifications: What clients are told without asking.
        loudness: What sessions want to hear of logs.
        counted: What else was refused or given up here, by name.
        now_ns: The clock.
    """

    link: Link
    wording: Wording
    health: ProcessHealth
    own: Own
    profiles: Profiles
    audit: AuditTrail
    transport: Literal["http", "stdio"]
    finished_logs: AnswerCache
    exposed: Exposed
    log_entries_max: int | None = None
    reaches_out: bool = False
    connection: str = "local"
    state_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    waits: Waits = field(default_factory=Waits)
    notifications: Notifications = field(default_factory=Notifications)
    loudness: Loudness = field(default_factory=Loudness)
    counted: Counter[str] = field(default_factory=Counter[str])
    now_ns: Callable[[], int] = time.time_ns
    _beside: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])

    @property
    def counters(self) -> dict[str, int]:
        """Whatever was dropped, late, expired or refused here."""
        return {
            **self.link.counters,
            "audit_dropped": self.audit.dropped,
            "notifications_dropped": self.notifications.dropped,
            **self.counted,
        }

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Do something that outlives the request that asks for it."""
        task = self.own(work, name)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def finish(self) -> None:
        """Give what was spawned, and what is still to be recorded, a moment to end."""
        if self._beside:
            await asyncio.wait(self._beside, timeout=_FINISH_SECONDS)
        await self.audit.finish()
