"""What the programs here have in common: the connection that the command line asks for, and how they end."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
from mcp import MCPError

from examples.agent import DEFAULT_URL, Agent, TaskError, leaves, over_http, over_stdio

_CONFIG = Path(__file__).with_name("ratchet.yaml")


def arguments_of(name: str, description: str | None) -> argparse.ArgumentParser:
    """A parser that knows the options of the connection."""
    parser = argparse.ArgumentParser(
        prog=f"python -m examples.{name}", description=(description or "").partition("\n")[0]
    )
    parser.add_argument("--url", default=DEFAULT_URL, help="where Ratchet listens (default: %(default)s)")
    parser.add_argument(
        "--api-key", default=os.environ.get("RATCHET_API_KEY"), help="for a Ratchet that asks for one; $RATCHET_API_KEY"
    )
    parser.add_argument("--stdio", action="store_true", help="start `ratchet stdio` instead of using --url")
    parser.add_argument("--config", type=Path, default=_CONFIG, help="its configuration (default: %(default)s)")
    return parser


def run(arguments: argparse.Namespace, work: Callable[[Agent], Awaitable[object]], name: str) -> int:
    """Connect and do the work. Returns the exit code: 1 where a task failed or nobody answered."""
    problems: list[str] = []
    try:
        asyncio.run(_connected(arguments, work))
    except* TaskError as errors:
        problems += map(str, leaves(errors))
    except* httpx2.ConnectError:
        problems.append(f"nothing answers at {arguments.url}: start Ratchet with `make run`, or use --stdio")
    except* MCPError as errors:
        problems += [f"{error}; a Ratchet that asks for an API key wants it as --api-key" for error in leaves(errors)]
    for problem in problems:
        print(f"{name}: {problem}", file=sys.stderr)
    return 1 if problems else 0


async def _connected(arguments: argparse.Namespace, work: Callable[[Agent], Awaitable[object]]) -> None:
    connection = over_stdio(arguments.config) if arguments.stdio else over_http(arguments.url, arguments.api_key)
    async with connection as agent:
        await work(agent)
