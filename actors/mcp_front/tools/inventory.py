"""The tools that show what there is: list_available_tasks, get_system_health."""

import asyncio

from actors.mcp_front.answers import catalogue_answers, health_answers
from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.tools.call import ToolCall
from ipc.errors import IpcError
from ipc.link import Link
from ratchet import rpc
from ratchet.bodies.common import Empty
from ratchet.bodies.executions import ListTasks
from ratchet.bodies.health import Health
from ratchet.errors import RatchetError
from ratchet.messages import GET_HEALTH, LIST_TASKS

# Changed task files are described by children before the answer, each of which may import a lot.
_TASKS_SECONDS = 50.0
_HEALTH_SECONDS = 3.0
_STORES = ("log-store", "trace-store")
_GATEWAY = "llm-gateway"


async def list_available_tasks(call: ToolCall) -> Answer:
    """The tasks there are at this moment."""
    given, front = call.arguments, call.front
    catalogue = await rpc.call(
        front.link,
        LIST_TASKS,
        ListTasks(client=call.caller.client, filter=given.get("filter")),
        timeout_seconds=_TASKS_SECONDS,
    )
    return catalogue_answers.tasks(
        catalogue, call.wording.names, include_schemas=given["include_schemas"], after=given.get("cursor")
    )


async def get_system_health(call: ToolCall) -> Answer:
    """What every process says of itself."""
    link = call.front.link
    roles = (*_STORES, _GATEWAY) if call.front.reaches_out else _STORES
    runner, *others = await asyncio.gather(*(_health(link, role) for role in ("task-runner", *roles)))
    return health_answers.health(
        runner, dict(zip(roles, others, strict=True)), call.front.health.report(counters=call.front.counters)
    )


async def _health(link: Link, role: str) -> Health | None:
    try:
        return await rpc.call(link, GET_HEALTH, Empty(), target=role, timeout_seconds=_HEALTH_SECONDS)
    except (IpcError, RatchetError):
        return None
