"""Answers that must be JSON of a schema: how a model is told, how they are read, what is said to one that missed it."""

import json
import re
from typing import Any, Final

from actors.llm_gateway.route import Question
from ratchet.errors import RequestError
from ratchet.llm.bodies import ChatMessage
from ratchet.models import JsonObject
from ratchet.validation import Problem, SchemaValidator, summarize

_FENCED: Final = re.compile(r"\A\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


class Form:
    """The schema that an answer must fit.

    Raises:
        RequestError: It is no JSON Schema.
    """

    def __init__(self, schema: JsonObject) -> None:
        try:
            self._validator = SchemaValidator(schema)
        except ValueError as error:
            raise RequestError(f"the schema of the answer is no JSON Schema: {error}") from None

    def read(self, text: str) -> tuple[Any, str | None]:
        """The answer as JSON, and what is wrong with it; None where it fits."""
        fenced = _FENCED.match(text)
        try:
            value = json.loads(fenced[1] if fenced else text)
        except ValueError as error:
            return None, f"it is no JSON: {error}"
        problems: list[Problem] = self._validator.problems(value, root="answer")
        return value, summarize(problems) if problems else None


def told_in_words(schema: JsonObject) -> ChatMessage:
    """What a model is told that has no other way to hear of a schema."""
    text = f"Answer with JSON alone, without any words around it, that fits this JSON Schema:\n{json.dumps(schema)}"
    return ChatMessage(role="system", content=text)


def asked_again(question: Question, answer: str, problem: str) -> Question:
    """The question with the answer that missed it, and why."""
    correction = f"That answer cannot be used: {problem}. Answer again, with JSON alone that fits the schema."
    return Question(
        [
            *question.messages,
            ChatMessage(role="assistant", content=answer),
            ChatMessage(role="user", content=correction),
        ],
        question.model,
        question.max_tokens,
        question.temperature,
        question.output_schema,
        question.asker.again(),
    )
