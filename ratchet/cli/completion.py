"""What the shell offers for task and execution arguments. Fast, and silent where no supervisor answers."""

import asyncio
import os
from pathlib import Path
from typing import Any

import typer

WELCOME_SECONDS = 0.5
ANSWER_SECONDS = 1.0
_DESCRIPTION_CHARACTERS = 60


def complete_task(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Task ids that begin with `incomplete`, with their descriptions."""
    return [(name, about) for name, about in _offered(ctx, _tasks) if name.startswith(incomplete)]


def complete_execution(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """`last` and recent execution ids that begin with `incomplete`."""
    return [(name, about) for name, about in _offered(ctx, _executions) if name.startswith(incomplete)]


def complete_node(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of nodes that begin with `incomplete`, with what is the matter with each."""
    return [(name, about) for name, about in _offered(ctx, _nodes) if name.startswith(incomplete)]


def _offered(ctx: typer.Context, question: Any) -> list[tuple[str, str]]:
    # Imported here: a shell waits for this module at every key press, and most completions are of option names.
    from ipc.errors import IpcError
    from ratchet.errors import RatchetError
    from ratchet.project import find_project

    before = ctx.find_root().params
    config = ctx.params.get("config") or before.get("config")
    data_dir = ctx.params.get("data_dir") or before.get("data_dir")
    try:
        project = find_project(config, data_dir, os.environ, Path.cwd())
        return asyncio.run(asyncio.wait_for(question(project), WELCOME_SECONDS + ANSWER_SECONDS))
    except (RatchetError, IpcError, OSError, TimeoutError):
        return []  # a shell in the middle of a line has no place for an error


async def _tasks(project: Any) -> list[tuple[str, str]]:
    from ratchet.bodies.executions import ListTasks
    from ratchet.cli.connection import connect
    from ratchet.cli.render import one_line
    from ratchet.messages import LIST_TASKS

    async with connect(project, welcome_seconds=WELCOME_SECONDS) as client:
        found = await client.call(LIST_TASKS, ListTasks(), timeout_seconds=ANSWER_SECONDS)
    return [(task.task_id, one_line(task.description, _DESCRIPTION_CHARACTERS)) for task in found.tasks]


async def _executions(project: Any) -> list[tuple[str, str]]:
    from ratchet.bodies.executions import ListExecutions
    from ratchet.cli.connection import connect
    from ratchet.messages import LIST_EXECUTIONS

    async with connect(project, welcome_seconds=WELCOME_SECONDS) as client:
        found = await client.call(LIST_EXECUTIONS, ListExecutions(limit=20), timeout_seconds=ANSWER_SECONDS)
    recent = [(one.execution_id, f"{one.task_id} {one.status}") for one in found.executions]
    return [("last", "the newest execution"), *recent]


async def _nodes(project: Any) -> list[tuple[str, str]]:
    from ratchet.bodies.common import Empty
    from ratchet.cli.connection import connect
    from ratchet.messages import LIST_NODES

    async with connect(project, welcome_seconds=WELCOME_SECONDS) as client:
        found = await client.call(LIST_NODES, Empty(), timeout_seconds=ANSWER_SECONDS)
    return [(one.name, f"{one.status}, {'' if one.connected else 'not '}connected") for one in found.nodes]
