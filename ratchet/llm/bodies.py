"""What a task asks of an LLM or of an MCP server, and what it is answered: bodies of the gateway's procedures."""

from typing import Any, Literal

from pydantic import Field

from ratchet.models import FromTask, JsonObject, Model

MESSAGES_MAX = 500


class ChatMessage(Model):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Complete(FromTask):
    """Ask an LLM. The routes of the configuration are asked in their order until one answers.

    Attributes:
        messages: The conversation so far; the last one is what is asked.
        model: Asked instead of the route's own.
        route: Ask this route alone.
        max_tokens: Most tokens of the answer; never more than `llm.max_tokens`.
        temperature: 0 to 2; the provider's default where it is left out.
        output_schema: A JSON Schema; the answer is JSON that fits it.
        resume: This may have been asked already, of the caller: then wait for that answer, and ask nobody anew.
    """

    messages: list[ChatMessage] = Field(min_length=1, max_length=MESSAGES_MAX)
    model: str | None = None
    route: str | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    output_schema: JsonObject | None = None
    resume: bool = False


class Usage(Model):
    """Tokens, as the provider counts them."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )

    @property
    def total(self) -> int:
        """Both."""
        return self.input_tokens + self.output_tokens


class Completion(Model):
    """An answer.

    Attributes:
        text: What was said.
        parsed: The same as JSON, where a schema was given; None otherwise.
        model: Which model answered, as the provider calls it.
        route: Which route answered.
        finish_reason: "stop", or "length" where `max_tokens` cut the answer short.
        usage: Of the answer, and of a first answer that did not fit the schema.
        failed: Routes that were asked before, each with the code of its error.
    """

    text: str
    parsed: Any = None
    model: str
    route: str
    finish_reason: str
    usage: Usage
    failed: list[tuple[str, str]] = Field(default_factory=list[tuple[str, str]])


class Piece(Model):
    """Part of an answer while it is made; the last has the whole of it as `completion`, and no text of its own."""

    text: str = ""
    completion: Completion | None = None


class ListServers(FromTask):
    """Which MCP servers the configuration has."""


class RemoteServer(Model):
    """An MCP server of the configuration.

    Attributes:
        name: What tasks call it.
        transport: How it is reached; None where the configuration does not say.
        usable: Whether it can be called at all.
        state: "idle" until somebody calls it, then "connecting", "connected" or "down".
        problem: Why it is not usable, or was last down.
    """

    name: str
    transport: Literal["stdio", "http"] | None
    usable: bool
    state: Literal["idle", "connecting", "connected", "down"]
    problem: str | None = None


class RemoteServers(Model):
    """Every server, in the order of the configuration."""

    servers: list[RemoteServer]


class ListRemoteTools(FromTask):
    """Which tools an MCP server has."""

    server: str


class RemoteTool(Model):
    """A tool of an MCP server."""

    name: str
    description: str | None = None
    input_schema: JsonObject
    output_schema: JsonObject | None = None
    read_only: bool = False
    idempotent: bool = False


class RemoteTools(Model):
    """The tools of a server."""

    tools: list[RemoteTool]


class CallRemoteTool(FromTask):
    """Call a tool of an MCP server."""

    server: str
    tool: str
    arguments: JsonObject = Field(default_factory=dict[str, Any])


class RemoteResult(Model):
    """What a tool answered.

    Attributes:
        text: The text of its content, lines below one another.
        structured: Its structured content; None without one.
        content: Every part of its content, as the protocol has it.
    """

    text: str
    structured: Any = None
    content: list[JsonObject] = Field(default_factory=list[JsonObject])
