"""How a failure looks: what went wrong and where first, then the chain of causes, then how the process ended."""

import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ratchet.cli.quantities import duration, size
from ratchet.cli.render import Block, Piece, indented, line, one_line
from ratchet.models import ExceptionInfo, Failure, Frame, JsonObject, ProcessEnd

_PROBLEMS = TypeAdapter(list[JsonObject])
_FRAMES_MAX = 8
# How Ratchet interrupts a task is nothing that its author could mend.
_OWN_FRAMES = str(Path(__file__).parents[1] / "runtime") + os.sep
_RELATIONS = {"cause": "caused by", "context": "raised while handling", "member": "member of the group"}


def failure_blocks(failure: Failure) -> list[Block]:
    """The failure, for whoever has to mend it."""
    message = failure.message or "(no message)"
    blocks: list[Block] = [
        line(Piece(failure.type, "bold red"), f": {message}"),
        line(Piece(f"category {failure.category}", "dim")),
    ]
    if failure.gave_up is not None:
        blocks.append(line(Piece("not tried again ", "dim"), one_line(failure.gave_up)))
    for index, error in enumerate(failure.chain):
        blocks += _exception(error, first=index == 0)
    if not failure.chain and failure.stack_trace:
        blocks += indented(failure.stack_trace, style="dim")
    if failure.process is not None:
        blocks += _process(failure.process)
    blocks += _problems(failure)
    return blocks


def _exception(error: ExceptionInfo, *, first: bool) -> list[Block]:
    blocks: list[Block] = []
    if not first:
        relation = _RELATIONS.get(error.relation or "", "after")
        blocks.append(line(Piece(f"{relation} ", "dim"), Piece(error.type, "red"), f": {one_line(error.message)}"))
    frames = [frame for frame in error.frames if not frame.file.startswith(_OWN_FRAMES)]
    if len(frames) > _FRAMES_MAX:
        blocks.append(line(Piece(f"  … {len(frames) - _FRAMES_MAX} outer frames", "dim")))
    for frame in frames[-_FRAMES_MAX:]:
        blocks += _frame(frame)
    for note in error.notes:
        blocks += indented(note, style="italic")
    return blocks


def _frame(frame: Frame) -> list[Block]:
    style = "" if frame.in_task else "dim"
    blocks: list[Block] = [line(Piece(f"  {frame.file}:{frame.line} in {frame.function}", style))]
    if frame.source:
        blocks += indented(frame.source.strip(), by=6, style="bold" if frame.in_task else "dim")
    return blocks


def _process(end: ProcessEnd) -> list[Block]:
    if end.signal is not None:
        how = f"killed by {end.signal_name or f'signal {end.signal}'}"
        how += f" (sent by Ratchet: {end.sent_by})" if end.sent_by else " (not sent by Ratchet)"
    elif end.exit_code is not None:
        how = f"exited with code {end.exit_code}"
    else:
        how = "ended in an unknown way"
    used = [
        f"CPU {duration(end.cpu_seconds * 1000)}" if end.cpu_seconds is not None else "",
        f"memory at most {size(end.memory_bytes_max)}" if end.memory_bytes_max is not None else "",
    ]
    facts = ", ".join([how, *(one for one in used if one)])
    blocks: list[Block] = [line(Piece("process ", "dim"), f"{end.process} (pid {end.pid}) {facts}")]
    if end.last_lines:
        blocks.append(line(Piece("last output", "dim")))
        blocks += indented("\n".join(end.last_lines))
    return blocks


def _problems(failure: Failure) -> list[Block]:
    """What validation had against an input or output, one line a field."""
    try:
        problems = _PROBLEMS.validate_python(failure.details.get("problems", []))
    except ValidationError:
        return []  # details are the category's own business; this one has another shape
    return [line(f"  {problem.get('path', '')} {problem.get('message', '')}") for problem in problems]
