"""How log records look: time, level, attempt but the first, logger but the task's own, message, context; the error."""

from collections.abc import Iterable, Mapping, Sequence

from ratchet.bodies.telemetry import StoredLogRecord
from ratchet.cli.quantities import clock
from ratchet.cli.render import Block, Line, Piece, indented, line, one_line
from ratchet.models import LEVELS, LogRecord

_LEVEL_STYLES = {"trace": "dim", "debug": "dim", "info": "cyan", "warn": "yellow", "error": "bold red"}
_OWN_LOGGER = "ctx"


def record_blocks(records: Iterable[LogRecord]) -> list[Block]:
    """The records, oldest first as given."""
    blocks: list[Block] = []
    for record in records:
        blocks += _record(record)
    return blocks


def counts_line(counts: Mapping[str, int], shown: int) -> Line:
    """What the whole log holds, below a part of it."""
    total = sum(counts.values())
    levels = ", ".join(f"{counts[level]} {level}" for level in LEVELS if counts.get(level))
    return line(Piece(f"{shown} of {total} records" + (f" ({levels})" if levels else ""), "dim"))


def _record(record: LogRecord) -> Sequence[Block]:
    first, *more = record.message.split("\n")
    pieces = [
        Piece(f"{clock(record.at_ns)} ", "dim"),
        Piece(f"{record.level.upper():<5} ", _LEVEL_STYLES[record.level]),
    ]
    if isinstance(record, StoredLogRecord) and record.attempt > 1:
        pieces.append(Piece(f"[{record.attempt}] ", "dim"))
    if record.logger != _OWN_LOGGER:
        pieces.append(Piece(f"{record.logger}: ", "dim"))
    pieces.append(Piece(first))
    if record.context:
        pieces.append(Piece("  " + _context(record), "dim"))
    blocks: list[Block] = [Line(tuple(pieces)), *(line(" " * 4 + one) for one in more)]
    if record.stack_trace:
        blocks += indented(record.stack_trace, by=4, style="dim")
    elif record.error is not None:
        blocks.append(line(Piece(f"    {record.error.type}: {one_line(record.error.message)}", "red")))
    return blocks


def _context(record: LogRecord) -> str:
    return " ".join(f"{key}={one_line(str(value))}" for key, value in record.context.items())
