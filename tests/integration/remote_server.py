"""An MCP server for tests, made with the SDK's low-level server: `remote_server.py stdio` or `remote_server.py http`.

Over HTTP it takes a free port, or the one given, and prints it.
"""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

import mcp_types as types
from mcp.server import Server
from mcp.server.stdio import stdio_server

OBJECT = {"type": "object"}


def tool(name: str, *, read_only: bool = False, idempotent: bool = False) -> types.Tool:
    hints = types.ToolAnnotations(read_only_hint=read_only, idempotent_hint=idempotent)
    return types.Tool(name=name, input_schema=OBJECT, annotations=hints)


TOOLS = [
    tool("echo", read_only=True),
    tool("environment", read_only=True),
    tool("fail"),
    tool("slow", read_only=True),
    tool("large", read_only=True),
    tool("die"),
    tool("die_once", idempotent=True),
]


def die_once(file: Path) -> None:
    if not file.exists():
        file.touch()
        os._exit(3)


async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=TOOLS)


async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    given = params.arguments or {}
    match params.name:
        case "environment":
            headers = {} if context.request is None else dict(context.request.headers)
            said = {"environment": dict(os.environ), "headers": headers, "pid": os.getpid()}
            return types.CallToolResult(content=[types.TextContent(text="see")], structured_content=said)
        case "fail":
            return types.CallToolResult(content=[types.TextContent(text="no such ticket")], is_error=True)
        case "slow":
            await asyncio.sleep(given["seconds"])
        case "large":
            return types.CallToolResult(content=[types.TextContent(text="x" * given["bytes"])])
        case "die":
            os._exit(3)
        case "die_once":
            die_once(Path(given["file"]))
        case _:
            sys.stderr.write(f"echoing {given.get('text')}\n")
            sys.stderr.flush()
    return types.CallToolResult(content=[types.TextContent(text=str(given.get("text", "")))])


def made() -> Server[Any]:
    return Server("remote", version="1", on_list_tools=list_tools, on_call_tool=call_tool)


async def stdio() -> None:
    server = made()
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def http(port: int) -> None:
    import uvicorn

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    app = made().streamable_http_app()
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        asyncio.run(stdio())
    else:
        http(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
