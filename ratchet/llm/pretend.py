"""What answers a context's questions in tests: a script for its LLM, functions for the tools of its MCP servers.

Only what a task's interpreter has: the standard library and pydantic.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ratchet.errors import (
    LlmAnswerError,
    LlmNotConfiguredError,
    McpToolError,
    McpUnknownServerError,
    McpUnknownToolError,
)
from ratchet.llm.bodies import (
    CallRemoteTool,
    Complete,
    Completion,
    ListRemoteTools,
    RemoteResult,
    RemoteServer,
    RemoteServers,
    RemoteTool,
    RemoteTools,
    Usage,
)
from ratchet.llm.script import Rule, Script
from ratchet.models import JsonObject, Model

Answer = Callable[[JsonObject], Model]
Tool = Callable[[dict[str, Any]], Any]
Tools = Mapping[str, Mapping[str, Tool]]

_ROUTE = "scripted"


def answers(script: Sequence[Rule], servers: Tools) -> dict[str, Answer]:
    """Answers by method of what `ctx.llm` and `ctx.mcp` call.

    Args:
        script: What the LLM answers.
        servers: A function for each tool of each server: from its arguments to its text, or any other JSON.
    """
    remote = _Servers(servers)
    return {
        "llm.complete": _Llm(script).complete,
        "mcp.list_servers": remote.list_servers,
        "mcp.list_tools": remote.list_tools,
        "mcp.call_tool": remote.call_tool,
    }


class _Llm:
    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._script = Script(rules)

    def complete(self, body: JsonObject) -> Completion:
        asked = Complete.model_validate(body)
        if not self._rules:
            raise LlmNotConfiguredError(
                "this context answers no questions to an LLM; give it some: llm=[Rule(answer=…)]"
            )
        text = self._script.answer(asked.messages[-1].content)
        usage = Usage(
            input_tokens=sum(len(one.content.split()) for one in asked.messages), output_tokens=len(text.split())
        )
        return Completion(
            text=text,
            parsed=None if asked.output_schema is None else _parsed(text),
            model=asked.model or _ROUTE,
            route=_ROUTE,
            finish_reason="stop",
            usage=usage,
        )


class _Servers:
    def __init__(self, servers: Tools) -> None:
        self._servers = servers

    def list_servers(self, _body: JsonObject) -> RemoteServers:
        return RemoteServers(
            servers=[
                RemoteServer(name=name, transport="stdio", usable=True, state="connected") for name in self._servers
            ]
        )

    def list_tools(self, body: JsonObject) -> RemoteTools:
        tools = self._tools(ListRemoteTools.model_validate(body).server)
        return RemoteTools(
            tools=[
                RemoteTool(name=name, description=tool.__doc__, input_schema={"type": "object"})
                for name, tool in tools.items()
            ]
        )

    def call_tool(self, body: JsonObject) -> RemoteResult:
        asked = CallRemoteTool.model_validate(body)
        tool = self._tools(asked.server).get(asked.tool)
        if tool is None:
            raise McpUnknownToolError(f"the MCP server {asked.server} has no tool {asked.tool!r}")
        try:
            made = tool(asked.arguments)
        except Exception as error:
            raise McpToolError(
                f"{asked.server}.{asked.tool} failed: {error}", details={"content": str(error)}
            ) from error
        if isinstance(made, RemoteResult):
            return made
        text = made if isinstance(made, str) else json.dumps(made)
        structured = None if isinstance(made, str) else made
        return RemoteResult(text=text, structured=structured, content=[{"type": "text", "text": text}])

    def _tools(self, server: str) -> Mapping[str, Tool]:
        if server not in self._servers:
            raise McpUnknownServerError(
                f"there is no MCP server {server!r}; known here: {', '.join(self._servers) or 'none'}"
            )
        return self._servers[server]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise LlmAnswerError(f"the answer of the script is no JSON: {error}") from None
