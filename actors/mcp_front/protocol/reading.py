"""What parts of the protocol beside the tools read: through the gate, as if the caller had called the tool for it.

So the same permissions, ownership, rate limits and audit hold. A refusal becomes an error of the protocol.
"""

import mcp_types as t
from mcp.shared.exceptions import MCPError

from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.answers.failures import REFUSED_CATEGORIES
from actors.mcp_front.caller import Caller
from actors.mcp_front.front import Front
from actors.mcp_front.gate import Asked, answer
from actors.mcp_front.tools.table import TOOLS, Tool
from ratchet.models import JsonObject

_PAGES_MAX = 50


async def asked(front: Front, caller: Caller, tool: Tool, arguments: JsonObject) -> Answer:
    """What the tool answers.

    Raises:
        MCPError: It was refused, or there is no answer.
    """
    found = await answer(front, Asked(tool, arguments, caller))
    error = found.structured.get("error")
    if error is not None and error["category"] in REFUSED_CATEGORIES:
        code = t.INVALID_PARAMS if error["category"] == "request" else t.INTERNAL_ERROR
        raise MCPError(code=code, message=error["message"])
    return found


async def read(front: Front, caller: Caller, tool: str, arguments: JsonObject) -> JsonObject:
    """What the tool of this bare name answers, structured.

    Raises:
        MCPError: It was refused, or there is no answer.
    """
    return (await asked(front, caller, TOOLS[tool], arguments)).structured


async def task_row(front: Front, caller: Caller, task_id: str) -> JsonObject | None:
    """A task as `list_available_tasks` shows it, with its schemas; None where there is none for the caller.

    Raises:
        MCPError: It was refused, or there is no answer.
    """
    arguments: JsonObject = {"filter": task_id, "include_schemas": True}
    for _ in range(_PAGES_MAX):
        found = await read(front, caller, "list_available_tasks", arguments)
        for row in found["tasks"]:
            if row["task_id"] == task_id:
                return row
        if found["next_cursor"] is None:
            break
        arguments["cursor"] = found["next_cursor"]
    return None
