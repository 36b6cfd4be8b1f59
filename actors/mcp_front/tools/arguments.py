"""Tool arguments: checked against the tool's input schema and completed, or refused so that a model can mend them.

A refusal names every wrong field, what was expected and what was given, and the nearest valid name of an unknown one.
"""

from typing import Any

from ratchet.errors import InvalidArgumentsError
from ratchet.models import JsonObject
from ratchet.validation import Problem, SchemaValidator, summarize

_ROOT = "arguments"


class Arguments:
    """What a tool accepts; compiled once."""

    def __init__(self, schema: JsonObject) -> None:
        properties: dict[str, JsonObject] = schema["properties"]
        self._validator = SchemaValidator(schema)
        self._required = frozenset(schema.get("required", ()))
        self._defaults = {name: one["default"] for name, one in properties.items() if "default" in one}
        self._names = properties.keys()

    def accept(self, given: JsonObject | None) -> JsonObject:
        """The arguments with every default filled in.

        Null stands for an optional argument left out: several hosts send every property of the schema.

        Raises:
            InvalidArgumentsError: They do not fit.
        """
        present = {name: value for name, value in (given or {}).items() if not self._is_absent(name, value)}
        problems = [_without_root(one) for one in self._validator.problems(present, root=_ROOT)]
        if problems:
            raise InvalidArgumentsError(
                summarize(problems), details={"problems": [one.model_dump(exclude_none=True) for one in problems]}
            )
        return {**self._defaults, **present}

    def _is_absent(self, name: str, value: Any) -> bool:
        return value is None and name in self._names and name not in self._required


def _without_root(problem: Problem) -> Problem:
    path = problem.path.removeprefix(f"{_ROOT}.")
    return problem.model_copy(update={"path": path})
