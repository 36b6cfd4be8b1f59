"""`execute_task` of a trivial task over HTTP, beside a bare SDK server's tool call, interleaved.

The client is the same for both and as thin as possible: one JSON-RPC request of the 2026-07-28 era a POST, over
connections that stay open. So the figures compare servers, not clients.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.figure import Figure, percentile
from benchmarks.processes import running_bare_http, running_ratchet

_VERSION = "2026-07-28"
_WARM_UP_CALLS = 40
_ALONE_CALLS = 400
_CALLERS = 16
_ROUNDS = 6
_ROUND_SECONDS = 1.5

_ids = itertools.count(1)


@dataclass(slots=True)
class Target:
    """A server, the call that is made, and how long its calls took (milliseconds)."""

    clients: list[httpx.AsyncClient]  # one a caller: a shared pool of connections would be what is measured
    url: str
    tool: str
    arguments: dict[str, Any]
    output: Callable[[dict[str, Any]], object]
    alone: list[float] = field(default_factory=list[float])
    together: list[float] = field(default_factory=list[float])
    busy_seconds: float = 0.0

    async def call(self, into: list[float], caller: int = 0) -> None:
        """One call, timed.

        Raises:
            RuntimeError: The answer is not what the task returns.
        """
        started = time.perf_counter()
        answer = await self.clients[caller].post(self.url, json=self._request(), headers=self._headers())
        into.append(1000 * (time.perf_counter() - started))
        result: dict[str, Any] = answer.json().get("result", {}) if answer.is_success else {}
        if result.get("isError") or self.output(result.get("structuredContent", {})) != "hello":
            raise RuntimeError(f"{self.tool} answered {answer.status_code}: {answer.text[:500]}")

    def _request(self) -> dict[str, Any]:
        meta = {
            "io.modelcontextprotocol/protocolVersion": _VERSION,
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = {"name": self.tool, "arguments": self.arguments, "_meta": meta}
        return {"jsonrpc": "2.0", "id": next(_ids), "method": "tools/call", "params": params}

    def _headers(self) -> dict[str, str]:
        return {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": _VERSION,
            "Mcp-Method": "tools/call",
            "Mcp-Name": self.tool,
        }


def measure() -> list[Figure]:
    """The figures of this part."""
    with running_bare_http() as bare_url, running_ratchet() as folder:
        return asyncio.run(_measure(bare_url, folder.url))


async def _measure(bare_url: str, ratchet_url: str) -> list[Figure]:
    async with AsyncExitStack() as stack:

        async def clients() -> list[httpx.AsyncClient]:
            made = [httpx.AsyncClient(timeout=60, verify=False) for _ in range(_CALLERS)]
            return [await stack.enter_async_context(one) for one in made]

        hello = {"text": "hello"}
        bare = Target(await clients(), bare_url, "echo", hello, lambda answer: answer.get("output"))
        ratchet = Target(
            await clients(),
            ratchet_url,
            "ratchet_execute_task",
            {"task_id": "echo", "input": hello, "wait_seconds": 30},
            lambda answer: answer.get("output"),
        )
        for target in (bare, ratchet):
            await _crowd(target, calls=_WARM_UP_CALLS, into=[])
        for _ in range(_ALONE_CALLS):
            await bare.call(bare.alone)
            await ratchet.call(ratchet.alone)
        for _ in range(_ROUNDS):
            for target in (bare, ratchet):
                started = time.perf_counter()
                await _crowd(target, seconds=_ROUND_SECONDS, into=target.together)
                target.busy_seconds += time.perf_counter() - started
    return _figures(ratchet, bare)


async def _crowd(target: Target, into: list[float], calls: int | None = None, seconds: float = 60) -> None:
    """Callers that each call again as soon as they are answered, for a number of calls or a time."""
    until = time.perf_counter() + seconds
    left = iter(range(calls)) if calls is not None else itertools.count()

    async def calling(caller: int) -> None:
        while time.perf_counter() < until and next(left, None) is not None:
            await target.call(into, caller)

    async with asyncio.TaskGroup() as group:
        for caller in range(_CALLERS):
            group.create_task(calling(caller))


def _figures(ratchet: Target, bare: Target) -> list[Figure]:
    figures: list[Figure] = []
    for callers, ours, theirs in ((1, ratchet.alone, bare.alone), (_CALLERS, ratchet.together, bare.together)):
        figures += [
            Figure(
                f"execute_task over HTTP, {callers} caller{'s' if callers > 1 else ''}, p{percent}",
                percentile(ours, percent),
                "ms",
                len(ours),
                percentile(theirs, percent),
            )
            for percent in (50, 99)
        ]
    figures.append(
        Figure(
            "execute_task over HTTP, 1 caller, rate",
            1000 * len(ratchet.alone) / sum(ratchet.alone),
            "calls/s",
            len(ratchet.alone),
            1000 * len(bare.alone) / sum(bare.alone),
        )
    )
    figures.append(
        Figure(
            f"execute_task over HTTP, {_CALLERS} callers, rate",
            len(ratchet.together) / ratchet.busy_seconds,
            "calls/s",
            len(ratchet.together),
            len(bare.together) / bare.busy_seconds,
        )
    )
    return figures
