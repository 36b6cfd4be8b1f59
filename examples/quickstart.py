"""`make run`: become `ratchet up` with the example tasks, and beside it run one of them as an agent would.

This process execs `ratchet up`, so that Ctrl-C, signals and the exit code are its own. The first run is made by a
process that is forked before, waits until Ratchet answers, says what to try next, and ends.
"""

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

import httpx2

from examples.agent import Answer, TaskError, leaves, over_http
from ratchet.config import load_config
from ratchet.errors import RatchetError
from ratchet.project import Project, find_project
from ratchet.supervision.client import SupervisorClient

_START_SECONDS = 60
_RETRY_SECONDS = 0.2
_INPUT = {"file": "seattle-weather.csv"}

_NEXT = """
Ratchet is up: {url}
Try this in a second terminal:

    cd {folder} && . .venv/bin/activate
    export RATCHET_CONFIG={config}
    ratchet run validate-csv --input '{{"file": "seattle-weather.csv"}}'
    ratchet executions
    ratchet trace {execution_id}
    python -m examples.pipeline --url {url}

Connect an agent, for instance Claude Code:

    claude mcp add --transport http ratchet {url}

README.md has the configuration of other agents. Ctrl-C stops everything.
"""


async def first_run(project: Project, supervisor: int) -> None:
    """Run `validate-csv` as soon as Ratchet answers; print its result and what to try next.

    Args:
        project: The project that is being started.
        supervisor: The process that becomes `ratchet up`; when it is gone there is nothing to wait for.
    """
    deadline = time.monotonic() + _START_SECONDS
    while (url := _address(project)) is None or (answer := await _answer(url)) is None:
        if not _alive(supervisor) or time.monotonic() > deadline:
            return
        await asyncio.sleep(_RETRY_SECONDS)
    validation = answer["output"]
    print(f"  {validation['rows']} rows, valid: {validation['valid']}; columns:")
    for column in validation["detected_schema"]["columns"]:
        print(f"    {column['name']:<14} {column['type']}")
    folder = Path(__file__).parents[1]
    print(
        _NEXT.format(url=url, folder=folder, config=project.config_path, execution_id=answer["execution_id"]),
        flush=True,
    )


def _address(project: Project) -> str | None:
    """Where the project's supervisor says that it listens, or None while it is not up."""
    try:
        with SupervisorClient(project) as client:
            status = client.status()
    except (RatchetError, OSError):
        return None
    up = bool(status.children) and all(child.state == "running" for child in status.children)
    return status.addresses[0] if up and status.addresses else None


async def _answer(url: str) -> Answer | None:
    """What the first run came to, or None while nobody answers."""
    answer = None
    try:
        async with over_http(url) as agent:
            answer = await agent.run("validate-csv", _INPUT)
    except* httpx2.TransportError:
        answer = None
    return answer


def main() -> None:
    """Start Ratchet."""
    parser = argparse.ArgumentParser(prog="make run", description="Start Ratchet with the example tasks.")
    parser.add_argument("--config", default=str(Path(__file__).with_name("ratchet.yaml")), help="default: %(default)s")
    try:
        project = find_project(parser.parse_args().config, None, os.environ, Path.cwd())
        config = load_config(project, environ=os.environ)
    except RatchetError as error:
        sys.exit(f"make run: {error}")
    if config.mcp.server.serves_http:
        _beside(project)
    ratchet = str(Path(sys.executable).with_name("ratchet"))
    os.execv(ratchet, [ratchet, "up", "--config", str(project.config_path)])  # noqa: S606 - no shell is the point


def _beside(project: Project) -> None:
    """Make the first run in a process that is nobody's child: the supervisor must have no others than its own."""
    supervisor = os.getpid()
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return
    if os.fork():
        os._exit(0)
    status = 0
    try:
        asyncio.run(first_run(project, supervisor))
    except* (TaskError, OSError) as errors:
        print("make run: the first run failed:", *leaves(errors), file=sys.stderr)
        status = 1
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
