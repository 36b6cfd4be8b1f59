"""What tasks may ask of others only where the configuration says of whom: refused here, before it goes anywhere."""

from ratchet.bodies.attempts import AttemptOrder
from ratchet.errors import LlmNotConfiguredError, McpUnknownServerError, RatchetError


def refusal(order: AttemptOrder, method: str) -> RatchetError | None:
    """Why the configuration does not let a task call this; None where it does."""
    if method.startswith("llm.") and not order.may_ask_llm:
        return LlmNotConfiguredError(
            "tasks may ask no LLM: name a provider in llm.providers of the configuration, or answers in llm.scripted"
        )
    if method.startswith("mcp.") and not order.may_call_mcp:
        return McpUnknownServerError(
            "tasks may call no MCP server: name one in mcp.servers of the configuration, with a command or a url"
        )
    return None
