"""What tasks may ask of others only where the configuration says of whom: refused here, before it goes anywhere."""

from ratchet.config import Config
from ratchet.errors import LlmNotConfiguredError, McpUnknownServerError, RatchetError


def refusal(config: Config, method: str) -> RatchetError | None:
    """Why the configuration does not let a task call this; None where it does."""
    if method.startswith("llm.") and not config.llm.order:
        return LlmNotConfiguredError(
            "tasks may ask no LLM: name a provider in llm.providers of the configuration, or answers in llm.scripted"
        )
    if method.startswith("mcp.") and all(server.reached_by is None for server in config.mcp.servers):
        return McpUnknownServerError(
            "tasks may call no MCP server: name one in mcp.servers of the configuration, with a command or a url"
        )
    return None
