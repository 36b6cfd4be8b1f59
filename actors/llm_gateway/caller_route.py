"""The caller's own LLM: asked through the task-runner, which knows who waits for the execution."""

from collections.abc import AsyncGenerator, Callable
from typing import Final

from actors.llm_gateway.provider_errors import malformed
from actors.llm_gateway.route import Answer, Question
from actors.llm_gateway.structured import told_in_words
from ipc.errors import ExpiredError, IpcError
from ipc.link import Link
from ratchet import rpc
from ratchet.bodies.asks import AskCaller, Sampling, key_prefix
from ratchet.config.llm import CALLER, CallerConfig
from ratchet.errors import LlmTimeoutError, LlmUnavailableError
from ratchet.llm.bodies import ChatMessage, Usage
from ratchet.messages import ASK_CALLER

_MARGIN_SECONDS: Final = 5.0  # the runner gives a question up, and says why, before this end does


class CallerRoute:
    """The caller as one more LLM.

    Args:
        config: How long an answer is waited for.
        link: To the runner; there is none yet when routes are made.
        without_secrets: Takes what only this process knows out of what the runner will store.
    """

    name = CALLER
    retries = 0
    takes_room = False  # it may take minutes, and costs nobody here anything

    def __init__(self, config: CallerConfig, link: Callable[[], Link], without_secrets: Callable[[str], str]) -> None:
        self._seconds = config.timeout_seconds
        self._link = link
        self._without_secrets = without_secrets

    @property
    def timeout_seconds(self) -> float:
        """Longest time one try may take."""
        return self._seconds + _MARGIN_SECONDS

    async def complete(self, question: Question) -> Answer:
        """What the caller's LLM answers. Its tokens are not known here."""
        asker = question.asker
        body = AskCaller(
            execution_id=asker.execution_id,
            fence=asker.fence,
            call_id=asker.call_id,
            key=f"{key_prefix(asker.execution_id, asker.fence, asker.call_id)}{asker.number}",
            request=self._sampling(question),
            timeout_seconds=self._seconds,
            resume=asker.resume,
        )
        try:
            said = await rpc.call(self._link(), ASK_CALLER, body, timeout_seconds=self.timeout_seconds)
        except ExpiredError as error:
            raise LlmTimeoutError(str(error), details={"route": CALLER}) from None
        except IpcError as error:
            raise LlmUnavailableError(f"the caller cannot be asked now: {error}", details={"route": CALLER}) from None
        if not said.text:
            raise malformed(CALLER, "it has no text")
        return Answer(said.text, said.model, said.finish_reason, Usage())

    async def stream(self, question: Question) -> AsyncGenerator[str | Answer]:
        """The same in one piece: MCP has no other."""
        answer = await self.complete(question)
        yield answer.text
        yield answer

    def _sampling(self, question: Question) -> Sampling:
        messages = [
            ChatMessage(role=message.role, content=self._without_secrets(message.content))
            for message in question.messages
        ]
        system = [message.content for message in messages if message.role == "system"]
        if question.output_schema is not None:
            system.append(told_in_words(question.output_schema).content)
        return Sampling(
            messages=[message for message in messages if message.role != "system"] or messages,
            system="\n\n".join(system) or None,
            model=question.model,
            max_tokens=question.max_tokens,
            temperature=question.temperature,
        )
