"""Where an actor's own log goes: JSON lines in `logs/ROLE.jsonl` of the data directory, people's lines on stderr.

Standard logging and structlog end in the same two places. Knows nothing of the logs of executions, which are data.
"""

import fcntl
import logging
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

FILE_BYTES_MAX = 10 * 1024 * 1024
FILES_KEPT = 3

# Libraries that tell at `info` what they do all day; `debug` shows it.
_CHATTY = ("aiosqlite", "httpx", "mcp", "uvicorn")

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


class JsonLinesHandler(logging.Handler):
    """Appends to a file that several processes may share, and rotates it by size.

    Lines are written whole and unbuffered, so that a killed process has said everything it said. The file's inode is
    compared before each line: whoever finds it too large rotates it under a lock, the others follow.
    """

    def __init__(self, path: Path, *, bytes_max: int = FILE_BYTES_MAX, kept: int = FILES_KEPT) -> None:
        super().__init__()
        self._path = path
        self._bytes_max = bytes_max
        self._kept = kept
        self._fd: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a full disk is reported the way logging reports its own errors."""
        try:
            line = self.format(record).encode(errors="backslashreplace") + b"\n"
            os.write(self._current(), line)
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        super().close()

    def _current(self) -> int:
        """A descriptor of the file that bears the name now, after a rotation where one is due."""
        if self._fd is None:
            self._fd = self._open()
        ours = os.fstat(self._fd)
        if ours.st_size > self._bytes_max:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            if self._is_named(ours):
                self._rotate()
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        if not self._is_named(ours):
            os.close(self._fd)
            self._fd = self._open()
        return self._fd

    def _is_named(self, ours: os.stat_result) -> bool:
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return False
        return (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino)

    def _rotate(self) -> None:
        for number in range(self._kept - 1, 0, -1):
            older = self._path.with_suffix(f".{number}.jsonl")
            if older.exists():
                older.replace(self._path.with_suffix(f".{number + 1}.jsonl"))
        self._path.replace(self._path.with_suffix(".1.jsonl"))

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def setup_logging(folder: Path, name: str, incarnation: str, level: str) -> None:
    """Send everything this process logs to `folder/ROLE.jsonl`, and to stderr for people.

    A terminal gets every line; a pipe or file only warnings and errors, since the JSON lines hold the rest.

    Args:
        folder: `logs` of the data directory; created if it is missing.
        name: The actor's name; `role:instance` shares the file of its role.
        incarnation: Which of the processes of that name.
        level: `debug`, `info`, `warning` or `error`.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = JsonLinesHandler(folder / f"{name.partition(':')[0]}.jsonl")
    lines.setFormatter(_formatter(structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(default=str)))
    terminal = sys.stderr.isatty()
    people = logging.StreamHandler(sys.stderr)
    people.setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=terminal)))
    people.setLevel(logging.NOTSET if terminal else logging.WARNING)
    close_logging()
    root = logging.getLogger()
    root.addHandler(lines)
    root.addHandler(people)
    root.setLevel(level.upper())
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a forked actor configures again
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(actor=name, incarnation=incarnation)


def close_logging() -> None:
    """Close what `setup_logging` opened."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()


def _formatter(*renderers: structlog.typing.Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[_add_pid, structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    )


def _add_pid(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["pid"] = os.getpid()
    event.pop("color_message", None)  # uvicorn says it twice
    return event
