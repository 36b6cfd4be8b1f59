"""The page of permissions, written by the table of tools: `python -m actors.mcp_front.tools.permissions_reference`."""

import sys

from actors.mcp_front.tools.table import TOOLS, Tool
from ratchet.policy.rate_limits import TOOL_OF_SHORT_NAME

_HEAD = """\
# Permissions

<!-- Written by `python -m actors.mcp_front.tools.permissions_reference`; a test keeps it so. -->

What a client needs for a tool, by whichever name and way it calls it, and what a tool is called in `rate_limits`; its
own name is understood there as well. A page of the HTTP server is the tool that it shows; a call of
[a task's own tool](exposed-tasks.md) is one of `execute_task`. Permissions are keys of
`mcp.server.auth.api_keys[].permissions` and `mcp.server.stdio.permissions`;
[how to secure HTTP](../how-to/secure-http.md) says what they do.

| tool | needs | in `rate_limits` | and only |
|---|---|---|---|
"""
_ONLY = {
    "execute_task": "tasks of `allowed_task_patterns`; dangerous ones where they are allowed",
    "list_available_tasks": "shows those tasks, where the client may execute them",
    "get_system_health": "",
}
_OWN = "the client's own executions"


def reference() -> str:
    """The page, as Markdown."""
    short_names = {tool: short for short, tool in TOOL_OF_SHORT_NAME.items()}
    return _HEAD + "".join(_row(tool, short_names[tool.name]) for tool in TOOLS.values())


def _row(tool: Tool, short_name: str) -> str:
    needs = "nothing" if tool.permission is None else f"`{tool.permission}`"
    return f"| `{tool.name}` | {needs} | `{short_name}` | {_ONLY.get(tool.name, _OWN)} |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
