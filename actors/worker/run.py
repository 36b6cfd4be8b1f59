"""One attempt in the hands of one child: from the order to the report."""

import asyncio
import functools
import signal
import time
from typing import Any

import structlog
from pydantic import ValidationError

from actors.worker.child import Child
from actors.worker.inspection import Inspector
from actors.worker.outcome import Died, Done, Identity, Outcome, Stopping, ZygoteDied, report
from actors.worker.outward import refusal
from actors.worker.questions import may_reach_caller
from actors.worker.relay import Relay
from actors.worker.telemetry import AttemptTelemetry
from ipc.link import Link
from ratchet import messages, rpc
from ratchet.bodies.attempts import AttemptOrder, AttemptProgress, AttemptReport
from ratchet.bodies.inspection import Inspection
from ratchet.config import Config
from ratchet.models import Category, ProcessEnd, Progress
from ratchet.redaction import Redactor

log = structlog.stdlib.get_logger("worker")

_PROGRESS_SECONDS = 0.05  # progress is sent this long after it was made, the newest only
_TERM_SECONDS_MAX = 1.0


class Run:
    """An attempt that a child has taken.

    Attributes:
        order: What was ordered.
        child: Who runs it.
        reusable: Whether the child may take another attempt afterwards.
    """

    def __init__(self, order: AttemptOrder, child: Child, link: Link, redactor: Redactor, config: Config) -> None:
        self.order = order
        self.reusable = False
        self.child = child
        self._link = link
        self._redactor = redactor
        self._config = config
        self._started_ns = time.time_ns()
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._stopping: Stopping | None = None
        self._ladder: asyncio.Task[None] | None = None
        self._progress: Progress | None = None
        self._progress_timer: asyncio.TimerHandle | None = None
        self._relay: Relay | None = None
        self._inspector = Inspector(child)
        self._began = time.monotonic()
        self._heard: float | None = None  # when the task last said something
        self._telemetry = AttemptTelemetry(link, order, redactor, on_full=child.pause, on_room=child.resume)

    async def start(self) -> None:
        """Hand the order to the child.

        Raises:
            OSError: The child is gone; nothing has run.
        """
        limits = self._config.limits
        self.child.attach(self._on_message, self._on_line, self._on_call)
        self.child.exit.add_done_callback(self._on_exit)
        body = self.order.model_dump(include={"execution_id", "attempt", "task_id", "function", "path", "version"})
        await self.child.send(
            "run",
            {
                **body,
                "input": self.order.input,
                "trace": self.order.trace,
                "roots": [str(path) for path in self._config.tasks.paths],
                "cpu_seconds": limits.cpu_seconds,
                "output_bytes": limits.output_bytes,
            },
        )

    async def finish(self) -> AttemptReport:
        """Wait for the end, climb the ladder when the time is up, flush the telemetry; the child is free then."""
        timeout = self.order.timeout_seconds
        timer = None
        if timeout is not None:
            reason = f"the execution ran longer than its timeout of {timeout:g} s"
            timer = asyncio.get_running_loop().call_later(timeout, self.stop, Category.TIMEOUT, reason)
        try:
            outcome = await self._outcome
        finally:
            if timer is not None:
                timer.cancel()
            if self._ladder is not None:
                self._ladder.cancel()
        self.child.drain_pipes()
        self.child.drain_calls()
        self.child.detach()
        if self._relay is not None:
            self._relay.close()
        self.child.exit.remove_done_callback(self._on_exit)
        if self._progress_timer is not None:
            self._progress_timer.cancel()
        self._send_progress()
        identity = Identity(self.order.execution_id, self.order.fence, self.child.pid, self._started_ns)
        ended = self._redacted(report(identity, outcome, self._stopping))
        self.reusable = isinstance(outcome, Done) and bool(outcome.body.get("reusable")) and not self._stopping
        return ended

    async def flush(self, ended: AttemptReport) -> AttemptReport:
        """The report with the last of the telemetry, once the rest is stored or has been given up."""
        rest = await self._telemetry.finish()
        return ended.model_copy(update={"telemetry": rest.telemetry, "logs": rest.logs, "spans": rest.spans})

    def stop(self, category: Category, reason: str) -> None:
        """End the attempt from outside; the first reason counts."""
        if self._stopping is None and not self._outcome.done():
            self._stopping = Stopping(category, reason or f"it was {category.value}")
            self._ladder = asyncio.create_task(self._climb(self._stopping))

    async def inspect(self) -> Inspection:
        """What the task is doing now; it goes on meanwhile."""
        look = await self._inspector.look()
        now = time.monotonic()
        found = Inspection(
            execution_id=self.order.execution_id,
            attempt=self.order.attempt,
            worker=self._link.name,
            seen=look.seen,
            running_seconds=now - self._began,
            silent_seconds=None if self._heard is None else now - self._heard,
            threads=look.told.threads,
            coroutines=look.told.coroutines,
            spans=look.told.spans,
            process=look.process,
        )
        return Inspection.model_validate(self._redactor.value(found.model_dump()))

    def zygote_died(self, end: ProcessEnd) -> None:
        """The child's parent is gone, and the child with it."""
        self._settle(ZygoteDied(end))

    async def _climb(self, stopping: Stopping) -> None:
        """Cooperative, then TERM, then KILL of the whole tree; each rung gets its time."""
        grace = self._config.executions.grace_seconds
        try:
            await self.child.send("cancel", {"execution_id": self.order.execution_id, "reason": stopping.reason})
        except OSError as error:  # it is dying already, and its exit will say so
            log.info("a child could not be asked to stop", pid=self.child.pid, error=str(error))
        self.child.signal(signal.SIGUSR1)
        await asyncio.sleep(grace)
        self._stopping = Stopping(stopping.category, stopping.reason, "term")
        self.child.signal(signal.SIGTERM)
        await asyncio.sleep(min(grace, _TERM_SECONDS_MAX))
        self._stopping = Stopping(stopping.category, stopping.reason, "kill")
        self.child.signal(signal.SIGKILL, tree=True)

    def _on_line(self, stream: str, line: str) -> None:
        self._heard = time.monotonic()
        self._telemetry.line(stream, line)

    def _on_message(self, kind: str, body: dict[str, Any]) -> None:
        if kind == "inspected":
            self._inspector.take(body)
            return
        self._heard = time.monotonic()
        match kind:
            case "log":
                self._telemetry.log(body)
            case "span":
                self._telemetry.span(body)
            case "progress":
                self._on_progress(body)
            case "done":
                self._settle(Done(body))
            case _:
                log.warning("a child sent an unknown message", pid=self.child.pid, kind=kind)

    def _on_call(self, kind: str, body: dict[str, Any]) -> None:
        if self._relay is None:
            allowed = functools.partial(refusal, self.order)
            keeps = functools.partial(may_reach_caller, config=self._config.llm)
            self._relay = Relay(self.order, self.child, self._link, refusal=allowed, keeps=keeps)
        self._relay.take(kind, body)

    def _on_exit(self, _exit: Any) -> None:
        self._settle(Died(self.child.exit.result(), tuple(self.child.last_lines)))

    def _settle(self, outcome: Outcome) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    def _on_progress(self, body: dict[str, Any]) -> None:
        try:
            self._progress = Progress.model_validate(self._redactor.value(body))
        except ValidationError as error:
            log.warning("a child sent malformed progress", pid=self.child.pid, error=str(error))
            return
        if self._progress_timer is None:
            self._progress_timer = asyncio.get_running_loop().call_later(_PROGRESS_SECONDS, self._progress_due)

    def _progress_due(self) -> None:
        self._progress_timer = None
        self._send_progress()

    def _send_progress(self) -> None:
        if self._progress is not None:
            progress, self._progress = self._progress, None
            body = AttemptProgress(execution_id=self.order.execution_id, fence=self.order.fence, progress=progress)
            rpc.cast(self._link, messages.ATTEMPT_PROGRESS, body)

    def _redacted(self, ended: AttemptReport) -> AttemptReport:
        if ended.failure is None:
            return ended
        failure = ended.failure.model_validate(self._redactor.value(ended.failure.model_dump()))
        return ended.model_copy(update={"failure": failure})
