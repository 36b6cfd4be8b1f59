"""What a task wants an answer to be: a type of Python, or a JSON Schema."""

from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from ratchet.errors import LlmAnswerError, RequestError
from ratchet.llm.bodies import Completion
from ratchet.models import JsonObject


class Wanted:
    """The schema that is sent along, and the way back from JSON to the type.

    Args:
        schema: A type, a JSON Schema as a dict, or None: text is wanted.

    Raises:
        RequestError: It is a type that has no JSON Schema.
    """

    def __init__(self, schema: Any) -> None:
        self._adapter: TypeAdapter[Any] | None = None
        if schema is None or isinstance(schema, dict):
            self.schema = cast("JsonObject | None", schema)
            return
        try:
            self._adapter = TypeAdapter(schema)
            self.schema = self._adapter.json_schema()
        except Exception as error:  # pydantic raises several kinds, and a type may raise its own
            raise RequestError(f"schema: {schema!r} has no JSON Schema: {error}") from error

    def read(self, reply: JsonObject) -> Completion:
        """The answer, with `parsed` of the type that is wanted.

        Raises:
            LlmAnswerError: It fits the schema, and the type has more to say.
        """
        made = Completion.model_validate(reply)
        if self._adapter is None:
            return made
        try:
            return made.model_copy(update={"parsed": self._adapter.validate_python(made.parsed)})
        except ValidationError as error:
            raise LlmAnswerError(
                f"the answer of {made.route} does not fit: {error}", details={"route": made.route}
            ) from None
