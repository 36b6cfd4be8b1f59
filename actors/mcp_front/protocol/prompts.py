"""Prompts: what a person picks in a host to set an agent to work, written from the caller's own tasks and executions.

One table; the list, completion, the reference page and the matrix of permissions derive from it. What a prompt tells
is read through the tools that it needs, so a prompt whose tools a client may not use does not exist for it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import mcp_types as t
from mcp.server import Server
from mcp.shared.exceptions import MCPError

from actors.mcp_front.answers.answer import Answer, clip
from actors.mcp_front.caller import Caller, Context, caller_in, client_in
from actors.mcp_front.front import Front
from actors.mcp_front.gate import note_refusal, wording_for
from actors.mcp_front.naming import ToolNames
from actors.mcp_front.protocol import prompt_texts, reading
from actors.mcp_front.tools.call import ToolCall
from actors.mcp_front.tools.moments import iso, parse_moment
from actors.mcp_front.tools.schemas import takes, text
from actors.mcp_front.tools.table import TOOLS
from ratchet import rpc
from ratchet.bodies.executions import ListExecutions
from ratchet.messages import LIST_EXECUTIONS
from ratchet.models import Execution, JsonObject, Status

Kind = Literal["execution", "failed_execution", "task", "text"]

_SINCE = "24h"
_REVIEWED_MAX = 200
_SECONDS = 10.0
_SAID_CHARACTERS_MAX = 200
_ARGUMENT_CHARACTERS_MAX = 128  # of what the text repeats


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a prompt; `kind` says what its values are, for completion."""

    name: str
    description: str
    kind: Kind
    required: bool = False


