"""Scripted answers: what a test or a tutorial says instead of an LLM. Only the standard library."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ratchet.errors import (
    LlmAnswerError,
    LlmCutError,
    LlmError,
    LlmRateLimitedError,
    LlmRefusedError,
    LlmTimeoutError,
    LlmUnavailableError,
)

_ERRORS: dict[str, type[LlmError]] = {
    "rate_limited": LlmRateLimitedError,
    "refused": LlmRefusedError,
    "timeout": LlmTimeoutError,
    "unavailable": LlmUnavailableError,
    "cut": LlmCutError,
    "malformed": LlmAnswerError,
}


@dataclass(frozen=True, slots=True)
class Rule:
    r"""What is answered to a question that fits.

    Attributes:
        pattern: Regular expression, searched in the last message.
        answer: The answer; `\1` stands for the pattern's first group.
        error: Instead of an answer: rate_limited, refused, timeout, unavailable, cut or malformed.
        times: How often the rule applies; None: always.
    """

    pattern: str = ".*"
    answer: str | None = None
    error: str | None = None
    times: int | None = None


class Script:
    """Rules in their order, each of which knows how often it has been applied."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [(rule, re.compile(rule.pattern, re.DOTALL)) for rule in rules]
        self._applied = [0] * len(self._rules)

    def answer(self, question: str) -> str:
        """What the first rule that fits and is not used up answers.

        Raises:
            LlmError: The rule says so, or none fits.
        """
        for index, (rule, pattern) in enumerate(self._rules):
            if rule.times is not None and self._applied[index] >= rule.times:
                continue
            if (match := pattern.search(question)) is None:
                continue
            self._applied[index] += 1
            if rule.error is not None:
                raise _ERRORS[rule.error](f"the script says {rule.error}", details={"route": "scripted"})
            return match.expand(rule.answer or "")
        raise LlmRefusedError(f"no scripted answer fits {question[:200]!r}", details={"route": "scripted"})
