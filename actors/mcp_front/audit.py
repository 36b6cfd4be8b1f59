"""The audit trail of this front: one record a call or refusal, brought to the task-runner beside the calls.

A call never waits for its record. What was not sent yet when this process is killed is lost; an orderly end sends it.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from ipc.errors import IpcError
from ratchet.errors import RatchetError
from ratchet.models import AuditRecord
from ratchet.policy.requests import AppendAudit

log = structlog.stdlib.get_logger("mcp-front")

PENDING_MAX = 10_000
_BATCH_MAX = 500
_GATHER_SECONDS = 0.2
_RETRY_SECONDS = 1.0
_LAST_SECONDS = 0.7

Append = Callable[[AppendAudit], Awaitable[object]]


def new_record_id() -> str:
    """The id of a new record."""
    return secrets.token_hex(8)


class AuditTrail:
    """Records on their way to the audit log.

    Attributes:
        enabled: Whether there is one; records are thrown away otherwise.
        dropped: Records that found no room because the task-runner took none for long.
    """

    def __init__(self, append: Append, *, enabled: bool) -> None:
        self.enabled = enabled
        self.dropped = 0
        self._append = append
        self._pending: deque[AuditRecord] = deque()
        self._sending = asyncio.Lock()
        self._wake = asyncio.Event()

    def note(self, record: AuditRecord) -> None:
        """Have a record stored, soon."""
        if not self.enabled:
            return
        if len(self._pending) >= PENDING_MAX:
            if not self.dropped:
                log.error("the audit trail is full: records are dropped", pending=PENDING_MAX)
            self.dropped += 1
            return
        self._pending.append(record)
        self._wake.set()

    async def run(self) -> None:
        """Send what is noted, until cancelled; what could not be sent is sent again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(_GATHER_SECONDS)  # a busy front makes one message of many records
            while self._pending:
                if not await self._send():
                    await asyncio.sleep(_RETRY_SECONDS)

    async def finish(self) -> None:
        """Send what is left, for a moment."""
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                while self._pending and await self._send():
                    pass
        except TimeoutError:
            log.warning("the end of the audit trail was not taken", records=len(self._pending))

    async def _send(self) -> bool:
        async with self._sending:
            batch = [self._pending[index] for index in range(min(_BATCH_MAX, len(self._pending)))]
            try:
                await self._append(AppendAudit(records=batch))
            except (IpcError, RatchetError) as error:
                log.warning("the audit log took no records", records=len(self._pending), error=str(error))
                return False
            for _ in batch:
                self._pending.popleft()
            return True
