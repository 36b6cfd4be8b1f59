"""The MCP servers of the configuration, as tasks see them: which there are, their tools, and calls of those."""

import asyncio
import difflib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import mcp_types as types
from mcp import Client
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from actors.llm_gateway.connection import Connection, is_over
from actors.llm_gateway.transports import connector
from ratchet.config.mcp import RemoteServerConfig
from ratchet.errors import (
    McpResultError,
    McpTimeoutError,
    McpToolError,
    McpUnknownServerError,
    McpUnknownToolError,
    RatchetError,
)
from ratchet.llm.bodies import CallRemoteTool, RemoteResult, RemoteServer, RemoteServers, RemoteTool, RemoteTools

RESULT_BYTES_MAX: Final = 1024 * 1024
TOOLS_MAX: Final = 1_000
_PAGES_MAX: Final = 50
_SAID_CHARACTERS_MAX: Final = 8_000
_MARGIN_SECONDS: Final = 0.2
_NOT_USABLE: Final = "the configuration gives it neither a command nor a url"


class Servers:
    """Every server, in the order of the configuration.

    Args:
        configs: As configured.
        environ: Where their secrets are.
        folder: What programs are started in.
        redact: Takes secrets out of what programs say.
        counters: Where what went wrong is counted.
    """

    def __init__(
        self,
        configs: Sequence[RemoteServerConfig],
        environ: Mapping[str, str],
        folder: Path,
        redact: Callable[[str], str],
        counters: Counter[str],
    ) -> None:
        self._configs = {config.name: config for config in configs}
        self._tools: dict[str, dict[str, RemoteTool]] = {}
        self.connections = {
            config.name: Connection(config.name, connector(config, environ, folder, redact), counters)
            for config in configs
            if config.reached_by is not None
        }

    def list_servers(self) -> RemoteServers:
        """Which there are."""
        return RemoteServers(servers=[self._described(config) for config in self._configs.values()])

    def _described(self, config: RemoteServerConfig) -> RemoteServer:
        connection = self.connections.get(config.name)
        return RemoteServer(
            name=config.name,
            transport=config.reached_by,
            usable=connection is not None,
            state="idle" if connection is None else connection.state,
            problem=_NOT_USABLE if connection is None else connection.problem,
        )

    async def list_tools(self, server: str, deadline: float) -> RemoteTools:
        """The tools of a server.

        Raises:
            RemoteMcpError: There is none of this name, or it does not answer.
        """
        connection = self._connection(server)
        tools = await connection.submit(
            lambda client: _listed(client, server),
            timeout_seconds=self._seconds(server, deadline),
            repeatable=True,
        )
        self._tools[server] = {tool.name: tool for tool in tools}
        return RemoteTools(tools=tools)

    async def call_tool(self, body: CallRemoteTool, deadline: float) -> RemoteResult:
        """What a tool answers.

        A tool that says it is idempotent, or only reads, is called again where the connection broke. Before any other,
        a connection that has been silent is tried: a call that goes nowhere might have run.

        Raises:
            RemoteMcpError: There is no such server or tool, it cannot be reached, or it says that it failed.
        """
        connection = self._connection(body.server)
        tool = self._tools.get(body.server, {}).get(body.tool)
        if tool is None or not (tool.idempotent or tool.read_only or connection.fresh):
            await self.list_tools(body.server, deadline)
            tool = self._tool(body.server, body.tool)
        return await connection.submit(
            lambda client: _called(client, body),
            timeout_seconds=self._seconds(body.server, deadline),
            repeatable=tool.idempotent or tool.read_only,
        )

    def _tool(self, server: str, name: str) -> RemoteTool:
        known = self._tools[server]
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(known)[:20]) or 'none'}"
            raise McpUnknownToolError(
                f"the MCP server {server} has no tool {name!r}; {hint}", details={"server": server, "tool": name}
            )
        return known[name]

    def _connection(self, server: str) -> Connection:
        found = self.connections.get(server)
        if found is None:
            why = _NOT_USABLE if server in self._configs else f"known here: {', '.join(self._configs) or 'none'}"
            raise McpUnknownServerError(
                f"there is no MCP server {server!r} in mcp.servers that tasks can call; {why}",
                details={"server": server},
            )
        return found

    def _seconds(self, server: str, deadline: float) -> float:
        left = deadline - asyncio.get_running_loop().time() - _MARGIN_SECONDS
        return max(0.0, min(self._configs[server].timeout_seconds, left))


async def _listed(client: Client, server: str) -> list[RemoteTool]:
    found: list[RemoteTool] = []
    cursor: str | None = None
    for _ in range(_PAGES_MAX):
        try:
            page = await client.list_tools(cursor=cursor, cache_mode="refresh")
        except (ValidationError, RuntimeError) as error:
            raise _malformed(server, str(error)) from None
        found += [_tool(tool) for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None or len(found) >= TOOLS_MAX:
            break
    tools = found[:TOOLS_MAX]
    _check_size(server, [tool.model_dump() for tool in tools])
    return tools


def _tool(tool: types.Tool) -> RemoteTool:
    hints = tool.annotations or types.ToolAnnotations()
    return RemoteTool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        read_only=bool(hints.read_only_hint),
        idempotent=bool(hints.idempotent_hint),
    )


async def _called(client: Client, body: CallRemoteTool) -> RemoteResult:
    details = {"server": body.server, "tool": body.tool}
    try:
        made = await client.call_tool(body.tool, body.arguments)
    except MCPError as error:
        raise _refused(error, details) from None
    except (ValidationError, RuntimeError) as error:
        raise _malformed(body.server, str(error)) from None
    content = [part.model_dump(mode="json", by_alias=True, exclude_none=True) for part in made.content]
    text = "\n".join(part.text for part in made.content if isinstance(part, types.TextContent))
    if made.is_error:
        said = text[:_SAID_CHARACTERS_MAX]
        raise McpToolError(f"{body.server}.{body.tool} failed: {said}", details={**details, "content": said})
    _check_size(body.server, [content, made.structured_content])
    return RemoteResult(text=text, structured=made.structured_content, content=content)


def _refused(error: MCPError, details: dict[str, str]) -> Exception:
    if is_over(error):
        return error
    if error.code == types.REQUEST_TIMEOUT:
        return McpTimeoutError(error.message, details=details)
    said = error.message[:_SAID_CHARACTERS_MAX]
    return McpToolError(
        f"{details['server']}.{details['tool']} was refused: {said}",
        details={**details, "content": said, "rpc_code": error.code},
    )


def _check_size(server: str, value: Any) -> None:
    size = len(json.dumps(value))
    if size > RESULT_BYTES_MAX:
        raise _malformed(server, f"{size} bytes, of at most {RESULT_BYTES_MAX}")


def _malformed(server: str, why: str) -> RatchetError:
    return McpResultError(
        f"the answer of the MCP server {server} cannot be used: {why[:500]}", details={"server": server}
    )
