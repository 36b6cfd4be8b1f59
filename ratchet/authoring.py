"""`@task`: marks a function as a task and leaves it an ordinary function.

The decorator returns the very function it was given, with a `TaskDefinition` attached. It checks what can be seen
without evaluating types; schemas are made when a child describes the file (`ratchet.schema`).
"""

import inspect
import json
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, overload

from ratchet.errors import TaskDefinitionError
from ratchet.retry import Retry
from ratchet.signature import Signature, read_docstring, read_signature

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_ATTRIBUTE = "__ratchet_task__"
# What is about the object as a whole; everything else follows from the signature.
_CONDITIONS = {"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas"}
_CONSTRAINTS = _CONDITIONS | {"$comment", "$schema", "examples", "maxProperties", "minProperties"}
_TASK_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, eq=False)  # two functions are two tasks, whatever they have in common
class TaskDefinition:
    """What a decorated function says about itself."""

    function: Callable[..., Any]
    task_id: str
    description: str
    tags: tuple[str, ...]
    timeout_seconds: float | None
    idempotent: bool
    retry: Retry | None
    dangerous: bool
    constraints: Mapping[str, Any]
    signature: Signature

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__


@overload
def task(function: FunctionT, /) -> FunctionT: ...


@overload
def task(
    *,
    id: str | None = None,
    description: str | None = None,
    tags: Iterable[str] = (),
    timeout: float | timedelta | None = None,
    idempotent: bool = False,
    retry: Retry | None = None,
    dangerous: bool = False,
    constraints: Mapping[str, Any] | None = None,
) -> Callable[[FunctionT], FunctionT]: ...


def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    id: str | None = None,  # noqa: A002 - the noun that authors know
    description: str | None = None,
    tags: Iterable[str] = (),
    timeout: float | timedelta | None = None,
    idempotent: bool = False,
    retry: Retry | None = None,
    dangerous: bool = False,
    constraints: Mapping[str, Any] | None = None,
) -> Any:
    """Mark a function, synchronous or not, as a task: `@task` or `@task(tags=["csv"], timeout=60)`.

    The function's parameters are the keys of the task's input; one annotated `Context` (if any) is given the
    execution's context instead. It stays an ordinary function: call it, await it, test it.

    Args:
        function: The function, where the decorator is used without parentheses.
        id: What callers name it by; default: the function's name with dashes (`validate_csv` is `validate-csv`).
        description: What it does, for whoever chooses a task; default: the docstring, without its sections.
        tags: Words to find it by.
        timeout: Seconds (or a timedelta) after which an attempt is stopped; default: the configured limit.
        idempotent: Running it twice does no harm, so Ratchet may run it again when a worker is lost.
        retry: When an attempt that failed is followed by another; default: never. Attempts whose process died, or whose
            time was up, are followed by another only where the task is idempotent too.
        dangerous: Agents neither see nor run it unless the configuration allows dangerous tasks; people at a shell do.
        constraints: What must be so of the input as a whole and types cannot say, as keywords of JSON Schema:
            `{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}`. Checked before an execution is accepted.

    Returns:
        The function itself.

    Raises:
        TaskDefinitionError: The function cannot be a task as it is written.
    """

    def mark(marked: Callable[..., Any]) -> Callable[..., Any]:
        definition = TaskDefinition(
            function=_checked(marked),
            task_id=_task_id(marked, id),
            description=_description(marked, description),
            tags=_tags(marked, tags),
            timeout_seconds=_timeout_seconds(marked, timeout),
            idempotent=idempotent,
            retry=_retry(marked, retry),
            dangerous=dangerous,
            constraints=_constraints(marked, constraints),
            signature=read_signature(marked),
        )
        setattr(marked, _ATTRIBUTE, definition)
        found = _collected.get()
        if found is not None:
            found.append(definition)
        return marked

    return mark if function is None else mark(function)


def definition_of(function: Callable[..., Any]) -> TaskDefinition:
    """The definition of a decorated function.

    Raises:
        TaskDefinitionError: It is not decorated with `@task`.
    """
    definition = getattr(function, _ATTRIBUTE, None)
    if not isinstance(definition, TaskDefinition):
        raise TaskDefinitionError(f"{_name(function)} is not a task: decorate it with @task")
    return definition


_collected: ContextVar[list[TaskDefinition] | None] = ContextVar("ratchet_collected_tasks", default=None)


@contextmanager
def collecting() -> Generator[list[TaskDefinition]]:
    """Collect the definitions made inside the block, in order, duplicates and shadowed ones included."""
    found: list[TaskDefinition] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def _name(function: object) -> str:
    return str(getattr(function, "__name__", None) or repr(function))


def _checked(function: object) -> Callable[..., Any]:
    if isinstance(function, (staticmethod, classmethod)):
        raise TaskDefinitionError("@task decorates plain functions, not methods: move it out of the class")
    if not inspect.isfunction(function):
        raise TaskDefinitionError(f"@task decorates functions; {function!r} is {type(function).__name__}")
    parent, _, _ = function.__qualname__.rpartition(".")
    if parent and not parent.endswith("<locals>"):
        raise TaskDefinitionError(f"{function.__qualname__} is a method: @task decorates plain functions")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TaskDefinitionError(f"task function {function.__name__} yields: return the whole result instead")
    return function


def _task_id(function: Callable[..., Any], given: str | None) -> str:
    task_id = _name(function).strip("_").replace("_", "-").lower() if given is None else given
    if not _TASK_ID.fullmatch(task_id):
        raise TaskDefinitionError(
            f"task function {_name(function)}: id {task_id!r} is not usable; it must be 1 to 64 of a-z, 0-9, '.', '_' "
            "and '-', beginning with a letter or digit. Pass @task(id=…)"
        )
    return task_id


def _description(function: Callable[..., Any], given: str | None) -> str:
    return read_docstring(function).description if given is None else inspect.cleandoc(given).strip()


def _tags(function: Callable[..., Any], tags: Iterable[str]) -> tuple[str, ...]:
    values = () if isinstance(tags, str) else tuple(str(tag) for tag in tags)
    if isinstance(tags, str):  # iterating over it would make a tag of every character
        raise TaskDefinitionError(f"task function {_name(function)}: tags must be a list of strings, not {tags!r}")
    return values


def _timeout_seconds(function: Callable[..., Any], timeout: float | timedelta | None) -> float | None:
    if timeout is None:
        return None
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    if not 0 < seconds < float("inf"):
        raise TaskDefinitionError(f"task function {_name(function)}: timeout must be above 0 seconds, not {timeout!r}")
    return seconds


def _retry(function: Callable[..., Any], given: object) -> Retry | None:
    if given is None or isinstance(given, Retry):
        return given
    raise TaskDefinitionError(
        f"task function {_name(function)}: retry must be a Retry, such as Retry(max_attempts=3), not {given!r}"
    )


def _constraints(function: Callable[..., Any], given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found = dict(given or {})
    unknown = sorted(map(repr, found.keys() - _CONSTRAINTS))
    if unknown:
        raise TaskDefinitionError(
            f"task function {_name(function)}: constraints has {', '.join(unknown)}; it may have the keywords "
            f"{', '.join(sorted(_CONSTRAINTS))}. What one parameter must be is said by its type"
        )
    try:
        return json.loads(json.dumps(found))
    except (TypeError, ValueError) as error:
        raise TaskDefinitionError(f"task function {_name(function)}: constraints is not JSON: {error}") from None
