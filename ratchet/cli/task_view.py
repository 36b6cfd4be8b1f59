"""How the catalogue looks: tasks, and files that are broken, with what is wrong with them."""

from pathlib import Path

from ratchet.bodies.executions import Catalogue
from ratchet.cli.render import Block, Column, Json, Line, Piece, Table, heading, line, one_line
from ratchet.models import BrokenFile, Task

_VERSION_CHARACTERS = 12
_COLUMNS = (
    Column("TASK"),
    Column("DESCRIPTION", flexible=True, cut=True),
    Column("TAGS", flexible=True),
    Column("FILE"),
)


def catalogue_blocks(catalogue: Catalogue, *, folder: Path, schemas: bool = False) -> list[Block]:
    """Tasks first, then broken files. Paths are shown relative to `folder` where they lie in it."""
    blocks: list[Block] = []
    if not catalogue.tasks and not catalogue.broken:
        return [line(Piece("no tasks; `ratchet init` makes a folder with a first one", "dim"))]
    if schemas:
        for task in catalogue.tasks:
            blocks += _with_schemas(task, folder)
    elif catalogue.tasks:
        blocks.append(Table(_COLUMNS, tuple(_row(task, folder) for task in catalogue.tasks)))
    if catalogue.broken:
        blocks += [*([line()] if blocks else []), heading("broken files")]
        blocks += [broken_line(one, folder) for one in catalogue.broken]
    return blocks


def _row(task: Task, folder: Path) -> tuple[Piece, ...]:
    return (
        Piece(task.task_id, "bold"),
        Piece(one_line(task.description)),
        Piece(", ".join([*task.tags, *(["dangerous"] if task.dangerous else [])]), "dim"),
        Piece(_relative(task.path, folder), "dim"),
    )


def _with_schemas(task: Task, folder: Path) -> list[Block]:
    blocks: list[Block] = [
        line(Piece(task.task_id, "bold"), f"  {one_line(task.description)}"),
        line(Piece(f"{_relative(task.path, folder)}  {task.function}  version {version_text(task.version)}", "dim")),
        line(Piece("input", "bold")),
        Json(task.input_schema),
    ]
    if task.output_schema is not None:
        blocks += [line(Piece("output", "bold")), Json(task.output_schema)]
    return [*blocks, line()]


def broken_line(broken: BrokenFile, folder: Path) -> Line:
    """Where to look, and what is wrong there."""
    place = _relative(broken.path, folder) + (f":{broken.line}" if broken.line else "")
    place += f" → {_relative(broken.origin, folder)}" if broken.origin is not None else ""
    return line(Piece("✗ ", "red"), f"{place}  ", Piece(broken.error_type, "red"), f": {one_line(broken.message)}")


def version_text(version: str) -> str:
    """As much of a version as people need to tell it from another."""
    return version[:_VERSION_CHARACTERS]


def _relative(path: str, folder: Path) -> str:
    place = Path(path)
    return str(place.relative_to(folder)) if place.is_relative_to(folder) else path
