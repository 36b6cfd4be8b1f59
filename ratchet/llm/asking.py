"""`ctx.llm` and `ctx.mcp`: what a task asks of LLMs and of other MCP servers.

Every method blocks in a synchronous task and is awaited where an event loop runs, as all that a context asks.
"""

from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ratchet.calling import Calls
from ratchet.llm.streaming import LlmStream

if TYPE_CHECKING:
    from ratchet.calling import Items
    from ratchet.context import Span
    from ratchet.llm.bodies import ChatMessage, Completion, RemoteResult, RemoteServer, RemoteTool

    Prompt = str | Sequence[ChatMessage | Mapping[str, str]]


class Llm:
    """Asks the LLMs of the configuration: `ctx.llm.complete("Summarise: …").text`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def complete(
        self,
        prompt: "Prompt",
        *,
        system: str | None = None,
        schema: Any = None,
        model: str | None = None,
        route: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        timeout: float | None = None,
    ) -> "Completion":
        """Ask, and wait for the whole answer.

        Args:
            prompt: The question, or a conversation: messages `{"role": "user", "content": "…"}` of which the last asks.
            system: What is said before all of it, in the system's role.
            schema: What the answer must be: a type such as a pydantic model, or a JSON Schema. `parsed` of the answer
                is of that type; a model that misses it is asked once more.
            model: Asked instead of the route's own.
            route: Ask this route of `llm.routes` alone.
            max_tokens: Most tokens of the answer; never more than `llm.max_tokens`.
            temperature: 0 to 2; the provider's default where it is left out.
            timeout: Seconds after which the call fails; None: it may take as long as the attempt.

        Raises:
            LlmError: No route answered; `retryable` says whether to ask again later. `LlmNotConfiguredError` where the
                configuration names nobody to ask.
            CallError: The question did not get there, or its answer not back.
        """
        from ratchet.llm.schemas import Wanted  # what asks nobody need not load it

        wanted = Wanted(schema)
        asked = _asked(prompt, system, model=model, route=route, max_tokens=max_tokens, temperature=temperature)

        def read(reply: dict[str, Any], span: "Span") -> "Completion":
            made = wanted.read(reply)
            _describe(span, made)
            return made

        return self._calls.make(
            "llm.complete",
            {**asked, "output_schema": wanted.schema},
            read,
            name="llm.complete",
            attributes=_attributes(model, route),
            timeout_seconds=timeout,
        )

    def stream(
        self,
        prompt: "Prompt",
        *,
        system: str | None = None,
        model: str | None = None,
        route: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        timeout: float | None = None,
    ) -> LlmStream:
        """Ask, and take the answer in pieces: `for piece in ctx.llm.stream("…")`, with `async for` in a coroutine.

        Another route is asked only while no piece has come; an answer that ends in the middle is an error. Arguments
        and errors are those of `complete`; the errors are raised by the loop.
        """
        asked = _asked(prompt, system, model=model, route=route, max_tokens=max_tokens, temperature=temperature)
        attributes = _attributes(model, route)

        def open_stream() -> "tuple[Items, Span]":
            return self._calls.open_stream(
                "llm.stream", asked, name="llm.stream", attributes=attributes, timeout_seconds=timeout
            )

        return LlmStream(open_stream, _describe)


class Mcp:
    """Calls the MCP servers of `mcp.servers`: `ctx.mcp.call_tool("search", "lookup", {"words": "…"}).text`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list_servers(self, *, timeout: float | None = None) -> "list[RemoteServer]":
        """The servers of the configuration, with whether they can be called.

        Raises:
            McpUnknownServerError: It has none that can.
        """
        from ratchet.llm.bodies import RemoteServers

        return self._calls.make(
            "mcp.list_servers",
            {},
            lambda reply, _span: RemoteServers.model_validate(reply).servers,
            name="mcp.list_servers",
            timeout_seconds=timeout,
        )

    def list_tools(self, server: str, *, timeout: float | None = None) -> "list[RemoteTool]":
        """The tools of a server, with the schemas of their arguments.

        Raises:
            RemoteMcpError: There is no such server, or it does not answer; `retryable` says whether to try again.
        """
        from ratchet.llm.bodies import RemoteTools

        return self._calls.make(
            "mcp.list_tools",
            {"server": server},
            lambda reply, _span: RemoteTools.model_validate(reply).tools,
            name="mcp.list_tools",
            attributes={"mcp.server": server},
            timeout_seconds=timeout,
        )

    def call_tool(
        self,
        server: str,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> "RemoteResult":
        """Call a tool.

        Args:
            server: Its name in `mcp.servers`.
            tool: One of `list_tools(server)`.
            arguments: As JSON types.
            timeout: Seconds after which the call fails; never longer than `mcp.servers[].timeout_seconds`.

        Raises:
            McpToolError: The tool failed, or refused its arguments: `details["content"]` is what it said.
            RemoteMcpError: There is no such server or tool, or it does not answer.
        """
        from ratchet.llm.bodies import RemoteResult

        return self._calls.make(
            "mcp.call_tool",
            {"server": server, "tool": tool, "arguments": dict(arguments or {})},
            lambda reply, _span: RemoteResult.model_validate(reply),
            name="mcp.call_tool",
            attributes={"mcp.method.name": "tools/call", "mcp.server": server, "gen_ai.tool.name": tool},
            timeout_seconds=timeout,
        )


if TYPE_CHECKING:

    class AsyncLlm:
        """`Llm` as an asynchronous task sees it."""

        def complete(
            self,
            prompt: Prompt,
            *,
            system: str | None = None,
            schema: Any = None,
            model: str | None = None,
            route: str | None = None,
            max_tokens: int | None = None,
            temperature: float | None = None,
            timeout: float | None = None,
        ) -> Coroutine[Any, Any, Completion]:
            """`Llm.complete`."""
            ...

        stream = Llm.stream

    class AsyncMcp:
        """`Mcp` as an asynchronous task sees it."""

        def list_servers(self, *, timeout: float | None = None) -> Coroutine[Any, Any, list[RemoteServer]]:
            """`Mcp.list_servers`."""
            ...

        def list_tools(self, server: str, *, timeout: float | None = None) -> Coroutine[Any, Any, list[RemoteTool]]:
            """`Mcp.list_tools`."""
            ...

        def call_tool(
            self,
            server: str,
            tool: str,
            arguments: Mapping[str, Any] | None = None,
            *,
            timeout: float | None = None,
        ) -> Coroutine[Any, Any, RemoteResult]:
            """`Mcp.call_tool`."""
            ...


def _asked(prompt: "Prompt", system: str | None, **how: Any) -> dict[str, Any]:
    return {"messages": _messages(prompt, system), **how}


def _attributes(model: str | None, route: str | None) -> dict[str, Any]:
    """What is known of the call's span before there is an answer."""
    known = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model, "ratchet.llm.route": route}
    return {name: value for name, value in known.items() if value is not None}


def _messages(prompt: "Prompt", system: str | None) -> list[dict[str, Any]]:
    from ratchet.llm.bodies import ChatMessage

    given = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    messages = [ChatMessage.model_validate(message).model_dump() for message in given]
    return messages if system is None else [{"role": "system", "content": system}, *messages]


def _describe(span: "Span", made: "Completion") -> None:
    """What OpenTelemetry's conventions for generative AI say of an answer; never what was asked or said."""
    span.set("gen_ai.response.model", made.model)
    span.set("gen_ai.response.finish_reasons", [made.finish_reason])
    span.set("gen_ai.usage.input_tokens", made.usage.input_tokens)
    span.set("gen_ai.usage.output_tokens", made.usage.output_tokens)
    span.set("ratchet.llm.route", made.route)
    if made.failed:
        span.set("ratchet.llm.failed", [f"{route}: {code}" for route, code in made.failed])
