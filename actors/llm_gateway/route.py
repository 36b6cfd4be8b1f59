"""What every way to an LLM has in common: a question goes in, an answer comes out, or an error of one tree."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Protocol

from ratchet.llm.bodies import ChatMessage, Usage
from ratchet.models import JsonObject


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose question it is: only the route to the caller's LLM wants to know.

    Attributes:
        execution_id: The execution whose task asks.
        fence: Its attempt.
        call_id: The call of the attempt that asks.
        number: Which question of the call this is.
        resume: It may have been asked by a gateway that is gone.
    """

    execution_id: str = ""
    fence: int = 0
    call_id: int = 0
    number: int = 1
    resume: bool = False

    def again(self) -> "Asker":
        """The same, for another question of the call."""
        return replace(self, number=self.number + 1, resume=False)


@dataclass(frozen=True, slots=True)
class Question:
    """What a route is asked.

    Attributes:
        messages: The conversation; the last message is the question.
        model: None: the route's own.
        max_tokens: Most tokens of the answer.
        temperature: None: the provider's default.
        output_schema: What the answer must fit; None: it is text.
        asker: Whose it is.
    """

    messages: list[ChatMessage]
    model: str | None
    max_tokens: int
    temperature: float | None
    output_schema: JsonObject | None
    asker: Asker = Asker()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a route answered."""

    text: str
    model: str
    finish_reason: str
    usage: Usage


class Route(Protocol):
    """One way to an LLM. It neither retries nor looks for another route."""

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        ...

    @property
    def retries(self) -> int:
        """How often it may be tried again."""
        ...

    @property
    def timeout_seconds(self) -> float:
        """Longest time one try may take."""
        ...

    @property
    def takes_room(self) -> bool:
        """Whether it counts among the answers that are awaited at a time."""
        ...

    async def complete(self, question: Question) -> Answer:
        """The answer.

        Raises:
            LlmError: There is none; which kind says what to do about it.
        """
        ...

    def stream(self, question: Question) -> AsyncGenerator[str | Answer]:
        """The answer in pieces as they are made, and after them the whole.

        Raises:
            LlmError: There is none, or it ended in the middle.
        """
        ...
