"""The composition root: which actors there are, and the command that starts and keeps them.

`ratchet up` and `ratchet stdio` exec `python -P -m supervisor`; it is the one module that imports everything, once, so
that every actor is a fork of a process that has loaded all it needs.
"""

import gc
import importlib
import sys

# Loading a thousand modules makes the collector run again and again, for nothing.
gc.disable()
# structlog loads rich where that is installed, which no actor has a use for: a twentieth of the time and of the memory.
_RICH_IS_LOADED = "rich" in sys.modules
if not _RICH_IS_LOADED:
    sys.modules["rich"] = None  # pyright: ignore[reportArgumentType]
import structlog  # noqa: E402, F401  # pyright: ignore[reportUnusedImport]

if not _RICH_IS_LOADED:
    del sys.modules["rich"]

from actors import llm_gateway, log_store, mcp_front, node, task_runner, trace_store, worker  # noqa: E402
from ratchet.cluster.membership import Membership  # noqa: E402
from ratchet.cluster.names import actor_name  # noqa: E402
from ratchet.config import Config  # noqa: E402
from ratchet.supervision.command import parse, serve  # noqa: E402
from ratchet.supervision.launcher import LocalLauncher, NodeLauncher  # noqa: E402
from ratchet.supervision.spec import ChildSpec, ChildTable, Restart  # noqa: E402

# Or the next allocation would make up for it.
gc.freeze()
gc.enable()

# What actors would load by themselves, each for its own, at first use.
PRELOADED = (
    "actors.mcp_front.tools.analyses",
    "actors.node.actor",
    "actors.mcp_front.tools.observations",
    "actors.task_runner.actor",
    "actors.worker.actor",
    "anyio._backends._asyncio",
    "concurrent.futures.thread",
    "encodings.idna",
    "encodings.utf_8_sig",
    "importlib.readers",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
)

_STORE_GRACE_SECONDS = 10.0
_FRONT_GRACE_SECONDS = 5.0
_GATEWAY_GRACE_SECONDS = 5.0
_NODE_GRACE_SECONDS = 5.0

_HTTP_FRONT = ChildSpec("mcp-front", mcp_front.start, Restart.PERMANENT, 3, _FRONT_GRACE_SECONDS, wants=("http",))
_STDIO_FRONT = ChildSpec("mcp-front", mcp_front.start_stdio, Restart.TEMPORARY, 3, _FRONT_GRACE_SECONDS)


def child_table(config: Config) -> ChildTable:
    """Every actor, in the order of start."""
    drain_seconds = config.supervisor.drain_seconds
    runner = ChildSpec("task-runner", task_runner.start, Restart.PERMANENT, 0, drain_seconds + _STORE_GRACE_SECONDS)
    logs = ChildSpec("log-store", log_store.start, Restart.PERMANENT, 1, _STORE_GRACE_SECONDS)
    traces = ChildSpec("trace-store", trace_store.start, Restart.PERMANENT, 1, _STORE_GRACE_SECONDS)
    launcher = LocalLauncher(worker.start, config)
    workers = launcher.rows(stage=2)
    gateway = ChildSpec(
        "llm-gateway", llm_gateway.start, Restart.PERMANENT, 1, _GATEWAY_GRACE_SECONDS, reaches_out=True
    )
    outward = (gateway,) if config.reaches_out else ()
    return ChildTable(
        always=(runner, logs, traces, *outward, *workers),
        http_front=_HTTP_FRONT,
        stdio_front=_STDIO_FRONT,
        reports_to=runner.name,
        workers=tuple(one.name for one in workers),
        spare=launcher.spare(stage=2),
    )


def node_table(config: Config, member: Membership) -> ChildTable:
    """Every actor of a machine that only works; its fronts are never started, since it turns every agent away."""
    speaker = ChildSpec(actor_name(member.node), node.start, Restart.PERMANENT, 0, _NODE_GRACE_SECONDS)
    launcher = NodeLauncher(worker.start, config, member.node)
    workers = launcher.rows(stage=1)
    return ChildTable(
        always=(speaker, *workers),
        http_front=_HTTP_FRONT,
        stdio_front=_STDIO_FRONT,
        reports_to=speaker.name,
        workers=tuple(one.name for one in workers),
        spare=launcher.spare(stage=1),
    )


def _table(config: Config, member: Membership | None) -> ChildTable:
    return child_table(config) if member is None else node_table(config, member)


def main() -> int:
    """Run a supervisor until it is told to stop.

    Returns:
        The process's exit code: 0 after a drain, 1 when it could not start, 70 when actors crashed too often, 77
        when the head that it is a node of does not want it.
    """
    return serve(_table, parse(sys.argv[1:]), preload=_preload)


def _preload() -> None:
    for name in PRELOADED:
        importlib.import_module(name)


if __name__ == "__main__":
    sys.exit(main())
