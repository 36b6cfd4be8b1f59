"""The `Sink` of a child: makes records of what is said in a run and sends them. Between runs it drops everything.

A record is made and sent under the shield: a signal handler that raises in the middle of it would either lose the
record, or have its exception swallowed where the author's objects are made text.

A process that the task forks must not write to the channel: two processes would cut each other's frames. What it logs
goes to its stderr as text, which the worker reads from the pipe.
"""

import os
import time
from contextlib import AbstractContextManager, suppress
from typing import Any

from ratchet.context import Span
from ratchet.models import LEVELS, Level
from ratchet.plain import plain_mapping, text
from ratchet.runtime.failure import Describer
from ratchet.runtime.outlet import Outlet


class Recorder:
    """Records logs, progress and spans of the run in progress."""

    def __init__(self, outlet: Outlet, shield: AbstractContextManager[None]) -> None:
        self._outlet = outlet
        self._shield = shield
        self._describer: Describer | None = None
        self._rank_min = 0
        self._spans = True
        self._detached = False
        self._open: dict[str, Span] = {}

    def open(self, describer: Describer, *, trace: bool) -> None:
        """A run begins. Without `trace`: level info and above, and only the root span."""
        self._open.clear()  # a generator that was never closed leaves its span open
        self._describer = describer
        self._rank_min = 0 if trace else LEVELS.index("info")
        self._spans = trace

    def close(self) -> None:
        """The run is over: what threads left behind say is nobody's."""
        self._describer = None

    def detach(self) -> None:
        """In a process that the task has forked: speak through stderr from now on."""
        self._detached = True

    @property
    def traces(self) -> bool:
        """Whether a span within the task would be sent."""
        return self._describer is not None and self._spans and not self._detached

    def wants(self, level: Level) -> bool:
        """Whether a record of this level would be sent."""
        return self._describer is not None and LEVELS.index(level) >= self._rank_min

    def log(
        self,
        level: Level,
        logger: str,
        message: object,
        context: dict[str, Any],
        error: BaseException | None = None,
        *,
        stack: str | None = None,
    ) -> None:
        """One log record; `stack` is where it was logged from, if the author asked for that."""
        describer = self._describer
        if describer is None or not self.wants(level):
            return
        if self._detached:
            _write(f"{level} {logger}: {text(message)}" + (f"\n{describer.stack_trace(error)}" if error else ""))
            return
        with self._shield:
            body: dict[str, Any] = {
                "at_ns": time.time_ns(),
                "level": level,
                "logger": text(logger, 256),
                "message": text(message),
                "context": plain_mapping(context),
            }
            if error is not None:
                body["error"] = describer.chain(error)[0].model_dump()
                body["stack_trace"] = describer.stack_trace(error)
            elif stack:
                body["stack_trace"] = text(stack)
            self._outlet.send("log", body)

    def progress(self, current: float, total: float | None, message: str | None) -> None:
        """How far the task is."""
        if self._describer is None or self._detached:
            return
        numbers = {"current": float(current), "total": None if total is None else float(total)}
        with self._shield:
            shown = None if message is None else text(message, 1024)
            self._outlet.send("progress", {**numbers, "message": shown, "at_ns": time.time_ns()})

    def entered(self, span: Span) -> None:
        """A span that has begun."""
        self._open[span.span_id] = span

    def open_spans(self) -> list[Span]:
        """Those that have begun in this run and not ended."""
        return list(self._open.values())

    def span(self, span: Span) -> None:
        """A span that has ended."""
        self._open.pop(span.span_id, None)
        if self._describer is None or self._detached or not (self._spans or span.kind == "server"):
            return
        with self._shield:
            self._outlet.send("span", _span_body(span))


def _write(line: str) -> None:
    with suppress(OSError):  # nobody reads any more
        os.write(2, f"{line}\n".encode("utf-8", "backslashreplace"))


def _span_body(span: Span) -> dict[str, Any]:
    return {
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "name": text(span.name, 256),
        "kind": span.kind,
        "start_ns": span.start_ns,
        "end_ns": span.end_ns,
        "status": span.status,
        "status_message": None if span.status_message is None else text(span.status_message, 2048),
        "attributes": plain_mapping(span.attributes),
    }
