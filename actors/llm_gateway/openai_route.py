"""A provider that speaks OpenAI's protocol, asked through the official SDK.

Retries are not the SDK's business here, and what comes back is read by models of our own: the SDK takes anything for
an answer, and servers that speak the protocol deviate from it in what nobody needs.
"""

import asyncio
import functools
import importlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError

from actors.llm_gateway.provider_errors import malformed, refused_content, translated
from actors.llm_gateway.route import Answer, Question
from actors.llm_gateway.structured import told_in_words
from ratchet.config.llm import ProviderConfig
from ratchet.errors import LlmCutError, StartupError
from ratchet.llm.bodies import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

ANSWER_BYTES_MAX: Final = 1024 * 1024
_NO_KEY: Final = "none"  # the SDK would look for one in the environment otherwise
_OPENAI_HOST: Final = "api.openai.com"


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Made(BaseModel):
    model: str | None = None
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


class OpenAiRoute:
    """One provider.

    Args:
        config: Of the provider.
        api_key: Its key, resolved; None where it needs none.
    """

    takes_room = True

    def __init__(self, config: ProviderConfig, api_key: str | None) -> None:
        self._config = config
        self._api_key = api_key
        self._client: AsyncOpenAI | None = None

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self._config.name

    @property
    def retries(self) -> int:
        """How often it may be tried again."""
        return self._config.retries

    @property
    def timeout_seconds(self) -> float:
        """Longest time one try may take."""
        return self._config.timeout_seconds

    async def complete(self, question: Question) -> Answer:
        """Ask the provider once."""
        client = await self._connected()
        with translated(self.name):
            create: Any = client.chat.completions.with_raw_response.create  # its type depends on every argument
            content: bytes = (await create(**self._request(question))).http_response.content
        if len(content) > ANSWER_BYTES_MAX:
            raise malformed(self.name, f"it has {len(content)} bytes; {ANSWER_BYTES_MAX} are read at most")
        try:
            made = _Made.model_validate_json(content)
        except ValidationError as error:
            raise malformed(self.name, f"{error.error_count()} fields of it are not the protocol's") from None
        choice = made.choices[0]
        if choice.finish_reason == "content_filter" or choice.message.refusal is not None:
            raise refused_content(self.name, choice.message.refusal)
        if choice.message.content is None:
            raise malformed(self.name, "it has no text")
        model = made.model or question.model or self._config.model
        return Answer(choice.message.content, model, choice.finish_reason or "stop", usage_of(made.usage))

    async def stream(self, question: Question) -> AsyncGenerator[str | Answer]:
        """Ask the provider once, and take its answer as it comes."""
        client = await self._connected()
        told = _Told(self.name)
        with translated(self.name):
            create: Any = client.chat.completions.create
            request = {**self._request(question), "stream": True, "stream_options": {"include_usage": True}}
            async with await create(**request) as chunks:
                async for chunk in chunks:
                    if text := told.take(chunk.to_dict()):
                        yield text
        yield told.whole(question.model or self._config.model)

    async def close(self) -> None:
        """Close connections."""
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> "AsyncOpenAI":
        if self._client is None:
            sdk = await asyncio.to_thread(load_sdk)
            client: AsyncOpenAI = sdk.AsyncOpenAI(
                api_key=self._api_key or _NO_KEY,
                base_url=self._config.base_url,
                timeout=self._config.timeout_seconds,
                max_retries=0,
            )
            self._client = client
        return self._client

    def _request(self, question: Question) -> dict[str, Any]:
        # OpenAI has renamed the field, and its newer models refuse the old name; other servers may know only that one.
        tokens = "max_completion_tokens" if urlsplit(self._config.base_url).hostname == _OPENAI_HOST else "max_tokens"
        messages = list(question.messages)
        request: dict[str, Any] = {"model": question.model or self._config.model, tokens: question.max_tokens}
        if question.temperature is not None:
            request["temperature"] = question.temperature
        if question.output_schema is not None:
            if self._config.schema_mode == "json_schema":
                named = {"name": "answer", "schema": question.output_schema}
                request["response_format"] = {"type": "json_schema", "json_schema": named}
            else:
                messages.insert(0, told_in_words(question.output_schema))
            if self._config.schema_mode == "json_object":
                request["response_format"] = {"type": "json_object"}
        request["messages"] = [message.model_dump() for message in messages]
        return request


class _Delta(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Part(BaseModel):
    delta: _Delta = _Delta()
    finish_reason: str | None = None


class _Chunk(BaseModel):
    model: str | None = None
    choices: list[_Part] = []
    usage: _Usage | None = None


class _Told:
    """What a stream has said so far."""

    def __init__(self, route: str) -> None:
        self._route = route
        self._texts: list[str] = []
        self._size = 0
        self._model: str | None = None
        self._finish_reason: str | None = None
        self._usage: _Usage | None = None

    def take(self, data: dict[str, Any]) -> str:
        """The text of one chunk."""
        try:
            chunk = _Chunk.model_validate(data)
        except ValidationError as error:
            raise malformed(self._route, f"{error.error_count()} fields of a part are not the protocol's") from None
        self._model = chunk.model or self._model
        self._usage = chunk.usage or self._usage
        if not chunk.choices:
            return ""
        part = chunk.choices[0]
        self._finish_reason = part.finish_reason or self._finish_reason
        if self._finish_reason == "content_filter" or part.delta.refusal is not None:
            raise refused_content(self._route, part.delta.refusal)
        text = part.delta.content or ""
        self._texts.append(text)
        self._size += len(text)
        if self._size > ANSWER_BYTES_MAX:
            raise malformed(self._route, f"it has more than {ANSWER_BYTES_MAX} characters")
        return text

    def whole(self, model: str) -> Answer:
        """The answer; one that does not say why it ended was cut."""
        if self._finish_reason is None:
            raise LlmCutError(f"the answer of {self._route} ended in the middle", details={"route": self._route})
        return Answer("".join(self._texts), self._model or model, self._finish_reason, usage_of(self._usage))


def usage_of(usage: _Usage | None) -> Usage:
    """Tokens as the provider counted them; zeros where it did not."""
    if usage is None:
        return Usage()
    return Usage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens)


@functools.cache
def load_sdk() -> Any:
    """The SDK, which takes a second to load: call it in a thread.

    Raises:
        StartupError: It is not installed.
    """
    try:
        import openai
    except ImportError as error:
        raise StartupError(
            f"llm.providers needs the package openai, which cannot be loaded ({error}): install ratchet-mcp[llm], or "
            "leave llm.providers empty"
        ) from error
    importlib.import_module("openai.resources.chat.completions")  # what the SDK itself loads at first use
    return openai
