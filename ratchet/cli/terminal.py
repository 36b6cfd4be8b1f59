"""Where a command prints: results on stdout, everything said beside them on stderr.

Each of the two is looked at by itself: colours and tables in a terminal, plain text in a pipe. rich is imported only
when there is a terminal.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from ratchet.cli.render import Block, Piece, line, plain, styled

if TYPE_CHECKING:
    from rich.console import Console

_CONTROL = re.compile(r"[\x7f-\x9f]")  # JSON itself escapes the lower ones


def is_styled(stream: TextIO) -> bool:
    """Whether `stream` shows styles: a terminal that can, or FORCE_COLOR; NO_COLOR takes only the colours."""
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}


class Terminal:
    """Standard output and standard error of this process."""

    @cached_property
    def console(self) -> "Console | None":
        """The rich console on stdout; None in a pipe."""
        return _console(sys.stdout)

    @cached_property
    def error_console(self) -> "Console | None":
        """The rich console on stderr; None in a pipe."""
        return _console(sys.stderr)

    @property
    def width(self) -> int | None:
        """Columns of the terminal on stdout; None in a pipe, where lines are as long as they are."""
        return None if self.console is None else self.console.width

    def show(self, blocks: Sequence[Block]) -> None:
        """Print a view on stdout."""
        _print(blocks, self.console, sys.stdout)

    def say(self, blocks: Sequence[Block]) -> None:
        """Print a view on stderr."""
        _print(blocks, self.error_console, sys.stderr)

    def note(self, text: str, style: str = "") -> None:
        """Print a sentence on stderr."""
        self.say([line(Piece(text, style))])

    def show_json(self, value: Any) -> None:
        """Print `value` as JSON on stdout: highlighted in a terminal, nothing but JSON in a pipe."""
        if self.console is None:
            sys.stdout.write(json_text(value, sys.stdout) + "\n")
            return
        from rich.json import JSON

        self.console.print(JSON(json_text(value, sys.stdout)), soft_wrap=True)

    def show_json_line(self, value: Any) -> None:
        """Print `value` as JSON in one line on stdout, for what has no end yet."""
        sys.stdout.write(json_text(value, sys.stdout, indent=None) + "\n")

    def flush(self) -> None:
        """Hand over what was printed on stdout to whoever reads it."""
        sys.stdout.flush()


def json_text(value: Any, stream: TextIO, indent: int | None = 2) -> str:
    """JSON that `stream` can encode and that moves no terminal's cursor."""
    unicode = (stream.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, indent=indent, ensure_ascii=not unicode)
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _console(stream: TextIO) -> "Console | None":
    if not is_styled(stream):
        return None
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def _print(blocks: Sequence[Block], console: "Console | None", stream: TextIO) -> None:
    if not blocks:
        return
    if console is None:
        stream.write(plain(blocks) + "\n")
        return
    for renderable in styled(blocks, console.width):
        console.print(renderable, crop=False)
