"""What is said about questions to the caller: by who asks, by who keeps them, by who has the caller's ear."""

from typing import Literal

from pydantic import Field

from ratchet.bodies.common import OnBehalf
from ratchet.llm.bodies import ChatMessage
from ratchet.models import FromTask, Model

ANSWER_CHARACTERS_MAX = 256 * 1024
AskState = Literal["open", "answered", "refused", "unavailable", "expired", "unattended", "withdrawn", "ended"]


class Sampling(Model):
    """What the caller's LLM is asked; nothing of it decides which model that is.

    Attributes:
        messages: The conversation; the last message asks.
        system: What is said before all of it.
        model: A wish.
    """

    messages: list[ChatMessage]
    system: str | None = None
    model: str | None = None
    max_tokens: int
    temperature: float | None = None


class Said(Model):
    """What the caller's LLM answered."""

    text: str = Field(max_length=ANSWER_CHARACTERS_MAX)
    model: str
    finish_reason: str = "stop"


class AskCaller(FromTask):
    """Ask the caller and reply with the answer. The same `key` is the same question, however often it is sent.

    Attributes:
        key: Begins with `key_prefix` of the call.
        timeout_seconds: When it is given up.
        resume: Only where it was asked before: whoever sends this cannot know, and must not ask twice.
    """

    key: str
    request: Sampling
    timeout_seconds: float
    resume: bool = False


class WithdrawAsks(Model):
    """Event: the task no longer waits for what this call of its asks."""

    execution_id: str
    fence: int
    call_id: int


class ReadAsks(OnBehalf):
    """The open questions of an execution, and of those below it, in full.

    Attributes:
        carried: The client goes away with them and comes back with answers.
    """

    execution_id: str
    carried: bool = False


class AskRecord(Model):
    """A question as it is kept.

    Attributes:
        key: Names it.
        fence: The attempt that asks.
        state: "open", "answered", or why there will be no answer.
        closed_ns: When it ceased to be open.
        answer: Where it is answered.
        reason: Why it is not.
    """

    key: str
    execution_id: str
    fence: int
    kind: Literal["sampling"]
    request: Sampling
    state: AskState = "open"
    asked_ns: int
    expires_ns: int
    closed_ns: int | None = None
    answer: Said | None = None
    reason: str | None = None


class OpenAsks(Model):
    """Open questions, oldest first."""

    asks: list[AskRecord]


class AnswerAsk(OnBehalf):
    """The caller's answer to a question, or that there is none.

    Attributes:
        said: The answer; None: there is none.
        problem: "refused": the user does not want it; "unavailable": asking failed.
        reason: In words, where there is a problem.
    """

    key: str
    said: Said | None = None
    problem: Literal["refused", "unavailable"] = "unavailable"
    reason: str = ""


class AnswerTaken(Model):
    """Whether an answer was the first, and in time.

    Attributes:
        state: What the question was before.
        reason: Why the answer counts for nothing; None: it was taken.
    """

    taken: bool
    state: AskState | Literal["unknown"]
    reason: str | None = None


def key_prefix(execution_id: str, fence: int, call_id: int) -> str:
    """How the keys of all questions of one call of a task begin."""
    return f"{execution_id}.{fence}.{call_id}."
