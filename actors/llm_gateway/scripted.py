"""The scripted route: answers that the configuration has, for tests and tutorials."""

import re
from collections.abc import AsyncGenerator
from typing import Final

from actors.llm_gateway.route import Answer, Question
from ratchet.config.llm import SCRIPTED, ScriptedAnswerConfig
from ratchet.llm.bodies import Usage
from ratchet.llm.script import Rule, Script

_WORD: Final = re.compile(r"\S+\s*|\s+")


class ScriptedRoute:
    """Answers at once, by rules. Its tokens are words."""

    name = SCRIPTED
    retries = 0
    timeout_seconds = 5.0
    takes_room = True

    def __init__(self, rules: tuple[ScriptedAnswerConfig, ...]) -> None:
        self._script = Script([Rule(**rule.model_dump()) for rule in rules])

    async def complete(self, question: Question) -> Answer:
        """What the first rule that fits answers."""
        return self._answer(question)

    async def stream(self, question: Question) -> AsyncGenerator[str | Answer]:
        """The same, word by word."""
        answer = self._answer(question)
        for word in _WORD.findall(answer.text):
            yield word
        yield answer

    def _answer(self, question: Question) -> Answer:
        text = self._script.answer(question.messages[-1].content)
        asked = sum(len(message.content.split()) for message in question.messages)
        usage = Usage(input_tokens=asked, output_tokens=len(text.split()))
        return Answer(text, question.model or SCRIPTED, "stop", usage)
