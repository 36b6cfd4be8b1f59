"""The pages: each made of the answers of the tools that stand for it, asked for whoever looks at it.

Asking goes through the gate, so that a page shows nobody more than the tools would, and is counted and recorded as
their calls are. What may be missing besides a page's own subject (status, log) is left out where it is refused.
"""

import asyncio
import shlex
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import Response

from actors.mcp_front.answers.answer import Answer, compact
from actors.mcp_front.pages.rendering import page
from actors.mcp_front.pages.waterfall import waterfall
from ratchet.cli.quantities import duration
from ratchet.models import LEVELS, JsonObject

Ask = Callable[[str, JsonObject], Coroutine[Any, Any, Answer]]

SPANS_MAX = 1000  # of the tool: what has room of them is shown
_TAIL_READ = 100
_TAIL_LINES = 8

_TITLES = {
    401: "An API key is needed",
    403: "Not allowed",
    404: "No such execution",
    429: "Too many calls",
    503: "Ratchet cannot answer now",
}
# What a person can do; the advice of answers is for agents.
_ADVICE = {
    400: "Correct the address, or leave out what stands behind the question mark.",
    403: "The permissions of this client are set in the configuration of Ratchet.",
    404: "`ratchet executions` lists the recent ones.",
    503: "Its processes may be restarting. Load the page again in a few seconds.",
}


async def trace(ask: Ask, given: JsonObject, *, with_logs: bool) -> Response | Answer:
    """The waterfall of an execution, what failed, and the end of its log.

    Args:
        ask: Calls a tool for whoever looks.
        given: Arguments of `get_execution_trace`.
        with_logs: Whether there is a log page for them.

    Returns:
        The page, or the answer that refuses it.
    """
    found = await ask("get_execution_trace", {"max_spans": SPANS_MAX, **given})
    if "trace" not in found.structured:
        return found
    execution_id: str = found.structured["execution_id"]
    async with asyncio.TaskGroup() as tasks:
        status = tasks.create_task(ask("get_execution_status", {"execution_id": execution_id}))
        log = tasks.create_task(_tail(ask, execution_id)) if with_logs else None
    return page(
        "trace.html",
        execution=_execution(status.result().structured, found.structured),
        waterfall=waterfall(found.structured["trace"]),
        insights=found.structured["insights"],
        tail=None if log is None else log.result(),
        address=_address("traces", execution_id, "/visualize"),
        logs_address=_address("logs", execution_id) if with_logs else None,
        json_address=_address("traces", execution_id),
        subtree=given.get("span_id"),
    )


async def _tail(ask: Ask, execution_id: str) -> JsonObject | None:
    """What the log says last, and its first error."""
    found = (await ask("get_execution_logs", {"execution_id": execution_id, "limit": _TAIL_READ})).structured
    if "logs" not in found:
        return None
    summary: JsonObject = found["summary"]
    newest: list[str] | None = summary.get("last")
    lines = [f"{one['level']}: {one['message']}" for one in found["logs"][-_TAIL_LINES:]] if newest is None else newest
    return {"total": summary["total"], "first_error": summary.get("first_error"), "lines": lines}


async def logs(ask: Ask, given: JsonObject, *, with_trace: bool) -> Response | Answer:
    """A page of an execution's log; arguments and result as of `trace`."""
    found = await ask("get_execution_logs", {"format": "detailed", **given})
    if "logs" not in found.structured:
        return found
    told = found.structured
    execution_id: str = told["execution_id"]
    status = await ask("get_execution_status", {"execution_id": execution_id})
    address = _address("logs", execution_id)
    chosen = {name: given[name] for name in ("level", "search", "limit") if name in given}
    following = {**chosen, "cursor": told["next_cursor"]} if told["more"] else None
    return page(
        "logs.html",
        form=True,
        execution=_execution(status.structured, told),
        entries=[_entry(one) for one in told["logs"]],
        summary=told["summary"],
        levels=LEVELS,
        chosen=chosen,
        begun="cursor" in given,
        address=address,
        first_address=_with(address, chosen),
        next_address=None if following is None else _with(address, following),
        level_addresses={level: _with(address, {"level": level}) for level in LEVELS},
        trace_address=_address("traces", execution_id, "/visualize") if with_trace else None,
        json_address=_with(address, given | {"execution_id": None}),
    )


def refused(answer: Answer, status: int) -> Response:
    """Why there is no page."""
    error: JsonObject = answer.structured["error"]
    return page(
        "refusal.html",
        status=status,
        title=_TITLES.get(status, "This cannot be shown"),
        message=error["message"],
        problems=error.get("problems", []),
        advice=_ADVICE.get(status),
        command=None,
        code=error["type"],
        number=status,
    )


def unauthenticated(base: str | None, path: str) -> Response:
    """What to do without a key. A key never stands in an address: those end up in histories and logs."""
    # The path is whatever somebody made this browser ask for, and the command is there to be copied into a shell.
    where = shlex.quote(f"{base or ''}{quote(path)}")
    response = page(
        "refusal.html",
        status=401,
        title=_TITLES[401],
        message="This server answers only who sends an API key in a header, which a browser cannot do by itself.",
        problems=[],
        advice="Fetch the page with a key of yours and open the file; it needs nothing else:",
        command=f'curl -H "X-API-Key: $RATCHET_KEY" -H "Accept: text/html" -o page.html {where}',
        code="unauthenticated",
        number=401,
    )
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _entry(entry: JsonObject) -> JsonObject:
    context: JsonObject = entry.get("context", {})
    pairs = [(name, value if isinstance(value, str) else compact(value)) for name, value in context.items()]
    return {**entry, "context": pairs}


def _execution(status: JsonObject, told: JsonObject) -> JsonObject:
    """What a page's head says; only what the page's own answer says where the status was refused."""
    known: Mapping[str, Any] = status if "execution_id" in status else {}
    took: float | None = known.get("duration_ms")
    return {
        "id": told["execution_id"],
        "task_id": known.get("task_id"),
        "status": told["status"],
        "ended": told["status"] in {"completed", "failed", "cancelled"},
        "duration": None if took is None else duration(took),
        "times": [(name, known[f"{name}_at"]) for name in ("created", "started", "ended") if known.get(f"{name}_at")],
        "error": known.get("error"),
        "attempts": len(known.get("attempts", ())),
        "progress": known.get("progress"),
    }


def _address(kind: str, execution_id: str, rest: str = "") -> str:
    return f"/{kind}/{quote(execution_id, safe='')}{rest}"


def _with(address: str, parameters: Mapping[str, Any]) -> str:
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{address}?{urlencode(given)}" if given else address
