"""The MCP front, which agents talk to: `tools` is the table, `server` serves it, `http` and `stdio` carry it."""

from actors.mcp_front.actor import start, start_stdio

__all__ = ["start", "start_stdio"]
