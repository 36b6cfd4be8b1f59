"""What `ratchet doctor` looks at in the project: its configuration, places, port, tasks, and what runs.

A check needs what those before it found; where that is missing it is left out, as the cause is on the list already.
"""

import asyncio
import importlib.metadata
import importlib.util
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ipc.errors import IpcError
from ratchet.bodies.common import Empty
from ratchet.bodies.executions import Catalogue, ListTasks
from ratchet.bodies.health import Health
from ratchet.cli.checks import Check, probe_imports
from ratchet.cli.connection import connect
from ratchet.cli.node_view import overview
from ratchet.cli.quantities import size
from ratchet.config import Config, load_config
from ratchet.errors import NotRunningError, RatchetError
from ratchet.messages import GET_HEALTH, LIST_TASKS
from ratchet.project import Project
from ratchet.stores import STORE_FILES, recovery
from ratchet.supervision.client import SupervisorClient
from ratchet.supervision.resources import bind_http, prepare_data_dir
from ratchet.supervision.states import State
from ratchet.supervision.status import SupervisorStatus

_HEALTH_SECONDS = 3.0
_FREE_BYTES_MIN = 100 * 1024 * 1024
# What a child needs of an interpreter that is not ours.
_CHILD_PACKAGES = {"pydantic": "pydantic", "msgpack": "msgpack"}


def check_project(project: Project) -> Iterator[Check]:
    """Every check of the project, in the order in which to mend them."""
    yield Check("runtime dir", "ok", str(project.runtime_dir))
    supervisor, running = _supervisor(project)
    config, loads = _configuration(project)
    yield loads
    if config is not None:
        yield from (Check("configuration", "warning", one) for one in config.warnings)
        yield check_data_dir(config.data_dir, running)
        yield from check_stores(config.data_dir)
        yield from check_task_folders(config)
        yield check_python_of_tasks(config)
        yield check_port(config, running)
        if config.llm.providers:
            yield check_provider_package()
    yield supervisor
    if running is not None:
        yield from check_running(project, running)


def _configuration(project: Project) -> tuple[Config | None, Check]:
    try:
        config = load_config(project, environ=os.environ)
    except RatchetError as error:
        return None, Check("configuration", "failed", error.message, "correct it: config.example.yaml has every key")
    return config, Check("configuration", "ok", str(project.config_path or "no ratchet.yaml: defaults apply"))


def check_data_dir(path: Path, running: SupervisorStatus | None) -> Check:
    """Whether the data directory can be written and has room; nothing is created."""
    existing = next(place for place in (path, *path.parents) if place.exists())
    if running is None or running.data_dir != str(path):
        try:
            _require_writable(path, existing)
        except RatchetError as error:
            return Check("data dir", "failed", error.message, "or pass --data-dir")
    free = shutil.disk_usage(existing).free
    found = f"{path} ({size(free)} free)"
    if free < _FREE_BYTES_MIN:
        return Check("data dir", "failed", found, "make room: nothing can be recorded on a full disk")
    return Check("data dir", "ok", found)


def _require_writable(path: Path, existing: Path) -> None:
    if path.exists():
        os.close(prepare_data_dir(path))
    elif not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise RatchetError(f"{path} cannot be created: {existing} is not a directory that this user may write")


def check_stores(path: Path) -> Iterator[Check]:
    """Whether a store's file was found damaged, now or before."""
    for name in STORE_FILES:
        for aside in recovery.were_set_aside(path / name):
            advice = "mend it with `sqlite3 FILE .recover`, or delete it: an empty store took its place"
            yield Check(f"store {name}", "warning", f"{aside} was damaged and set aside", advice)
        try:
            what = recovery.damage(path / name)
        except (OSError, sqlite3.Error) as error:
            what = str(error)
        if what is not None:
            yield Check(f"store {name}", "failed", what, f"restore {path / name} from a backup, or move it away")


def check_task_folders(config: Config) -> Iterator[Check]:
    """Whether the task folders are there."""
    for path in config.tasks.paths:
        if path.is_dir():
            yield Check("task folder", "ok", str(path))
        else:
            advice = "create it, or correct tasks.paths; `ratchet init` makes a folder with a first task"
            yield Check("task folder", "failed", f"{path} is no directory", advice)


def check_python_of_tasks(config: Config) -> Check:
    """Whether the interpreter of tasks starts and has what a child needs."""
    python = str(config.tasks.python)
    if python == sys.executable:
        return Check("tasks.python", "ok", f"{python} (Ratchet's own)")
    advice = f"{python} -m pip install pydantic msgpack"
    try:
        missing = probe_imports(python, _CHILD_PACKAGES, ()).errors
    except (OSError, subprocess.SubprocessError) as error:
        return Check("tasks.python", "failed", f"{python} does not start: {error}", "correct tasks.python")
    if missing:
        return Check("tasks.python", "failed", "; ".join(f"{name}: {why}" for name, why in missing.items()), advice)
    return Check("tasks.python", "ok", python)


