"""Reads a function as a task: which parameters are input, which one is the context, what the docstring says.

Pure reflection: knows nothing of schemas or pydantic.
"""

import inspect
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, cast

from ratchet.context import Context
from ratchet.errors import TaskDefinitionError

EMPTY: Any = inspect.Parameter.empty
_CONTEXT_TEXT = re.compile(
    r"^(?:\w+\.)*(?:Async)?Context(?:\s*\|\s*None)?$|^(?:typing\.)?Optional\[(?:\w+\.)*(?:Async)?Context\]$"
)
_SECTION = re.compile(r"^(Args|Arguments|Parameters|Params|Returns?|Raises|Yields?|Examples?|Notes?|Attributes):\s*$")
_ENTRY = re.compile(r"^\s+\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a task that is part of its input."""

    name: str
    annotation: Any  # EMPTY where there is none; text where it cannot be evaluated (yet)
    default: Any  # EMPTY where there is none
    positional_only: bool

    @property
    def required(self) -> bool:
        """Whether the input must have it."""
        return self.default is EMPTY


@dataclass(frozen=True, slots=True)
class Signature:
    """What a task takes and returns."""

    parameters: tuple[Parameter, ...]
    context: str | None  # name of the parameter that takes the context
    context_index: int | None  # its place among the positional ones where it is positional-only
    returns: Any


def read_signature(function: Callable[..., Any]) -> Signature:
    """Take a function apart.

    Raises:
        TaskDefinitionError: It has parameters that no input object can fill, or two contexts.
    """
    signature = inspect.signature(function)
    evaluate = _Evaluator(function)
    parameters: list[Parameter] = []
    contexts: list[tuple[str, int | None]] = []
    for index, raw in enumerate(signature.parameters.values()):
        positional_only = raw.kind is inspect.Parameter.POSITIONAL_ONLY
        annotation = evaluate(raw.annotation)
        if _is_context(annotation):
            contexts.append((raw.name, index if positional_only else None))
            continue
        _check(function, raw, annotation)
        parameters.append(Parameter(raw.name, annotation, raw.default, positional_only))
    if len(contexts) > 1:
        names = " and ".join(name for name, _ in contexts)
        raise _error(function, f"has two context parameters, {names}: keep one")
    name, index = contexts[0] if contexts else (None, None)
    return Signature(tuple(parameters), name, index, evaluate(signature.return_annotation))


def _check(function: Callable[..., Any], raw: inspect.Parameter, annotation: Any) -> None:
    if raw.kind is inspect.Parameter.VAR_POSITIONAL:
        raise _error(function, f"takes *{raw.name}: input is an object with named keys, so name each parameter")
    if raw.kind is inspect.Parameter.VAR_KEYWORD:
        raise _error(function, f"takes **{raw.name}: name each parameter, or take one of type dict[str, Any]")
    if annotation is not EMPTY:
        return
    if raw.name == "ctx":
        raise _error(function, "has a parameter ctx without annotation: write `ctx: Context` to be given the context")
    if raw.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise _error(function, f"has a positional-only parameter {raw.name} without annotation: annotate it")


def _error(function: Callable[..., Any], problem: str) -> TaskDefinitionError:
    return TaskDefinitionError(f"task function {function.__name__} {problem}")


class _Evaluator:
    """Evaluates annotations that are text or hold some (`from __future__ import annotations`), one by one."""

    def __init__(self, function: Callable[..., Any]) -> None:
        inner = inspect.unwrap(function)
        self._globals: dict[str, Any] = getattr(inner, "__globals__", {})
        self._locals = _closure(inner)

    def __call__(self, annotation: Any) -> Any:
        if annotation is EMPTY or isinstance(annotation, type):
            return annotation
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        try:
            return typing.get_type_hints(holder, self._globals, self._locals, include_extras=True)["it"]
        except Exception:  # noqa: BLE001 - evaluating the author's text may raise anything; the schema reports it
            return annotation


def _closure(function: Callable[..., Any]) -> dict[str, Any]:
    names: tuple[str, ...] = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cells: tuple[types.CellType, ...] = getattr(function, "__closure__", None) or ()
    found: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # not assigned yet: the name is as good as undefined
    return found


def _is_context(annotation: Any) -> bool:
    if isinstance(annotation, str):  # imported under TYPE_CHECKING only
        return _CONTEXT_TEXT.match(annotation.strip()) is not None
    if typing.get_origin(annotation) is Annotated:
        return _is_context(typing.get_args(annotation)[0])
    if isinstance(annotation, type):
        return issubclass(annotation, Context)
    members = [member for member in typing.get_args(annotation) if member is not type(None)]
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return union and len(members) == 1 and _is_context(members[0])


@dataclass(frozen=True, slots=True)
class Docstring:
    """A Google-style docstring: the text before its sections, and what its Args section says."""

    description: str
    parameters: dict[str, str]


def read_docstring(function: Callable[..., Any]) -> Docstring:
    """The docstring of a function taken apart; empty where there is none."""
    lines = (inspect.getdoc(function) or "").splitlines()
    description: list[str] = []
    parameters: dict[str, str] = {}
    section, current = "", ""
    for line in lines:
        heading = _SECTION.match(line)
        if heading:
            section, current = cast("str", heading[1]), ""
        elif not section:
            description.append(line)
        elif section in ("Args", "Arguments", "Parameters", "Params"):
            entry = _ENTRY.match(line)
            if entry and (not current or _indent(line) <= 4):
                current = cast("str", entry[1])
                parameters[current] = cast("str", entry[2]).strip()
            elif current and line.strip():
                parameters[current] = f"{parameters[current]} {line.strip()}".strip()
    return Docstring("\n".join(description).strip(), parameters)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
