"""What a valid configuration still needs once it is known which project it is for.

Keys that name the same thing get the same value, paths become absolute, and what they lead to is looked at.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from ratchet.config.document import Document
from ratchet.config.model import Config
from ratchet.config.places import absolute, program
from ratchet.config.problems import Problems

Model = TypeVar("Model", bound=BaseModel)

# The longer name says where agents meet the limit; the shorter one is what the rest of Ratchet reads.
SAME: Final = (
    (("mcp", "server", "security", "max_execution_time"), ("limits", "timeout_seconds")),
    (("mcp", "server", "performance", "execution_queue_size"), ("executions", "queue_size")),
)


def settle_same(config: Config, document: Document, problems: Problems) -> Config:
    """Gives each pair of `SAME` one value; two different ones are a problem."""
    for alias, name in SAME:
        given, read = _get(config, alias), _get(config, name)
        if document.has(*alias) and document.has(*name) and given != read:
            problems.add(
                alias, f"{given:g} contradicts {'.'.join(name)}: {read:g}, which is the same; keep one of them"
            )
        value = given if document.has(*alias) else read
        config = _with(_with(config, alias, value), name, value)
    return config


def settle_places(
    config: Config, folder: Path, environ: Mapping[str, str], problems: Problems
) -> tuple[Config, tuple[str, ...]]:
    """The configuration with absolute paths, and warnings about folders that are not there yet."""
    paths = [absolute(path, folder, environ) for path in config.tasks.paths]
    warnings: list[str] = []
    for index, path in enumerate(paths):
        key = ("tasks", "paths", index)
        if not path.exists():
            warnings.append(f"{problems.source.place(key)}: there is no folder {path}; `ratchet init` makes one")
        elif not path.is_dir():
            problems.add(key, f"must be a folder; {path} is a file")
    python = program(config.tasks.python, folder, environ)
    if not python.is_file() or not os.access(python, os.X_OK):
        problems.add(("tasks", "python"), f"must be a Python interpreter; {python} is {_is_what(python)}")
    data_dir = absolute(config.data_dir, folder, environ)
    if data_dir.exists() and not data_dir.is_dir():
        problems.add(("data_dir",), f"must be a folder; {data_dir} is a file")
    config = _with(config, ("data_dir",), data_dir)
    config = _with(config, ("tasks", "paths"), tuple(dict.fromkeys(paths)))
    return _with(config, ("tasks", "python"), python), tuple(warnings)


def _is_what(path: Path) -> str:
    if not path.exists():
        return "not there"
    return "a folder" if path.is_dir() else "not executable"


def _get(config: BaseModel, path: tuple[str, ...]) -> Any:
    found: Any = config
    for part in path:
        found = getattr(found, part)
    return found


def _with(model: Model, path: tuple[str, ...], value: object) -> Model:
    name, *rest = path
    inner = _with(getattr(model, name), tuple(rest), value) if rest else value
    return model.model_copy(update={name: inner})
