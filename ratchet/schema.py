"""A task's types as JSON Schema (2020-12) and as checks, by pydantic.

The input model has neutral field names with the parameters' names as aliases, because parameters may be called what
pydantic keeps for itself (`schema`, `copy`, `_x`).
"""

import json
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import CoreSchema, ErrorDetails, PydanticSerializationError

from ratchet.authoring import TaskDefinition
from ratchet.errors import InvalidInputError, InvalidOutputError, TaskDefinitionError
from ratchet.models import JsonObject
from ratchet.output import check_output, find_unserializable, format_path, refuse_huge
from ratchet.plain import plain
from ratchet.signature import EMPTY, Parameter, Signature, read_docstring, read_signature

_SCHEMA_ERRORS = (PydanticUserError, PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, NameError, TypeError)

_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="constants"))  # NaN is refused later


class _JsonSchema(GenerateJsonSchema):
    """Without the titles that only repeat names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def generate(self, schema: CoreSchema, mode: JsonSchemaMode = "validation") -> dict[str, Any]:
        generated = super().generate(schema, mode)
        generated.pop("title", None)
        return generated


@dataclass(frozen=True, slots=True)
class Bound:
    """An input made into a call."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Interface:
    """What a task takes and gives. Making one evaluates the author's types; the JSON schemas are made when asked for.

    Raises:
        TaskDefinitionError: A type cannot be checked, or (by the properties) has no JSON schema.
    """

    def __init__(self, definition: TaskDefinition) -> None:
        self._definition = definition
        signature = read_signature(definition.function)  # again: names that came later in the file are known by now
        self._signature = signature
        self._parameters = signature.parameters
        try:
            self._model = _input_model(definition, signature)
        except _SCHEMA_ERRORS as error:
            raise _undefined(definition, "its parameters", error) from error
        returns = signature.returns
        if isinstance(returns, str):
            raise _undefined(definition, "its return type", f"{returns!r} cannot be evaluated")
        self._annotated = returns is not EMPTY and returns is not Any
        try:
            self._output: TypeAdapter[Any] = TypeAdapter(returns) if self._annotated else _ANYTHING
        except _SCHEMA_ERRORS as error:
            raise _undefined(definition, f"its return type {returns!r}", error) from error

    @cached_property
    def input_schema(self) -> JsonObject:
        """JSON Schema of the input object; no other keys are allowed."""
        try:
            return {**_input_schema(self._parameters, self._model), **self._definition.constraints}
        except _SCHEMA_ERRORS as error:
            raise _undefined(self._definition, "its parameters", error) from error

    @cached_property
    def output_schema(self) -> JsonObject | None:
        """JSON Schema of the output, or None where the return type says nothing."""
        if not self._annotated:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a default that is no JSON is simply not shown
                return self._output.json_schema(mode="serialization", schema_generator=_JsonSchema)
        except _SCHEMA_ERRORS as error:
            raise _undefined(self._definition, "its return type", error) from error

    def bind(self, given: JsonObject, context: object = None) -> Bound:
        """Validate an input and make it the arguments of a call; `context` goes where the function wants it.

        Raises:
            InvalidInputError: It does not fit; `details["problems"]` lists path, message and what was given.
        """
        try:
            model = self._model.model_validate_json(json.dumps(given))
        except ValidationError as error:
            raise self._invalid(error) from None
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for index, parameter in enumerate(self._parameters):
            field = _field_name(index)
            if field not in model.model_fields_set and not parameter.required:
                if not parameter.positional_only:
                    continue
                value = parameter.default
            else:
                value = getattr(model, field)
            if parameter.positional_only:
                args.append(value)
            else:
                kwargs[parameter.name] = value
        signature = self._signature
        if signature.context_index is not None:
            args.insert(signature.context_index, context)
        elif signature.context is not None:
            kwargs[signature.context] = context
        return Bound(tuple(args), kwargs)

    def load(self, output: Any) -> Any:
        """An output, as JSON types, as what the return annotation says: a model where it is one.

        Raises:
            InvalidOutputError: It does not fit, because another version of the task made it.
        """
        if not self._annotated:
            return output
        try:
            return self._output.validate_json(json.dumps(output))
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            raise InvalidOutputError(
                f"the output is not what {self._definition.name} returns: {problem['msg']}"
            ) from None

    def dump(self, result: object, bytes_max: int) -> Any:
        """What a task returned as JSON types.

        Raises:
            InvalidOutputError: It does not fit the annotation, is not JSON, or is larger than `bytes_max`.
        """
        refuse_huge(result, bytes_max)  # before anything copies it
        try:
            value = self._output.validate_python(result) if self._annotated else result
            output = self._output.dump_python(value, mode="json", by_alias=True, warnings=False)
        except ValidationError as error:
            raise self._misfit(error) from None
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            where = find_unserializable(result) or f"the output cannot be made JSON: {error}"
            raise InvalidOutputError(where, details={"error": str(error)}) from error
        check_output(output, bytes_max)
        return output

    def _invalid(self, error: ValidationError) -> InvalidInputError:
        problems = [self._problem(item) for item in error.errors(include_url=False, include_context=False)]
        summary = "; ".join(f"{item['path'] or 'input'}: {item['message']}" for item in problems[:5])
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        return InvalidInputError(
            f"the input does not fit task {self._definition.task_id}: {summary}{more}", details={"problems": problems}
        )

    def _problem(self, item: ErrorDetails) -> JsonObject:
        path = format_path(item["loc"])
        if item["type"] == "missing":
            return {"path": path, "message": "required, and missing", "given": None}
        message = item["msg"]
        if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
            names = ", ".join(parameter.name for parameter in self._parameters) or "none"
            message = f"unknown parameter; there are: {names}"
        return {"path": path, "message": message, "given": plain(item["input"])}

    def _misfit(self, error: ValidationError) -> InvalidOutputError:
        problems = [
            {"path": format_path(item["loc"]), "message": item["msg"], "given": plain(item["input"])}
            for item in error.errors(include_url=False, include_context=False)[:20]
        ]
        summary = "; ".join(f"{item['path'] or 'output'}: {item['message']}" for item in problems[:5])
        return InvalidOutputError(
            f"the output does not fit the return annotation: {summary}", details={"problems": problems}
        )


