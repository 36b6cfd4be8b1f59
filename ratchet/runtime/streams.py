"""`sys.stdout` and `sys.stderr` of a child: text streams that make a log record of every line.

Lines are put together per thread, so that two threads that print at once do not mix theirs. What is written to the
descriptors themselves (C libraries, subprocesses) does not come by here; the worker reads it from the pipes.
"""

import codecs
import io
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from ratchet.plain import TEXT_CHARACTERS_MAX


class LineStream(io.TextIOBase):
    """A standard stream that calls `emit` with every finished line.

    A carriage return begins the line anew, as on a terminal: of a progress bar its last state is kept.
    """

    def __init__(self, fd: int, name: str, emit: Callable[[str], None]) -> None:
        super().__init__()
        self._fd = fd
        self._emit = emit
        self._partial: dict[int, str] = {}
        self._detached = False
        self._bytes = _LineBytes(self)
        self.name = f"<{name}>"
        self.mode = "w"

    @property
    def buffer(self) -> "_LineBytes":
        """For code that writes bytes."""
        return self._bytes

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Always UTF-8."""
        return "utf-8"

    @property
    def errors(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What cannot be encoded is escaped."""
        return "backslashreplace"

    @property
    def line_buffering(self) -> bool:
        """Lines leave when they are finished."""
        return True

    @property
    def write_through(self) -> bool:
        """They do not leave before."""
        return False

    def write(self, text: str, /) -> int:
        """Take text; every line it finishes is emitted."""
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - the caller is anybody
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self._detached:
            return self._write_through(text)
        thread = threading.get_ident()
        pending = self._partial.pop(thread, "") + text
        *lines, rest = pending.split("\n")
        for line in lines:
            self._emit(_as_shown(line))
        if len(rest) > TEXT_CHARACTERS_MAX:
            rest = rest.rpartition("\r")[2] if "\r" in rest else rest
            while len(rest) > TEXT_CHARACTERS_MAX:
                self._emit(rest[:TEXT_CHARACTERS_MAX])
                rest = rest[TEXT_CHARACTERS_MAX:]
        if rest:
            self._partial[thread] = rest
        return len(text)

    def detach_from_channel(self) -> None:
        """In a process that the task has forked: write to the descriptor. What was begun is the parent's to finish."""
        self._detached = True
        self._partial.clear()

    def _write_through(self, text: str) -> int:
        data = text.encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(self._fd, data) :]
        return len(text)

    def writelines(self, lines: Iterable[str], /) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take several texts."""
        for line in lines:
            self.write(line)

    def finish(self) -> None:
        """Emit what every thread has left unfinished."""
        for thread in list(self._partial):
            rest = self._partial.pop(thread, "")
            if rest:
                self._emit(_as_shown(rest))

    def flush(self) -> None:
        """Nothing to do: finished lines have left, and unfinished ones wait for their end."""

    def close(self) -> None:
        """Nothing: a task that closes its stdout may still print."""

    def fileno(self) -> int:
        """The descriptor below, for subprocesses."""
        return self._fd

    def isatty(self) -> bool:
        """It never is."""
        return False

    def readable(self) -> bool:
        """It is not."""
        return False

    def writable(self) -> bool:
        """It is."""
        return True

    def reconfigure(self, **_options: Any) -> None:
        """Accepted, and without effect."""


def _as_shown(line: str) -> str:
    line = line.rstrip("\r")
    return line.rpartition("\r")[2]


class _LineBytes(io.BufferedIOBase):
    """The binary side of a `LineStream`."""

    def __init__(self, stream: LineStream) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: Any, /) -> int:
        """Take UTF-8; what is not is replaced."""
        content = bytes(data)
        self._stream.write(self._decoder.decode(content))
        return len(content)

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing, as for the text side."""

    def fileno(self) -> int:
        """The descriptor below."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """It is."""
        return True
