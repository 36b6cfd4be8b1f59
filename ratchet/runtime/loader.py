"""Loads a task file, or says what is wrong with it. Nothing that an author writes at module level ends the child."""

import hashlib
import linecache
import sys
import traceback
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ratchet.authoring import TaskDefinition, collecting
from ratchet.errors import TaskDefinitionError
from ratchet.models import BrokenFile, Task
from ratchet.plain import text
from ratchet.retry import policy_of
from ratchet.runtime.failure import MODULE_PREFIX, Describer
from ratchet.runtime.sources import Sources
from ratchet.runtime.versions import MISSING, combine
from ratchet.schema import Interface


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A task file that was imported, or could not be.

    Attributes:
        path: The file.
        version: Hash of everything that was loaded from the roots.
        files: Those files, sorted.
        tasks: By id; empty where it is broken.
        broken: What is wrong with it.
        absent: Where modules were looked for in the roots and are not, sorted.
    """

    path: str
    version: str
    files: list[str]
    tasks: dict[str, TaskDefinition]
    broken: BrokenFile | None = None
    absent: tuple[str, ...] = ()


def describe(path: str, roots: Sequence[str]) -> dict[str, Any]:
    """Load a task file and say what it defines, as the body of a `FileDescription`."""
    file = load(path, roots)
    tasks: list[dict[str, Any]] = []
    broken = file.broken
    try:
        tasks = [_described(file, file.tasks[task_id]).model_dump(mode="json") for task_id in sorted(file.tasks)]
    except Exception as error:  # noqa: BLE001 - an annotation of the author's may raise anything while it is evaluated
        tasks, broken = [], _broken(path, roots, error)
    return {
        "version": file.version,
        "files": file.files,
        "tasks": tasks,
        "broken": None if broken is None else broken.model_dump(mode="json"),
        "absent": list(file.absent),
    }


def _described(file: LoadedFile, definition: TaskDefinition) -> Task:
    interface = Interface(definition)
    return Task(
        task_id=definition.task_id,
        function=definition.name,
        path=file.path,
        version=file.version,
        description=definition.description,
        input_schema=interface.input_schema,
        output_schema=interface.output_schema,
        tags=list(definition.tags),
        timeout_seconds=definition.timeout_seconds,
        idempotent=definition.idempotent,
        retry=None if definition.retry is None else policy_of(definition.retry),
        dangerous=definition.dangerous,
    )


def load(path: str, roots: Sequence[str]) -> LoadedFile:
    """Import a task file under a private module name. Call it once in a process: what a file imports stays."""
    sources = Sources()
    sources.watch(roots)
    tasks: dict[str, TaskDefinition] = {}
    broken: BrokenFile | None = None
    try:
        tasks = _tasks(_execute(path, sources))
        sources.foresee()
    except BaseException as error:  # noqa: BLE001 - SystemExit at import and the like are broken files too
        broken = _broken(path, roots, error)
    digests = {path: MISSING, **sources.digests}
    absent = tuple(sorted(sources.absent))
    return LoadedFile(path, combine(digests, roots), sorted(digests), tasks, broken, absent)


def _execute(path: str, sources: Sources) -> list[TaskDefinition]:
    source = sources.read(path)
    name = MODULE_PREFIX + hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    module = types.ModuleType(name)
    module.__file__ = path
    code = compile(source, path, "exec", dont_inherit=True)
    lines = source.decode("utf-8", "replace").splitlines(keepends=True)
    linecache.cache[path] = (len(source), None, lines, path)  # tracebacks quote what runs, not what is on disk by then
    sys.modules[name] = module
    with collecting() as found:
        exec(code, module.__dict__)  # noqa: S102 - running the author's file is the point
    return [definition for definition in found if definition.function.__module__ == name]


def _tasks(definitions: list[TaskDefinition]) -> dict[str, TaskDefinition]:
    tasks: dict[str, TaskDefinition] = {}
    for definition in definitions:
        earlier = tasks.get(definition.task_id)
        if earlier is not None:
            raise TaskDefinitionError(
                f"two tasks in this file have the id {definition.task_id}: {_place(earlier)} and "
                f"{_place(definition)}; give one of them another with @task(id=…)",
                details={"line": definition.function.__code__.co_firstlineno},
            )
        tasks[definition.task_id] = definition
    return tasks


def _place(definition: TaskDefinition) -> str:
    return f"{definition.name} (line {definition.function.__code__.co_firstlineno})"


def _broken(path: str, roots: Sequence[str], error: BaseException) -> BrokenFile:
    describer = Describer(roots, path, {})
    first = describer.chain(error)[0]
    message = first.message
    if isinstance(error, OSError) and error.filename == path and not _lines(describer, error):
        message = f"it cannot be read: {error.strerror}"
    return BrokenFile(
        path=path,
        error_type=first.type,
        message=text(message, 4096) or first.type,
        line=_line(describer, path, error),
        stack_trace=describer.stack_trace(error),
        origin=_origin(describer, path, error),
    )


def _line(describer: Describer, path: str, error: BaseException) -> int | None:
    """The line of the task file to look at: that of a syntax error in it, else the last one on the stack."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno
    if isinstance(error, TaskDefinitionError) and "line" in error.details:
        return int(error.details["line"])
    lines = _lines(describer, error, path)
    return lines[-1] if lines else None


def _origin(describer: Describer, path: str, error: BaseException) -> str | None:
    """Where to look, in a module that the task file imports."""
    if isinstance(error, SyntaxError) and error.filename is not None and describer.in_task(error.filename):
        file, line = error.filename, error.lineno
    else:
        walked = ((frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__))
        file, line = ([one for one in walked if describer.in_task(one[0])] or [(path, None)])[-1]
    return None if file == path or line is None else f"{file}:{line}"


def _lines(describer: Describer, error: BaseException, path: str | None = None) -> list[int]:
    found: list[int] = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if file == path or (path is None and describer.in_task(file)):
            found.append(line)
    return found