def check_port(config: Config, running: SupervisorStatus | None) -> Check:
    """Whether the HTTP port is free, or already the supervisor's."""
    server = config.mcp.server
    if not server.serves_http:
        return Check("port", "skipped", "no HTTP server is configured")
    if running is not None and running.addresses:
        return Check("port", "ok", f"{', '.join(running.addresses)} (the supervisor's)")
    try:
        bind_http(config).close()
    except RatchetError as error:
        return Check("port", "failed", error.message, "choose another mcp.server.bind_address")
    return Check("port", "ok", f"{server.bind_address} is free")


def check_provider_package(module: str = "openai") -> Check:
    """Whether what asks LLM providers is installed."""
    if importlib.util.find_spec(module) is None:
        return Check("llm.providers", "failed", f"the package {module} is missing", "install ratchet-mcp[llm]")
    return Check("llm.providers", "ok", f"{module} {importlib.metadata.version(module)}")


def _supervisor(project: Project) -> tuple[Check, SupervisorStatus | None]:
    try:
        with SupervisorClient(project) as client:
            found = client.status()
    except NotRunningError:
        return Check("supervisor", "skipped", "none runs", "start it with `ratchet up`"), None
    except RatchetError as error:
        return Check("supervisor", "failed", error.message, "end it and start it anew"), None
    if found.config_digest != project.config_digest:
        advice = "`ratchet down`, then `ratchet up`, applies the configuration"
        return Check("supervisor", "warning", "the configuration has changed since it started", advice), found
    return Check("supervisor", "ok", f"pid {found.pid}, version {found.version}, {found.mode}"), found


def check_running(project: Project, running: SupervisorStatus) -> Iterator[Check]:
    """Whether every actor is well, and every task file."""
    ill = [child for child in running.children if child.state is not State.RUNNING]
    for child in ill:
        last = child.error or (child.last_exit.cause if child.last_exit else "")
        advice = f"its log says why: {Path(running.data_dir) / 'logs' / (child.name + '.jsonl')}"
        yield Check(f"actor {child.name}", "failed", f"{child.state}{': ' + last if last else ''}", advice)
    try:
        health, counters, catalogue = asyncio.run(_ask(project))
    except (RatchetError, IpcError) as error:
        yield Check("hub", "failed", error.message, "see `ratchet status`")
        return
    yield from _peers(health)
    if not ill:
        yield Check("actors", "ok", ", ".join(child.name for child in running.children))
    yield _messages(counters)
    yield from _nodes(health)
    yield from _task_files(catalogue)


async def _ask(project: Project) -> tuple[Health, dict[str, int], Catalogue]:
    async with connect(project) as client:
        health = await client.call(GET_HEALTH, Empty(), target="task-runner")
        actors = [peer.name for peer in health.peers if peer.role != "cli" and peer.liveness == "alive"]
        asked = (client.call(GET_HEALTH, Empty(), target=name, timeout_seconds=_HEALTH_SECONDS) for name in actors)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        known = [health, *(one for one in answers if isinstance(one, Health))]
        counters = {f"{one.name}.{name}": count for one in known for name, count in one.counters.items() if count}
        return health, counters, await client.call(LIST_TASKS, ListTasks())


def _messages(counters: Mapping[str, int]) -> Check:
    """What messaging dropped, refused or gave up since the actors started: facts, not in themselves a fault."""
    told = ", ".join(f"{name} {count}" for name, count in sorted(counters.items()))
    return Check("messages", "ok", told or "nothing dropped, late, expired or refused")


def _peers(health: Health) -> Iterator[Check]:
    for peer in health.peers:
        if peer.liveness != "alive":
            advice = "it does not answer pings: it is overloaded or stopped"
            yield Check(f"peer {peer.name}", "failed", peer.liveness, advice)
        elif peer.draining:
            yield Check(f"peer {peer.name}", "ok", "draining: it finishes what it began, and takes nothing more")


def _nodes(health: Health) -> Iterator[Check]:
    """Where machines may join: whether those that did are there."""
    if health.cluster is None:
        return
    yield Check("cluster", "ok", overview(health.cluster))
    for node in health.cluster.nodes:
        if node.status == "enrolled" and not node.connected:
            advice = "see that `ratchet worker` runs there; `ratchet node drain` or `revoke` where it is not meant to"
            yield Check(f"node {node.name}", "warning", "not connected", advice)


def _task_files(catalogue: Catalogue) -> Iterator[Check]:
    for broken in catalogue.broken:
        place = broken.path + (f":{broken.line}" if broken.line else "")
        yield Check("task file", "failed", f"{place}: {broken.error_type}: {broken.message}", "mend the file")
    if not catalogue.broken:
        yield Check("tasks", "ok", f"{len(catalogue.tasks)} tasks")