@lru_cache(maxsize=64)
def interface_of(definition: TaskDefinition) -> Interface:
    """The interface of a definition, made once.

    Raises:
        TaskDefinitionError: As `Interface`.
    """
    return Interface(definition)


def _field_name(index: int) -> str:
    return f"p{index}"


def _input_model(definition: TaskDefinition, signature: Signature) -> type[BaseModel]:
    described = read_docstring(definition.function).parameters
    fields: dict[str, Any] = {}
    for index, parameter in enumerate(signature.parameters):
        fields[_field_name(index)] = _field(definition, parameter, described.get(parameter.name))
    config = ConfigDict(extra="forbid", protected_namespaces=(), arbitrary_types_allowed=False)
    return create_model(definition.task_id, __config__=config, __module__=definition.function.__module__, **fields)


def _field(definition: TaskDefinition, parameter: Parameter, described: str | None) -> tuple[Any, Any]:
    annotation = Any if parameter.annotation is EMPTY else parameter.annotation
    if isinstance(annotation, str):
        raise _undefined(definition, f"parameter {parameter.name}", f"{annotation!r} cannot be evaluated")
    if isinstance(parameter.default, FieldInfo):
        raise TaskDefinitionError(
            f"task function {definition.name}: parameter {parameter.name} has Field(…) as its default, which breaks "
            "ordinary calls; write Annotated[type, Field(…)] = default"
        )
    if described:
        annotation = _described(annotation, described)
    if parameter.required:
        return annotation, Field(alias=parameter.name)
    default = parameter.default
    return annotation, Field(alias=parameter.name, default_factory=lambda: default)


def _described(annotation: Any, description: str) -> Any:
    for item in getattr(annotation, "__metadata__", ()):
        if isinstance(item, FieldInfo) and item.description:
            return annotation
    return Annotated[annotation, Field(description=description)]


def _input_schema(parameters: Iterable[Parameter], model: type[BaseModel]) -> JsonObject:
    schema = model.model_json_schema(schema_generator=_JsonSchema)
    properties: dict[str, JsonObject] = schema.setdefault("properties", {})
    for parameter in parameters:
        if not parameter.required and "default" not in properties[parameter.name]:
            shown = _shown_default(parameter)
            if shown is not EMPTY:
                properties[parameter.name]["default"] = shown
    return schema


def _shown_default(parameter: Parameter) -> Any:
    """A default as JSON; EMPTY where it is none, and is not shown then."""
    annotation = Any if parameter.annotation is EMPTY else parameter.annotation
    try:
        shown = TypeAdapter(annotation).dump_python(parameter.default, mode="json", warnings=False)
        check_output(shown, 4096)
    except (PydanticSerializationError, ValueError, TypeError, InvalidOutputError):
        return EMPTY
    return shown


def _undefined(definition: TaskDefinition, what: str, error: object) -> TaskDefinitionError:
    reason = str(error).partition("\n\nFor further information")[0]
    return TaskDefinitionError(
        f"task function {definition.name}: {what} cannot be made a JSON schema: {reason}",
        details={"line": definition.function.__code__.co_firstlineno},
    )
