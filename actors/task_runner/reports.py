"""Records how attempts ended, and has their last telemetry stored beside that.

A report carries the last few records and spans of its attempt, so that a short one costs the worker one message, and
whoever waits for the execution the time of one commit: its end is announced before the stores have answered. What is
recorded says `telemetry: incomplete` until they have, so that no crash can make it a lie; that they have is noted a
little later, for many at once.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from itertools import takewhile
from typing import Any, TypeVar

import structlog

from actors.task_runner.attempt_table import AttemptTable
from actors.task_runner.ledger import Ledger
from actors.task_runner.live import Live, with_attempt
from ipc.errors import IpcError
from ipc.link import Link
from ratchet import messages, rpc
from ratchet.bodies.attempts import AttemptReport
from ratchet.bodies.common import Empty
from ratchet.bodies.telemetry import AppendLogs, AppendSpans
from ratchet.cluster.names import node_of
from ratchet.errors import RatchetError, StaleFenceError, StoreError
from ratchet.lifecycle import Effect, Undelivered
from ratchet.messages import Procedure
from ratchet.models import Attempt, Execution, Model, Telemetry

log = structlog.stdlib.get_logger("task-runner")

_REST_SECONDS = 5.0
_REST_RETRY_SECONDS = 0.2
_NOTE_SECONDS = 0.5
_PROVEN_MAX = 10_000  # that many are kept until the store can note them
_END_CHARACTERS_MAX = 500
_OUTDATED_MAX = 20  # attempts of one execution, in a row, that may find another version than was ordered

_OUTDATED = "VersionChanged"

Spawn = Callable[[Coroutine[Any, Any, Any], str], object]
RequestT = TypeVar("RequestT", bound=Model)


class Reports:
    """Takes the reports of workers.

    Args:
        ledger: Where ends are recorded.
        link: To the stores.
        spawn: Runs something beside the requests.
        follow: Told what is to be done once an end is recorded.
        found_other: Told of a worker on a node that found another version than it was ordered to run.

    Attributes:
        counters: Ends that came too late.
    """

    def __init__(
        self,
        ledger: Ledger,
        link: Link,
        spawn: Spawn,
        follow: Callable[[Live, Effect], None],
        found_other: Callable[[str, str], None],
    ) -> None:
        self._ledger = ledger
        self._link = link
        self._spawn = spawn
        self._follow = follow
        self._found_other = found_other
        self.counters: Counter[str] = Counter()
        # An attempt may be over before the one before it is proven.
        self._unproven = AttemptTable()  # recorded as incomplete, the stores have not answered yet
        self._proven = AttemptTable()  # they have, and it is not noted yet
        self._noting = False

    async def take(self, body: AttemptReport, source: str) -> None:
        """Record the end of an attempt of the worker `source`; returns once its telemetry is durable too, or given up.

        Raises:
            StaleFenceError: It is not the current attempt; its telemetry is stored even so.
            StoreError: The end could not be recorded; it must be reported again.
        """
        rest: list[asyncio.Task[None]] = []

        def send_rest() -> None:
            if not rest:
                rest.extend(self._send_rest(body))

        try:
            # Sent in the turn of the loop in which the end is announced, and so before any request that follows from it
            # can pass through here; not earlier, because two commits at once each wait for the other's fsync.
            await self._record(body, source, send_rest)
        except StaleFenceError:
            await self._find_earlier(body, source)
            raise
        finally:
            send_rest()  # where no end was recorded
            self._settle(body, await self._stored(body, rest))

    def pending(self, execution_id: str) -> bool:
        """Whether something about it is still to be stored."""
        return execution_id in self._unproven or execution_id in self._proven

    def seen(self, execution: Execution) -> Execution:
        """The execution with what is known of its telemetry by now; None where the stores have not answered yet."""
        known = {**self._proven.of(execution.execution_id), **self._unproven.of(execution.execution_id)}
        for attempt in known.values():
            execution = with_attempt(execution, attempt)
        return execution

    async def close(self) -> None:
        """Note what is proven."""
        await self._note()

    async def _record(self, body: AttemptReport, source: str, announcing: Callable[[], None]) -> None:
        live = self._ledger.live.get(body.execution_id)
        if live is None:
            raise StaleFenceError(f"execution {body.execution_id} is not running")
        attempt = live.attempt
        if attempt is None or attempt.fence != body.fence:
            raise StaleFenceError(f"attempt {body.fence} of {body.execution_id} is not its current one")
        if attempt.worker != source:
            raise StaleFenceError(f"attempt {body.fence} of {body.execution_id} does not run in {source}")
        carries = bool(body.logs or body.spans)
        attempt = attempt.model_copy(
            update={
                "pid": body.pid or attempt.pid,
                "ended_ns": body.ended_ns,
                "failure": body.failure,
                "stopped_by": body.stopped_by,
                "telemetry": "incomplete" if carries else body.telemetry,
            }
        )
        outdated = _found_other_version(body)
        if outdated and node_of(source) is not None:
            self._found_other(source, live.execution.version)
        else:
            outdated = outdated and _outdated_before(live.execution, body.fence) < _OUTDATED_MAX
        event = Undelivered(body.fence) if outdated else live.ended(body.fence, body.failure)
        if carries:  # whoever waits for the end must not be told that something is missing
            self._unproven.put(body.execution_id, attempt.model_copy(update={"telemetry": None}))
        try:
            effect = await self._ledger.apply(live, event, attempt=attempt, output=body.output, announcing=announcing)
        except BaseException:
            self._unproven.pop(body.execution_id, body.fence)
            raise
        self._follow(live, effect)

    async def _find_earlier(self, body: AttemptReport, source: str) -> None:
        """What became of the attempt before: an earlier runner recorded this end, or it was given up."""
        execution = await self._ledger.store.get(body.execution_id)
        for attempt in execution.attempts if execution is not None else ():
            if attempt.fence != body.fence or attempt.worker != source:
                continue
            if attempt.ended_ns == body.ended_ns:  # that runner died, perhaps, before the stores had answered
                self._unproven.put(body.execution_id, attempt)
            elif attempt.ended_ns is not None and attempt.late_end is None:
                await self._note_late(body, attempt)

    async def _note_late(self, body: AttemptReport, attempt: Attempt) -> None:
        """The attempt had been given up when its end came: that is refused, but it is known of."""
        self.counters["late_reports"] += 1
        end = "it completed" if body.failure is None else f"{body.failure.type}: {body.failure.message}"
        log.warning(
            "the end of an attempt came too late and is refused",
            execution=body.execution_id,
            attempt=body.fence,
            worker=attempt.worker,
            end=end,
        )
        attempt = attempt.model_copy(update={"late_ns": time.time_ns(), "late_end": end[:_END_CHARACTERS_MAX]})
        live = self._ledger.live.get(body.execution_id)
        if live is not None:
            live.execution = with_attempt(live.execution, attempt)
        try:
            await self._ledger.store.record_attempts([(body.execution_id, attempt)])
        except StoreError as error:
            log.error("a late end could not be noted", execution=body.execution_id, error=error.message)

    def _send_rest(self, body: AttemptReport) -> list[asyncio.Task[None]]:
        """Pass on what a report carries."""
        calls: list[Coroutine[Any, Any, None]] = []
        if body.logs:
            logs = AppendLogs(execution_id=body.execution_id, attempt=body.fence, records=body.logs, patient=True)
            calls.append(self._store(messages.APPEND_LOGS, logs))
        if body.spans:
            spans = AppendSpans(execution_id=body.execution_id, attempt=body.fence, spans=body.spans, patient=True)
            calls.append(self._store(messages.APPEND_SPANS, spans))
        return [asyncio.create_task(call) for call in calls]

    async def _stored(self, body: AttemptReport, rest: list[asyncio.Task[None]]) -> Telemetry:
        """Whether all of the attempt's telemetry is stored, once that is known."""
        try:
            await asyncio.gather(*rest)
        except (IpcError, RatchetError) as error:
            log.warning("telemetry could not be stored", execution=body.execution_id, error=str(error))
            return "incomplete"
        return body.telemetry

    async def _store(self, procedure: Procedure[RequestT, Empty], request: RequestT) -> None:
        """Have a store take it. One that cannot for a moment, as on a full disk, is asked again: nobody else has it.

        Raises:
            RatchetError, IpcError: It could not within `_REST_SECONDS`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _REST_SECONDS
        tries = 0
        while True:
            try:
                await rpc.call(self._link, procedure, request, timeout_seconds=deadline - loop.time())
            except StoreError as error:
                if loop.time() + _REST_RETRY_SECONDS >= deadline:
                    raise
                tries += 1
                if tries == 1:
                    log.warning("a store does not take telemetry; trying again", error=error.message)
                await asyncio.sleep(_REST_RETRY_SECONDS)
            else:
                return

    def _settle(self, body: AttemptReport, telemetry: Telemetry) -> None:
        """The stores have answered, or not in time: then what is recorded is true already."""
        attempt = self._unproven.pop(body.execution_id, body.fence)
        if attempt is None or telemetry == "incomplete":
            return
        self._proven.put(body.execution_id, attempt.model_copy(update={"telemetry": "complete"}))
        self._note_later()

    def _note_later(self) -> None:
        if not self._noting:
            self._noting = True
            self._spawn(self._note_soon(), "telemetry notes")

    async def _note_soon(self) -> None:
        await asyncio.sleep(_NOTE_SECONDS)
        self._noting = False
        await self._note()

    async def _note(self) -> None:
        proven = self._proven.all()
        if not proven:
            return None
        try:
            await self._ledger.store.record_attempts(proven)
        except StoreError as error:
            log.warning("complete telemetry could not be noted", executions=len(proven), error=error.message)
            if len(proven) < _PROVEN_MAX:
                return self._note_later()
            # Given up: what is recorded stays on the safe side.
        else:
            self._note_in_memory(proven)
        for execution_id, attempt in proven:
            self._proven.pop(execution_id, attempt.fence)
        return None

    def _note_in_memory(self, proven: Sequence[tuple[str, Attempt]]) -> None:
        """The same for executions that go on with another attempt."""
        for execution_id, attempt in proven:
            live = self._ledger.live.get(execution_id)
            if live is not None:
                live.execution = with_attempt(live.execution, attempt)


def _found_other_version(body: AttemptReport) -> bool:
    """Whether nothing ran because the file is not what was described: another attempt gets what it is by then."""
    return body.failure is not None and body.failure.type == _OUTDATED


def _outdated_before(execution: Execution, fence: int) -> int:
    """How many attempts before this one, in a row, ran nothing for that reason."""
    earlier = [one.failure for one in reversed(execution.attempts) if one.fence < fence]
    outdated = (failure is not None and failure.type == _OUTDATED for failure in earlier)
    return sum(takewhile(bool, outdated))
