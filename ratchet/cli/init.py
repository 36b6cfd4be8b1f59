"""`ratchet init`: a folder with a configuration, a first task and its test."""

import shlex
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from ratchet.cli.options import ConfigOption, DataDirOption, JsonOption, scope
from ratchet.cli.render import Block, Piece, line
from ratchet.errors import ProjectError

# The folder `starter` holds each of them as it is written, with `.template` behind its name: they are nobody's modules.
FILES = ("ratchet.yaml", "tasks/hello.py", "tests/test_hello.py", "pytest.ini")


def init(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The folder; created where it is missing.")] = Path(),
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a folder with a first task, its test, and ratchet.yaml.

    Refuses to overwrite anything.
    """
    here = scope(ctx, config, data_dir, as_json=as_json)
    created = create(folder.expanduser().resolve())
    if here.as_json:
        here.terminal.show_json({"folder": str(folder.resolve()), "created": [str(path) for path in created]})
    else:
        here.terminal.show(_next_steps(folder, created))


def create(folder: Path) -> list[Path]:
    """Write the starter's files into `folder`. Returns their paths.

    Raises:
        ProjectError: One of them is there already, or cannot be written; in the first case nothing was written.
    """
    targets = {folder / name: _starter(name) for name in FILES}
    there = [str(path) for path in targets if path.exists() or path.is_symlink()]
    if there:
        raise ProjectError(
            f"nothing was written: {', '.join(there)} {'is' if len(there) == 1 else 'are'} there already; "
            "name another folder, as in `ratchet init DIR`"
        )
    try:
        for path, source in targets.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(source.read_bytes())
    except OSError as error:
        raise ProjectError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    return list(targets)


def _starter(name: str) -> Traversable:
    return files("ratchet.cli").joinpath("starter", *f"{name}.template".split("/"))


def _next_steps(folder: Path, created: list[Path]) -> list[Block]:
    steps = ["ratchet up", """ratchet run hello --input '{"name": "Ada"}'""", "python -m pytest"]
    if folder != Path():
        steps.insert(0, f"cd {shlex.quote(str(folder))}")
    return [
        *(line(Piece("created ", "green"), str(path)) for path in created),
        line(),
        line(Piece("next", "bold")),
        *(line(f"  {step}") for step in steps),
    ]
