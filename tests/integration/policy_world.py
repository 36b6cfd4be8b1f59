"""Projects under policy: clients with permissions on both transports, and executions that belong to one of them."""

import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mcp import Client
from mcp.client.sse import sse_client

from actors.mcp_front.answers.failures import REFUSED_CATEGORIES
from ratchet.bodies.executions import Submit
from ratchet.cli.connection import connect
from ratchet.messages import SUBMIT
from ratchet.models import Execution, Source
from tests.harness import Json, RunningProject

TASKS = {
    "policed": """
        import time
        from ratchet import Context, task

        @task(id="safe-add")
        def safe_add(a: int = 1) -> int:
            '''Add one.'''
            return a + 1

        @task(id="safe-sleep")
        def safe_sleep(seconds: float = 30) -> str:
            '''Sleep.'''
            time.sleep(seconds)
            return "slept"

        @task(id="safe-chatter")
        def safe_chatter(ctx: Context, lines: int = 20) -> int:
            '''Log some lines that differ.'''
            for word in ("alpha", "beta", "gamma", "delta", "epsilon") * (lines // 5):
                ctx.log.info(f"the word is {word} " + word * (1 + len(word)))
            return lines

        @task(id="other-add")
        def other_add(a: int = 1) -> int:
            '''Add one, elsewhere.'''
            return a + 1

        @task(id="safe-wipe", dangerous=True)
        def safe_wipe() -> str:
            '''Delete everything, or so.'''
            return "wiped"
        """,
    "other_broken": "def oops(:\n",
}
LOCAL = "local"
GUEST = "guest"
KEYS = {"GUEST_KEY": "guest-0123456789abcdef", "OTHER_KEY": "other-0123456789abcdef"}


def configuration(permissions: Json, **server: Any) -> Json:
    """One profile for everybody: the key `guest`, and agents on stdio. The key `other` may do everything."""
    keys = [
        {"name": GUEST, "key": "${GUEST_KEY}", "permissions": permissions},
        {"name": "other", "key": "${OTHER_KEY}"},
    ]
    settings = {
        "auth": {"type": "api_key", "api_keys": keys},
        "stdio": {"permissions": permissions},
        **server,
    }
    # One worker: this is about who may ask, not about how fast it is done.
    return {"workers": {"count": 1, "children": 2}, "mcp": {"server": settings}}


@dataclass(frozen=True)
class Way:
    """How a client comes in, in which era, and as whom."""

    transport: str
    mode: str

    @property
    def name(self) -> str:
        """The client that it is."""
        return LOCAL if self.transport == "stdio" else GUEST

    @property
    def foreigner(self) -> str:
        """Another client."""
        return GUEST if self.transport == "stdio" else LOCAL

    def client(self, project: RunningProject, **options: Any) -> Client:
        """To be entered."""
        if self.transport == "stdio":
            return project.stdio_client(self.mode, **options)
        if self.transport == "sse":
            transport = sse_client(project.sse_url, headers={"X-API-Key": KEYS["GUEST_KEY"]})
            return Client(transport, mode=self.mode, **options)
        return project.client(self.mode, headers={"X-API-Key": KEYS["GUEST_KEY"]}, **options)


WAYS = [Way(transport, mode) for transport in ("http", "stdio") for mode in ("auto", "legacy")]
SSE = Way("sse", "legacy")


async def executed_for(project: RunningProject, client: str, task_id: str, given: Json | None = None) -> Execution:
    """An execution that belongs to a client, whatever that client may do; ended."""
    async with connect(project.project) as shell:
        submit = Submit(
            execution_id=f"exec_{secrets.token_hex(8)}",
            task_id=task_id,
            input=given or {},
            source=Source(kind="mcp", client=client),
            wait_seconds=20,
        )
        execution = await shell.call(SUBMIT, submit)
    assert execution.status.terminal
    return execution


async def outcome(client: Client, called: str, arguments: Mapping[str, Any]) -> str | None:
    """The code of a refusal; None: the call was carried out."""
    return code_of(await told(client, called, **arguments))


async def told(client: Client, called: str, **arguments: Any) -> Json:
    """The structured answer of a tool."""
    result = await client.call_tool(called, arguments)
    assert result.structured_content is not None
    return result.structured_content


def code_of(answer: Json) -> str | None:
    """The code of a refusal in a structured answer."""
    error = answer.get("error")
    return error["type"] if error is not None and error["category"] in REFUSED_CATEGORIES else None


@asynccontextmanager
async def entered(project: RunningProject, way: Way, **options: Any) -> AsyncGenerator[Client]:
    """A client that has come in."""
    async with way.client(project, **options) as client:
        yield client
