"""How `ratchet dev` tells what happens: tasks that came, changed, broke or went, and executions."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ratchet.bodies.executions import Catalogue
from ratchet.cli.execution_view import STATUS_STYLES, elapsed_ms
from ratchet.cli.quantities import duration
from ratchet.cli.render import Block, Line, Piece, line, one_line
from ratchet.cli.task_view import broken_line, version_text
from ratchet.models import BrokenFile, Execution, Failure, Frame, Status, Task

_MARKS = {Status.COMPLETED: "✓", Status.FAILED: "✗", Status.CANCELLED: "■"}


def catalogue_changes(before: Catalogue | None, now: Catalogue, *, folder: Path) -> list[Block]:
    """What a change in the task folders amounts to; None before: what there is to begin with.

    Paths are shown relative to `folder` where they lie in it.
    """
    if before is None:
        count = len(now.tasks)
        first: list[Block] = [line(Piece(f"{count} task{'' if count == 1 else 's'}", "bold"), *_names(now.tasks))]
        return [*first, *(broken_line(one, folder) for one in now.broken)]
    blocks: list[Block] = [broken_line(one, folder) for one in now.broken if one not in before.broken]
    broken = {one.path for one in now.broken}
    blocks += _mended(before.broken, broken, folder)
    earlier = {task.task_id: task for task in before.tasks}
    blocks += [shown for task in now.tasks if (shown := _changed(earlier.get(task.task_id), task)) is not None]
    there = {task.task_id for task in remembered(before, now).tasks}
    gone = [task for task in before.tasks if task.task_id not in there]
    return [*blocks, *(line(Piece("- ", "yellow"), Piece(one.task_id, "bold"), " is gone") for one in gone)]


def remembered(before: Catalogue | None, now: Catalogue | None) -> Catalogue:
    """What to compare the next change with: what is in a file that broke is not gone."""
    if before is None or now is None:
        return now or before or Catalogue(tasks=[], broken=[])
    broken, there = {one.path for one in now.broken}, {task.task_id for task in now.tasks}
    kept = [task for task in before.tasks if task.path in broken and task.task_id not in there]
    return Catalogue(tasks=[*now.tasks, *kept], broken=now.broken)


def _names(tasks: Sequence[Task]) -> Iterator[Piece]:
    if tasks:
        yield Piece(": " + ", ".join(task.task_id for task in tasks))


def _mended(before: Sequence[BrokenFile], broken: set[str], folder: Path) -> Iterator[Block]:
    for path in dict.fromkeys(one.path for one in before):
        if path not in broken and Path(path).exists():
            place = Path(path)
            name = place.relative_to(folder) if place.is_relative_to(folder) else place
            yield line(Piece("✓ ", "green"), f"{name} loads again")


def _changed(before: Task | None, now: Task) -> Line | None:
    if before is None:
        return line(Piece("+ ", "green"), Piece(now.task_id, "bold"), Piece(f"  {version_text(now.version)}", "dim"))
    if before.version == now.version:
        return None
    versions = f"  {version_text(before.version)} → {version_text(now.version)}"
    return line(Piece("~ ", "cyan"), Piece(now.task_id, "bold"), " is another version", Piece(versions, "dim"))


def execution_news(execution: Execution, *, now_ns: int, folder: Path) -> list[Block]:
    """An execution as it is now; of one that failed, also where."""
    status = execution.status
    parts = [
        Piece(f"{_MARKS.get(status, '▶')} ", STATUS_STYLES[status]),
        Piece(execution.task_id, "bold"),
        Piece("  "),
        Piece(status.replace("_", " "), STATUS_STYLES[status]),
    ]
    if status.terminal and execution.duration_ms is not None:
        parts.append(Piece(f" after {duration(elapsed_ms(execution, now_ns))}"))
    if execution.waiting_for and status is Status.QUEUED:
        parts.append(Piece(f": {one_line(execution.waiting_for)}"))
    parts.append(Piece(f"  {execution.execution_id}  version {version_text(execution.version)}", "dim"))
    blocks: list[Block] = [line(*parts)]
    if execution.failure is not None and status is Status.FAILED:
        blocks.append(_failure(execution.failure, folder))
    return blocks


def _failure(failure: Failure, folder: Path) -> Line:
    frames = [frame for error in failure.chain[:1] for frame in error.frames if frame.in_task]
    place = [Piece(f"{_place(frames[-1], folder)}  ")] if frames else []
    return line("  ", *place, Piece(failure.type, "red"), f": {one_line(failure.message)}")


def _place(frame: Frame, folder: Path) -> str:
    path = Path(frame.file)
    name = path.relative_to(folder) if path.is_relative_to(folder) else path
    return f"{name}:{frame.line}"
