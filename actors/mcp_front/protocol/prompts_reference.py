"""The page of prompts and completion, written by the table: `python -m actors.mcp_front.protocol.prompts_reference`."""

import sys

from actors.mcp_front.protocol.completions import VALUES_MAX
from actors.mcp_front.protocol.prompts import PROMPTS, Kind, Prompt
from actors.mcp_front.tools.table import TOOLS

_HEAD = """\
# MCP prompts and completion

<!-- Written by `python -m actors.mcp_front.protocol.prompts_reference`; a test keeps it so. -->

A prompt is what a person picks in a host to set an agent to work. It is one message, at most 8,000 characters: what
Ratchet knows of the client's own executions and tasks, then what to do with it. It names only [tools](tools.md) that
the client may use, as they are listed for it.

What a prompt tells is read through tools, on behalf of the same client: the same [permissions](permissions.md),
ownership and rate limits apply, and the audit log records the calls of these tools. A prompt does not exist for clients
that may not use the tool which it needs. A prompt that does not exist, a wrong argument, and an execution or a task
that does not exist for the client are the error -32602 (invalid parameters). A star marks what is required.
"""
_COMPLETION = f"""
## Completion

`completion/complete` suggests ids for the arguments of prompts that are marked so, and for `execution_id` and `task_id`
of the [resource templates](resources.md) that are listed for the client:

* executions of the client whose id begins (with or without `exec_`) or ends with what was typed, newest first, among
  its newest 10,000 in each status;
* tasks that the client may execute whose id contains it, those that begin with it first.

At most {VALUES_MAX} are given. `hasMore` says whether there are more; `total` is there where it is known. Each
completion is a call of `list_executions` or `list_available_tasks`: it counts in that tool's rate limit and is recorded
as such. An argument that is no id has no suggestions.
"""
_STAR = "\\*"
_COMPLETED: dict[Kind, str] = {
    "execution": "the client's executions",
    "failed_execution": "the client's failed executions",
    "task": "tasks",
    "text": "",
}


def reference() -> str:
    """The page, as Markdown."""
    return _HEAD + "".join(_section(one) for one in PROMPTS.values()) + _COMPLETION


def _section(prompt: Prompt) -> str:
    permission = TOOLS[prompt.needs].permission
    needs = f"`{prompt.needs}`" + ("" if permission is None else f" (`{permission}`)")
    rows = "".join(
        f"| `{one.name}`{_STAR if one.required else ''} | {one.description} | {_COMPLETED[one.kind]} |\n"
        for one in prompt.arguments
    )
    return (
        f"\n## {prompt.name}\n\n{prompt.description}\n\nNeeds {needs}.\n\n"
        f"| argument | meaning | completed with |\n|---|---|---|\n{rows}"
    )


if __name__ == "__main__":
    sys.stdout.write(reference())
