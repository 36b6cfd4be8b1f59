"""How an MCP server is reached: a program with pipes, or HTTP; with no more of ours than the configuration gives it."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, TextIO

import httpx2
import mcp_types as types
import structlog
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from actors.llm_gateway.connection import Connect
from ratchet.config.mcp import RemoteServerConfig
from ratchet.version import VERSION

_HTTP_SECONDS: Final = 20.0
_LINE_CHARACTERS_MAX: Final = 2_000
_INFO: Final = types.Implementation(name="ratchet", version=VERSION)

log = structlog.stdlib.get_logger("llm-gateway")


def connector(
    config: RemoteServerConfig, environ: Mapping[str, str], folder: Path, redact: Callable[[str], str]
) -> Connect:
    """Makes clients of a server.

    Args:
        config: Of the server; it says how to reach it.
        environ: Where its secrets are.
        folder: What a program is started in.
        redact: Takes secrets out of what a program says.

    Raises:
        ConfigError: A secret cannot be resolved.
    """
    if config.reached_by == "http":
        assert config.url is not None, "checked when the configuration was loaded"
        return _over_http(config, config.url, {name: one.resolve(environ) for name, one in config.headers.items()})
    assert config.command is not None, "checked when the configuration was loaded"
    own = {name: one.resolve(environ) for name, one in config.env.items()}
    server = StdioServerParameters(command=config.command, args=list(config.args), env=own, cwd=folder)

    async def connect(stack: AsyncExitStack) -> Client:
        errors = await _logged(config.name, redact, stack)
        return await stack.enter_async_context(Client(stdio_client(server, errlog=errors), client_info=_INFO))

    return connect


def _over_http(config: RemoteServerConfig, url: str, headers: Mapping[str, str]) -> Connect:
    async def connect(stack: AsyncExitStack) -> Client:
        timeout = httpx2.Timeout(_HTTP_SECONDS, read=config.timeout_seconds)
        http = await stack.enter_async_context(httpx2.AsyncClient(headers=dict(headers), timeout=timeout))
        return await stack.enter_async_context(Client(streamable_http_client(url, http_client=http), client_info=_INFO))

    return connect


async def _logged(name: str, redact: Callable[[str], str], stack: AsyncExitStack) -> TextIO:
    """A file; what is written to it is logged, line by line."""
    read_end, write_end = os.pipe()
    file = stack.enter_context(os.fdopen(write_end, "w"))
    reader = asyncio.StreamReader(limit=_LINE_CHARACTERS_MAX)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", 0)
    )

    async def follow() -> None:
        while data := await reader.read(_LINE_CHARACTERS_MAX):
            for line in data.decode("utf-8", "replace").splitlines():
                log.info("an MCP server said", server=name, line=redact(line))

    task = asyncio.create_task(follow(), name=f"stderr of {name}")
    stack.callback(transport.close)
    stack.callback(task.cancel)
    return file
