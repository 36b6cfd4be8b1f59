"""The one way to a tool, whatever a call came through: decided, checked, counted, answered, recorded.

What a client may do is decided by `ratchet.policy`; what is known only where executions and tasks are is decided there,
by the same function, on behalf of the client that every request names.
"""

import secrets
import time
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import structlog

from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.answers.failures import REFUSED_CATEGORIES, internal, refusal, unanswered
from actors.mcp_front.audit import new_record_id
from actors.mcp_front.caller import Caller
from actors.mcp_front.ear import ByRetry, Ear
from actors.mcp_front.front import Front
from actors.mcp_front.protocol.log_relay import LogWish
from actors.mcp_front.protocol.progress import Send
from actors.mcp_front.tools.call import ToolCall
from actors.mcp_front.tools.table import TOOLS, Tool
from actors.mcp_front.wording import Wording
from ipc.errors import IpcError, RemoteError
from ratchet import rpc
from ratchet.errors import RatchetError, RateLimitedError
from ratchet.messages import ADMIT
from ratchet.models import AuditRecord, JsonObject
from ratchet.policy.client import Client, Permission
from ratchet.policy.decision import Action, decide
from ratchet.policy.enforce import require
from ratchet.policy.requests import Admit

log = structlog.stdlib.get_logger("mcp-front")

_ADMIT_SECONDS = 10.0
_FOLLOWING = TOOLS["get_execution_status"]  # what a call does that is made again
_SAID_CHARACTERS_MAX = 128
# What policy refused. Any other code is what went wrong with a call that was allowed.
_REFUSALS = {
    *("unauthenticated", "unknown_tool", "forbidden", "unknown_execution"),
    *("rate_limited", "too_many_executions"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A call of a tool as it arrived, by whichever way.

    Attributes:
        tool: Which one.
        arguments: Not checked yet.
        caller: Who asks.
        send_progress: Sends a progress notification; None where the client wants none.
        log_wish: What it wants to hear of the log of what it runs; None: nothing.
        ear: How the client can be asked; None: not at all.
    """

    tool: Tool
    arguments: JsonObject | None
    caller: Caller
    send_progress: Send | None = None
    log_wish: LogWish | None = None
    ear: Ear | None = None

    @property
    def again(self) -> bool:
        """Whether it was made before, and only goes on."""
        return isinstance(self.ear, ByRetry) and self.ear.execution_id is not None


def visible_tools(client: Client) -> tuple[Tool, ...]:
    """The tools that exist for a client, in the order of the table."""
    return _visible(client.permissions)


@cache
def _visible(permissions: frozenset[Permission]) -> tuple[Tool, ...]:
    client = Client(name="", permissions=permissions)
    return tuple(tool for tool in TOOLS.values() if decide(client, Action(tool.permission)).visible)


def wording_for(front: Front, client: Client) -> Wording:
    """The front's wording without the tools and addresses that the client may not use."""
    withheld = TOOLS.keys() - {tool.name for tool in visible_tools(client)}
    if not withheld:
        return front.wording
    wording = front.wording
    links = replace(
        wording.links, traces="get_execution_trace" not in withheld, lines="get_execution_logs" not in withheld
    )
    return replace(wording, links=links, names=replace(wording.names, withheld=frozenset(withheld)))


async def answer(front: Front, asked: Asked) -> Answer:
    """What the tool answers, or why it does not. Nothing that is raised gets out, and every end is recorded."""
    at_ns, began = front.now_ns(), time.monotonic()
    found: Answer | None = None
    try:
        return (found := await _answered(front, asked))
    finally:
        _record(front, asked, found, at_ns=at_ns, duration_ms=(time.monotonic() - began) * 1e3)


async def _answered(front: Front, asked: Asked) -> Answer:
    tool, client = asked.tool, asked.caller.client
    wording = wording_for(front, client)
    try:
        require(client, Action(tool.permission))
        arguments = tool.arguments.accept(asked.arguments)
        if tool.effect == "runs":
            require(client, Action(tool.permission, task_id=arguments["task_id"]))
        await _admit(front, client, _FOLLOWING if asked.again else tool)
        return await tool.handler(
            ToolCall(arguments, asked.caller, front, wording, asked.send_progress, asked.log_wish, asked.ear)
        )
    except RatchetError as error:
        return refusal(error, wording.names, task_id=_text(asked, "task_id"))
    except RemoteError as error:  # of a code that is none of ours: the callee logged what it was
        return _defect(error, tool)
    except IpcError as error:
        log.warning("a call got no answer", tool=tool.name, code=error.code, error=str(error))
        return unanswered(error, wording.names)
    except Exception as error:  # noqa: BLE001 - the actor's boundary: logged here, and never on the wire
        return _defect(error, tool)


async def _admit(front: Front, client: Client, tool: Tool) -> None:
    """Count the call where the client has a limit for this tool; the runner counts for all fronts together.

    Raises:
        RateLimitedError: It may not make another one yet.
    """
    limit = client.rate_limits.get(tool.name)
    if limit is None:
        return
    request = Admit(client=client.name, tool=tool.name, limit=limit)
    seconds = (await rpc.call(front.link, ADMIT, request, timeout_seconds=_ADMIT_SECONDS)).retry_after
    if seconds is not None:
        raise RateLimitedError(
            f"client {client.name!r} may call {tool.name} {limit} and has; the next call is admitted in {seconds:g} s",
            details={"retry_after": seconds},
        )


def _defect(error: Exception, tool: Tool) -> Answer:
    reference = secrets.token_hex(4)
    log.error("a tool failed", tool=tool.name, reference=reference, exc_info=error)
    return internal(reference)


# --- the audit trail ----------------------------------------------------------------------------------------------


def note_refusal(front: Front, code: str, asked_for: str, caller: Caller | None = None) -> None:
    """Record a refusal that no tool knows of: of who was not let in, of a tool that does not exist."""
    if front.audit.enabled:
        front.audit.note(
            AuditRecord(
                record_id=new_record_id(),
                at_ns=front.now_ns(),
                client=caller and caller.client.name,
                transport=front.transport,
                session_id=caller and caller.source.session_id,
                tool=asked_for[:_SAID_CHARACTERS_MAX],
                decision="refused",
                code=code,
                duration_ms=0,
            )
        )


def _record(front: Front, asked: Asked, found: Answer | None, *, at_ns: int, duration_ms: float) -> None:
    if not front.audit.enabled:
        return
    code = "abandoned" if found is None else _code(found)
    front.audit.note(
        AuditRecord(
            record_id=new_record_id(),
            at_ns=at_ns,
            client=asked.caller.client.name,
            transport=front.transport,
            session_id=asked.caller.source.session_id,
            tool=asked.tool.name,
            task_id=_text(asked, "task_id") or _told(found, "task_id"),
            execution_id=_text(asked, "execution_id") or _told(found, "execution_id"),
            decision=_decision(code),
            code=code,
            duration_ms=round(duration_ms, 3),
        )
    )


def _decision(code: str | None) -> Literal["allowed", "refused"]:
    return "refused" if code in _REFUSALS else "allowed"


def _code(found: Answer) -> str | None:
    """Of a call that was not carried out. A failed execution is one that was."""
    error = found.structured.get("error")
    return error["type"] if error is not None and error["category"] in REFUSED_CATEGORIES else None


def _text(asked: Asked, name: str) -> str | None:
    value = (asked.arguments or {}).get(name)
    return value[:_SAID_CHARACTERS_MAX] if isinstance(value, str) else None


def _told(found: Answer | None, name: str) -> str | None:
    return None if found is None else found.structured.get(name)