@dataclass(frozen=True, slots=True)
class Asking:
    """A prompt that somebody asked for: valid arguments, and on whose behalf to read."""

    front: Front
    caller: Caller
    names: ToolNames
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One row.

    Attributes:
        name: What clients ask for.
        title: For people.
        description: What an agent is set to do.
        arguments: In the order in which a host asks for them.
        needs: The tool that it is written from or sets an agent to use; who may not use it has no such prompt.
        write: What it says, at most 8,000 characters. Raises MCPError where what it is about is not there.
    """

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    needs: str
    write: Callable[[Asking], Awaitable[str]]

    def listed(self) -> t.Prompt:
        """As `prompts/list` gives it."""
        arguments = [
            t.PromptArgument(name=one.name, description=one.description, required=one.required)
            for one in self.arguments
        ]
        return t.Prompt(name=self.name, title=self.title, description=self.description, arguments=arguments)


def register(server: Server[object], front: Front) -> None:
    """Have the server offer the prompts."""

    async def list_prompts(_context: Context, _params: t.PaginatedRequestParams) -> t.ListPromptsResult:
        names = wording_for(front, client_in(front)).names
        return t.ListPromptsResult(prompts=[one.listed() for one in offered(names)])

    async def get_prompt(context: Context, params: t.GetPromptRequestParams) -> t.GetPromptResult:
        return await written(front, caller_in(front, context), params.name, params.arguments or {})

    server.add_request_handler("prompts/list", t.PaginatedRequestParams, list_prompts)
    server.add_request_handler("prompts/get", t.GetPromptRequestParams, get_prompt)


def offered(names: ToolNames) -> list[Prompt]:
    """Those that exist for a client that knows these tools."""
    return [one for one in PROMPTS.values() if names.offers(one.needs)]


def prompt_of(front: Front, caller: Caller, name: str) -> Prompt:
    """The prompt of this name, where it exists for the caller.

    Raises:
        MCPError: It does not.
    """
    known = offered(wording_for(front, caller.client).names)
    found = next((one for one in known if one.name == name), None)
    if found is None:
        note_refusal(front, "forbidden" if name in PROMPTS else "unknown_prompt", name, caller)
        listed = ", ".join(one.name for one in known) or "none"
        said = f"Unknown prompt {name[:_SAID_CHARACTERS_MAX]!r}: there are {listed}"
        raise MCPError(code=t.INVALID_PARAMS, message=said)
    return found


async def written(front: Front, caller: Caller, name: str, arguments: Mapping[str, str]) -> t.GetPromptResult:
    """The prompt as one message of the user.

    Raises:
        MCPError: There is no such prompt for the caller, an argument is wrong, or what it is about is not there.
    """
    prompt = prompt_of(front, caller, name)
    _check(prompt, arguments)
    given = {key: value for key, value in arguments.items() if value.strip()}
    said = await prompt.write(Asking(front, caller, wording_for(front, caller.client).names, given))
    message = t.PromptMessage(role="user", content=t.TextContent(type="text", text=said))
    return t.GetPromptResult(description=prompt.description, messages=[message])


def _check(prompt: Prompt, given: Mapping[str, str]) -> None:
    known = {one.name for one in prompt.arguments}
    unknown = sorted(given.keys() - known)
    missing = [one.name for one in prompt.arguments if one.required and not given.get(one.name, "").strip()]
    if missing:
        raise _wrong(f"prompt {prompt.name} needs {' and '.join(missing)}")
    if unknown:
        said = clip(", ".join(unknown), _SAID_CHARACTERS_MAX)
        raise _wrong(f"prompt {prompt.name} has no argument {said}: it takes {', '.join(sorted(known))}")


def _wrong(message: str) -> MCPError:
    return MCPError(code=t.INVALID_PARAMS, message=message)


# --- what each is written from ------------------------------------------------------------------------------------


async def _debug(asking: Asking) -> str:
    arguments: JsonObject = {"execution_id": asking.arguments["execution_id"]}
    found = await reading.asked(asking.front, asking.caller, TOOLS["analyze_execution_error"], arguments)
    return prompt_texts.debug(found.structured, found.text, asking.names)


async def _run(asking: Asking) -> str:
    task_id = asking.arguments["task_id"]
    task = await reading.task_row(asking.front, asking.caller, task_id)
    if task is None:
        listing = asking.names.advertised("list_available_tasks")
        raise _wrong(f"unknown task {task_id[:_SAID_CHARACTERS_MAX]!r}: {listing} lists those there are")
    filters: JsonObject = {"task_id": task_id, "status": "completed", "limit": 1}
    completed = (await reading.read(asking.front, asking.caller, "list_executions", filters))["executions"]
    return prompt_texts.run(task, asking.arguments.get("goal"), completed[0] if completed else None, asking.names)


async def _review(asking: Asking) -> str:
    scope: JsonObject = {"since": asking.arguments.get("since", _SINCE)}
    if "task_id" in asking.arguments:
        scope["task_id"] = asking.arguments["task_id"]
    found = (await reading.asked(asking.front, asking.caller, _FAILURES, scope)).structured
    return prompt_texts.review(found["failures"], found["since"], asking.names, more=found["more"], scope=scope)


async def _failures(call: ToolCall) -> Answer:
    """The newest failed executions in short, more than one answer of `list_executions` shows."""
    since_ns = parse_moment(call.arguments["since"], field="since", now_ns=call.front.now_ns())
    request = ListExecutions(
        client=call.caller.client,
        since_ns=since_ns,
        status=[Status.FAILED],
        task_id=call.arguments.get("task_id"),
        limit=_REVIEWED_MAX,
    )
    page = await rpc.call(call.front.link, LIST_EXECUTIONS, request, timeout_seconds=_SECONDS)
    failures = [_failure(one) for one in page.executions]
    return Answer({"failures": failures, "since": iso(since_ns), "more": page.next_cursor is not None}, "")


def _failure(execution: Execution) -> JsonObject:
    failure = execution.failure
    return {
        "execution_id": execution.execution_id,
        "task_id": execution.task_id,
        "created_at": iso(execution.created_ns),
        "error_type": "unknown" if failure is None else failure.type,
        "category": "unknown" if failure is None else failure.category.value,
        "message": "" if failure is None else clip(failure.message, _SAID_CHARACTERS_MAX),
    }


# The tool `list_executions` for everybody who decides and counts, with an answer made for a prompt.
_FAILURES = replace(
    TOOLS["list_executions"],
    input_schema=takes(
        ("since",),
        since=text("From when on.", maxLength=_ARGUMENT_CHARACTERS_MAX),
        task_id=text("Of this task.", minLength=1, maxLength=_ARGUMENT_CHARACTERS_MAX),
    ),
    handler=_failures,
)

_PROMPTS = (
    Prompt(
        name="debug_failed_execution",
        title="Debug a failed execution",
        description="Find out why an execution failed, from its analysis, and get to a run that completes.",
        arguments=(Argument("execution_id", "The execution that failed.", "failed_execution", required=True),),
        needs="analyze_execution_error",
        write=_debug,
    ),
    Prompt(
        name="run_task",
        title="Run a task well",
        description="Run a task, knowing what it does, its schemas, and a call that completed.",
        arguments=(
            Argument("task_id", "The task.", "task", required=True),
            Argument("goal", "What the run is for, in your words.", "text"),
        ),
        needs="execute_task",
        write=_run,
    ),
    Prompt(
        name="review_recent_failures",
        title="Review recent failures",
        description="Go through what failed lately, by task and error; mend what can be mended and report.",
        arguments=(
            Argument("since", f"From when on: ISO 8601 or a time ago such as 1h. Default: {_SINCE}.", "text"),
            Argument("task_id", "Only failures of this task.", "task"),
        ),
        needs="list_executions",
        write=_review,
    ),
)

PROMPTS = MappingProxyType({one.name: one for one in _PROMPTS})
