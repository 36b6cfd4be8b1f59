"""Turns everything a task says into log records: print, logging, warnings, and errors that nobody caught.

Installed once in a child, before any of the author's code is imported, because libraries keep references to
`sys.stdout`. structlog needs nothing of its own: it prints, or uses logging.
"""

import logging
import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import Any, TextIO, cast

from ratchet.models import Level
from ratchet.plain import plain, text
from ratchet.runtime.recorder import Recorder
from ratchet.runtime.streams import LineStream

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Capture:
    """The hooks of one child."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._stdout = LineStream(1, "stdout", lambda line: recorder.log("info", "stdout", line, {}))
        self._stderr = LineStream(2, "stderr", lambda line: recorder.log("warn", "stderr", line, {}))
        self._handler = RecordHandler(recorder)

    def install(self) -> None:
        """Put every hook in place; again after a task has replaced some."""
        out, err = cast("TextIO", self._stdout), cast("TextIO", self._stderr)
        sys.stdout = sys.__stdout__ = out
        sys.stderr = sys.__stderr__ = err
        warnings.showwarning = self._show_warning
        sys.excepthook = self._uncaught
        threading.excepthook = self._uncaught_in_thread
        sys.unraisablehook = self._unraisable
        root = logging.getLogger()
        if self._handler not in root.handlers:
            root.addHandler(self._handler)

    def begin(self, *, trace: bool) -> None:
        """A run begins: levels are set for it."""
        self.install()
        logging.getLogger().setLevel(logging.DEBUG if trace else logging.INFO)
        logging.getLogger("asyncio").setLevel(logging.INFO)  # its debug records are about its own selector

    def detach(self) -> None:
        """In a process that the task has forked: its words go through its own stdout and stderr."""
        self._stdout.detach_from_channel()
        self._stderr.detach_from_channel()
        self._recorder.detach()

    def finish(self) -> None:
        """A run ends: unfinished lines are emitted."""
        self._stdout.finish()
        self._stderr.finish()

    def _show_warning(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if file is not None:
            file.write(warnings.formatwarning(message, category, filename, lineno))
            return
        context = {"category": category.__name__, "file": filename, "line": lineno}
        self._recorder.log("warn", "warnings", f"{category.__name__}: {text(message)}", context)

    def _uncaught(self, _kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        self._recorder.log("error", "uncaught", f"uncaught {type(error).__name__}: {text(error)}", {}, error)

    def _uncaught_in_thread(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is None or args.exc_type is SystemExit:
            return
        name = args.thread.name if args.thread else "a thread"
        message = f"uncaught {args.exc_type.__name__} in {name}: {text(args.exc_value)}"
        self._recorder.log("error", "threading", message, {"thread": name}, args.exc_value)

    def _unraisable(self, args: "sys.UnraisableHookArgs") -> None:
        about = text(args.err_msg or "exception ignored")
        message = f"{about}: {type(args.exc_value).__name__}: {text(args.exc_value)}"
        self._recorder.log("error", "unraisable", message, {"object": plain(args.object)}, args.exc_value)


class RecordHandler(logging.Handler):
    """A logging handler that makes Ratchet's records of logging's."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def createLock(self) -> None:  # noqa: N802 - logging's name
        """No lock: records are made independently, and one held while a signal handler raises would stay held."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """As logging's own, without the lock."""
        kept = cast("object", self.filter(record))
        if kept:
            self.emit(kept if isinstance(kept, logging.LogRecord) else record)  # a filter may replace it since 3.12
        return bool(kept)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        level = level_of(record.levelno)
        if not self._recorder.wants(level):
            return
        error = record.exc_info[1] if record.exc_info else None
        context = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        self._recorder.log(level, record.name, _message(record), context, error, stack=record.stack_info)


def level_of(number: int) -> Level:
    """Ratchet's name of one of logging's levels, or of a number between."""
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    if number >= logging.INFO:
        return "info"
    return "debug" if number >= logging.DEBUG else "trace"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - wrong arguments, or an author's __str__
        reason = "".join(traceback.format_exception_only(error)).strip()
        args: Any = plain(record.args)
        return f"{text(record.msg)} {args} (could not be formatted: {reason})"
