"""What `ratchet run` shows on stderr while a task runs: a bar and live log lines in a terminal, plain lines in a pipe.

stdout stays free for the output.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ratchet.bodies.telemetry import StoredLogRecord
from ratchet.cli.execution_view import progress_text
from ratchet.cli.log_view import record_blocks
from ratchet.cli.render import Block, Piece, line, one_line, styled
from ratchet.cli.terminal import Terminal
from ratchet.models import JsonObject

if TYPE_CHECKING:
    from rich.console import Console


class Display:
    """Shows nothing: for `--json`, and what the others have in common."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def progress(self, told: JsonObject) -> None:
        """Take the newest progress."""

    def records(self, records: Sequence[StoredLogRecord]) -> None:
        """Take log records."""

    def note(self, text: str) -> None:
        """Take a sentence."""


class PlainDisplay(Display):
    """Lines: log records and notes. A bar would be noise in a file."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def records(self, records: Sequence[StoredLogRecord]) -> None:
        """Print them."""
        self._terminal.say(record_blocks(records))

    def note(self, text: str) -> None:
        """Print it."""
        self._terminal.note(text)


class LiveDisplay(Display):
    """A bar at the bottom; log records scroll by above it."""

    def __init__(self, console: "Console", task_id: str) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[said]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._row = self._bar.add_task(task_id, total=None, said="queued")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def progress(self, told: JsonObject) -> None:
        """Move the bar."""
        status = str(told.get("status", "running")).replace("_", " ")
        current = told.get("current")
        if current is None:
            self._bar.update(self._row, said=status)
            return
        total, message = told.get("total"), told.get("message")
        said = progress_text(current, total, message)
        self._bar.update(self._row, completed=current, total=total or None, said=one_line(said, 60))

    def records(self, records: Sequence[StoredLogRecord]) -> None:
        """Print them above the bar."""
        self._print(record_blocks(records))

    def note(self, text: str) -> None:
        """Print it above the bar."""
        self._print([line(Piece(text, "dim"))])

    def _print(self, blocks: Sequence[Block]) -> None:
        for renderable in styled(blocks, self._bar.console.width):
            self._bar.console.print(renderable)


def display_for(terminal: Terminal, task_id: str, *, as_json: bool) -> Display:
    """The display that suits where stderr goes."""
    if as_json:
        return Display()
    console = terminal.error_console
    return PlainDisplay(terminal) if console is None else LiveDisplay(console, task_id)
