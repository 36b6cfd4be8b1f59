"""`execute_task` of a trivial task over HTTP, beside a bare SDK server's tool call, interleaved.

The client is the same for both and as thin as possible: one JSON-RPC request of the 2026-07-28 era a POST, over
connections that stay open. So the figures compare servers, not clients.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

from benchmarks.figure import Figure, percentile
from benchmarks.processes import running_bare_http, running_ratchet

_VERSION = "2026-07-28"
_WARM_UP_CALLS = 40
_ALONE_CALLS = 400
_CALLERS = 16
_ROUNDS = 6
_ROUND_SECONDS = 1.5

HELLO = {"text": "hello"}

_ids = itertools.count(1)


@dataclass(slots=True)
class Target:
    """A server, the call that is made, and how long its calls took (milliseconds)."""

    clients: list[httpx.AsyncClient]  # one a caller: a shared pool of connections would be what is measured
    url: str
    tool: str
    arguments: dict[str, Any]
    output: Callable[[dict[str, Any]], object]
    capabilities: dict[str, Any] = field(default_factory=dict[str, Any])
    alone: list[float] = field(default_factory=list[float])
    together: list[float] = field(default_factory=list[float])
    busy_seconds: float = 0.0

    async def call(self, into: list[float], caller: int = 0) -> None:
        """One call, timed.

        Raises:
            RuntimeError: The answer is not what the task returns.
        """
        started = time.perf_counter()
        result = await self._answer(self.clients[caller])
        into.append(1000 * (time.perf_counter() - started))
        if result.get("isError") or self.output(result.get("structuredContent", {})) != HELLO["text"]:
            raise RuntimeError(f"{self.tool} answered {result!r:.500}")

    async def _answer(self, client: httpx.AsyncClient) -> dict[str, Any]:
        """The call's result."""
        return await self._ask(client, "tools/call", self.tool, name=self.tool, arguments=self.arguments)

    async def _ask(self, client: httpx.AsyncClient, method: str, subject: str, **params: Any) -> dict[str, Any]:
        """One request.

        Args:
            client: Whose connection carries it.
            method: Of MCP.
            subject: What it is about, as a header names it too.
            params: Beside what every request says of its client.

        Raises:
            RuntimeError: It was refused.
        """
        meta = {
            "io.modelcontextprotocol/protocolVersion": _VERSION,
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
        }
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": _VERSION,
            "Mcp-Method": method,
            "Mcp-Name": subject,
        }
        request = {"jsonrpc": "2.0", "id": next(_ids), "method": method, "params": {**params, "_meta": meta}}
        answer = await client.post(self.url, json=request, headers=headers)
        if not answer.is_success:
            raise RuntimeError(f"{method} of {subject} answered {answer.status_code}: {answer.text[:500]}")
        return cast("dict[str, Any]", answer.json().get("result", {}))


def measure() -> list[Figure]:
    """The figures of this part."""
    with running_bare_http() as bare_url, running_ratchet() as folder:
        return asyncio.run(_measure(bare_url, folder.url))


async def _measure(bare_url: str, ratchet_url: str) -> list[Figure]:
    async with clients() as ours, clients() as theirs:
        ratchet = ratchet_target(ours, ratchet_url)
        bare = Target(theirs, bare_url, "echo", HELLO, lambda answer: answer.get("output"))
        await interleave(ratchet, bare)
        return figures_of("execute_task over HTTP", ratchet, bare)


@asynccontextmanager
async def clients() -> AsyncGenerator[list[httpx.AsyncClient]]:
    """A client for each caller."""
    async with AsyncExitStack() as stack:
        made = [httpx.AsyncClient(timeout=60, verify=False) for _ in range(_CALLERS)]
        yield [await stack.enter_async_context(one) for one in made]


def ratchet_target(clients: list[httpx.AsyncClient], url: str) -> Target:
    """`execute_task` of the trivial task, waited for."""
    arguments = {"task_id": "echo", "input": HELLO, "wait_seconds": 30}
    return Target(clients, url, "ratchet_execute_task", arguments, lambda answer: answer.get("output"))


async def interleave(*targets: Target) -> None:
    """Warm up; then call one after the other alone, and in turns with many callers at once."""
    for target in targets:
        await _crowd(target, calls=_WARM_UP_CALLS, into=[])
    for _ in range(_ALONE_CALLS):
        for target in targets:
            await target.call(target.alone)
    for _ in range(_ROUNDS):
        for target in targets:
            started = time.perf_counter()
            await _crowd(target, seconds=_ROUND_SECONDS, into=target.together)
            target.busy_seconds += time.perf_counter() - started


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


def figures_of(name: str, ratchet: Target, bare: Target) -> list[Figure]:
    """What came out, beside what it is compared with."""
    figures: list[Figure] = []
    for callers, ours, theirs in ((1, ratchet.alone, bare.alone), (_CALLERS, ratchet.together, bare.together)):
        figures += [
            Figure(
                f"{name}, {callers} caller{'s' if callers > 1 else ''}, p{percent}",
                percentile(ours, percent),
                "ms",
                len(ours),
                percentile(theirs, percent),
            )
            for percent in (50, 99)
        ]
    figures.append(
        Figure(
            f"{name}, 1 caller, rate",
            1000 * len(ratchet.alone) / sum(ratchet.alone),
            "calls/s",
            len(ratchet.alone),
            1000 * len(bare.alone) / sum(bare.alone),
        )
    )
    figures.append(
        Figure(
            f"{name}, {_CALLERS} callers, rate",
            len(ratchet.together) / ratchet.busy_seconds,
            "calls/s",
            len(ratchet.together),
            len(bare.together) / bare.busy_seconds,
        )
    )
    return figures
