"""The `llm` part of the configuration: whom tasks may ask, in which order, and how much."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ratchet.config.mcp import Name
from ratchet.config.secrets import Secret
from ratchet.config.section import Section
from ratchet.config.units import Count, Seconds

SCRIPTED = "scripted"
CALLER = "caller"


def _checked_url(text: str) -> str:
    if not text.strip().startswith(("http://", "https://")):
        raise ValueError("must be an address such as https://api.openai.com/v1 or http://127.0.0.1:11434/v1")
    return text.strip()


BaseUrl = Annotated[str, AfterValidator(_checked_url)]


class ProviderConfig(Section):
    """A server that speaks OpenAI's protocol: OpenAI, vLLM, Ollama, llama.cpp."""

    name: Name = Field(description="what records call the provider, and `llm.routes`")
    base_url: BaseUrl = Field(description="its address, up to `/v1`")
    api_key: Secret | None = Field(default=None, description="its key; none for a server that asks for none")
    model: str = Field(min_length=1, description="the model that is asked unless a task names another")
    timeout_seconds: Seconds = Field(
        default=60.0, gt=0, le=3600, description="longest time one try may take, or a stream may be silent"
    )
    retries: Count = Field(
        default=2, le=10, description="further tries after 429, 5xx, a refused connection or a cut answer"
    )
    schema_mode: Literal["json_schema", "json_object", "prompt"] = Field(
        default="json_schema", description="how the provider is told of a schema: by its own feature, or in words"
    )


class ScriptedAnswerConfig(Section):
    """One rule of the scripted route."""

    pattern: str = Field(default=".*", description="regular expression, searched in the last message")
    answer: str | None = Field(default=None, description="what is answered; `\\1` stands for the first group")
    error: Literal["rate_limited", "refused", "timeout", "unavailable", "cut", "malformed"] | None = Field(
        default=None, description="the failure that is given instead of an answer"
    )
    times: Count | None = Field(
        default=None, ge=1, description="how often the rule applies; after that the next one that fits does"
    )


class CallerConfig(Section):
    """The route `caller`: the LLM of whoever waits for the execution, asked over MCP (sampling)."""

    timeout_seconds: Seconds = Field(
        default=120.0, gt=0, le=3600, description="how long an answer is waited for; people may have to agree to it"
    )
    unattended_seconds: Seconds = Field(
        default=15.0,
        gt=0,
        le=3600,
        description="how long a question waits for its caller to come back who was there and has gone",
    )


class LlmConfig(Section):
    """Whom tasks may ask. Without a provider or a scripted answer, tasks may ask nobody."""

    providers: tuple[ProviderConfig, ...] = Field(default=(), description="LLM providers that tasks may ask")
    scripted: tuple[ScriptedAnswerConfig, ...] = Field(
        default=(), description="answers of the route `scripted`, for tests and tutorials: the first that fits"
    )
    routes: tuple[str, ...] = Field(
        default=(),
        description="names of providers, `scripted`, or `caller`, in the order in which they are asked until one "
        "answers; the caller's own LLM is asked only where it stands here",
    )
    caller: CallerConfig = Field(default=CallerConfig(), description="the caller's own LLM as a route")
    max_tokens: Count = Field(default=4096, ge=1, description="most tokens of one answer")
    concurrent_calls: Count = Field(default=16, ge=1, le=1000, description="answers that are awaited at a time")
    calls_per_execution: Count = Field(default=100, ge=1, description="questions that one execution may ask")
    tokens_per_execution: Count = Field(
        default=500_000, ge=1, description="tokens, of questions and answers, after which an execution may ask no more"
    )

    @property
    def order(self) -> tuple[str, ...]:
        """The routes in their order: `routes`, or every provider as listed and then the scripted route."""
        if self.routes:
            return self.routes
        scripted = (SCRIPTED,) if self.scripted else ()
        return (*(one.name for one in self.providers), *scripted)
