"""Handlers whose modules are loaded by their first call.

What an agent may never ask for must not delay its start: patterns by the hundred are compiled for logs, traces and
analyses. The supervisor loads these modules too, once its first agent is served.
"""

import importlib
from typing import cast

from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.tools.call import ToolCall, ToolHandler


def later(module: str, name: str) -> ToolHandler:
    """The handler `name` of `module`, a module of this package."""

    async def handle(call: ToolCall) -> Answer:
        loaded = importlib.import_module(f"actors.mcp_front.tools.{module}")
        return await cast("ToolHandler", getattr(loaded, name))(call)

    return handle
