"""What Ratchet is compared with: the SDK's low-level server with one trivial tool in its own process.

`python -m benchmarks.bare_server http PORT` or `… stdio`.
"""

import asyncio
import sys
from typing import Any

import mcp_types as t
from mcp.server import Server, ServerRequestContext

_SCHEMA: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


async def _list_tools(
    _context: ServerRequestContext[Any], _params: t.PaginatedRequestParams | None
) -> t.ListToolsResult:
    return t.ListToolsResult(tools=[t.Tool(name="echo", description="Return the text.", input_schema=_SCHEMA)])


async def _call_tool(_context: ServerRequestContext[Any], params: t.CallToolRequestParams) -> t.CallToolResult:
    text = str((params.arguments or {})["text"])
    return t.CallToolResult(content=[t.TextContent(type="text", text=text)], structured_content={"output": text})


def server() -> Server[Any]:
    """The bare server; it looks schemas up directly, so that calls do not list the tools first."""
    return Server(
        "bare", get_tool_input_schema=lambda _name: _SCHEMA, on_list_tools=_list_tools, on_call_tool=_call_tool
    )


def _serve_http(port: int) -> None:
    import uvicorn

    # What the SDK alone installs, whatever else is in this environment.
    app = server().streamable_http_app()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", loop="asyncio", http="h11")


async def _serve_stdio() -> None:
    from mcp.server.stdio import stdio_server

    bare = server()
    async with stdio_server() as (read, write):
        await bare.run(read, write, bare.create_initialization_options())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["http", port]:
            _serve_http(int(port))
        case ["stdio"]:
            asyncio.run(_serve_stdio())
        case _:
            sys.exit(__doc__)
