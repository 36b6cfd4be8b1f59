"""One run: a project, its load, the faults, and the reckoning."""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from tests.chaos import evidence, invariants
from tests.chaos.faults import Faults
from tests.chaos.load import Load
from tests.chaos.plan import NODE, TARGETS, Fault, schedule
from tests.chaos.report import Outcome, say
from tests.chaos.watch import Watch
from tests.harness import Json, RunningProject, running_project
from tests.processes.cluster import Cluster, Proxy, free_port

WORKERS: Final = 2
CHILDREN: Final = 3
NODE_CHILDREN: Final = 2
_TASKS: Final = Path(__file__).with_name("tasks") / "mixture.py"
_REASON_CHARACTERS_MAX: Final = 1500
_CRASHES: Final = {
    "a commit broke",
    "a handler raised",
    "a listener to progress raised",
    "a task of this actor crashed",
    "a tool failed",
    "the actor crashed",
    "the handler of an event raised",
}

CONFIG: Final[Json] = {
    # As many restarts as there will be faults, at the pace of a system that is not given up.
    "supervisor": {"restart_intensity": 1000, "restart_period_seconds": 10, "drain_seconds": 10},
    "workers": {"count": WORKERS, "children": CHILDREN},
    "executions": {"grace_seconds": 0.5},
    "limits": {"timeout_seconds": 120},
    "tasks": {"env": ["CHAOS_MARKS"]},
    "llm": {"scripted": [{"answer": "so it is"}], "calls_per_execution": 1000},
}


async def run(folder: Path, executions: int, seed: int, *, only: Iterable[str] = TARGETS) -> Outcome:
    """Do it, and say what became of it.

    Args:
        folder: Where the project is made.
        executions: How many there are, besides those that tasks call.
        seed: Of the faults and of the mixture of tasks.
        only: Kinds of processes that are struck.
    """
    marks = folder / "marks"
    port = free_port()
    config = {**CONFIG, "cluster": {"listen": f"127.0.0.1:{port}"}}
    tasks, environ = {"mixture": _TASKS.read_text()}, {"CHAOS_MARKS": str(marks)}
    async with (
        running_project(folder / "project", tasks=tasks, config=config, environ=environ) as project,
        _node(Cluster(project, port, folder), folder, tasks, environ, wanted=NODE in only) as network,
    ):
        load = Load(project, executions, seed)
        faults = Faults(project, load.told, network)
        watch = Watch(project, WORKERS, WORKERS * CHILDREN + (0 if network is None else NODE_CHILDREN))
        await asyncio.to_thread(watch.begin)
        started = time.monotonic()
        await _under(watch, load, faults, schedule(executions, seed, only=only))
        seconds = time.monotonic() - started
        problems = [*load.told.complaints, *faults.complaints, *await watch.settled()]
        found = await evidence.executions(project)
        code = await asyncio.to_thread(project.stop)
        problems += [f"the supervisor ended with {code}"] if code else []
        gathered = evidence.collect(project, found, marks)
        problems += invariants.complaints(load.told, gathered, faults.strikes)
        problems += _crashes(project)
    replay = ["make", "chaos", f"N={executions}", f"SEED={seed}"]
    replay += [f"ONLY={','.join(only)}"] if set(only) != set(TARGETS) else []
    return Outcome(replay, load.told, faults.strikes, faults.missed, found, watch, problems, seconds)


@asynccontextmanager
async def _node(
    cluster: Cluster, folder: Path, tasks: Mapping[str, str], environ: Mapping[str, str], *, wanted: bool
) -> AsyncGenerator[Proxy | None]:
    """A machine that works for the head, and the network between them."""
    if not wanted:
        yield None
        return
    network = Proxy(cluster.port)
    with tempfile.TemporaryDirectory(
        prefix="rt-"
    ) as runtime_dir:  # a short path: those of Unix sockets must not be long
        (folder / NODE).mkdir()
        found = cluster.nodes[NODE] = RunningProject(folder / NODE, Path(runtime_dir), environ)
        found.configure({**CONFIG, "workers": {"count": 1, "children": NODE_CHILDREN}})
        for name, source in tasks.items():
            found.write_task(name, source)
        try:
            token = await asyncio.to_thread(cluster.token)
            await asyncio.to_thread(cluster.start, NODE, token=token, port=network.port)
            yield network
        finally:
            await asyncio.to_thread(cluster.close)
            network.close()


async def _under(watch: Watch, load: Load, faults: Faults, planned: Sequence[Fault]) -> None:
    watching = asyncio.create_task(watch.run())
    striking = asyncio.create_task(faults.run(planned))
    telling = asyncio.create_task(_tell(load, len(planned), faults))
    try:
        await load.run()
        await striking
    finally:
        for task in (watching, striking, telling):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _tell(load: Load, planned: int, faults: Faults) -> None:
    while True:
        await asyncio.sleep(10)
        say(f"{load.told.ended} ended, {len(faults.strikes)} of {planned} faults carried out")


def _crashes(project: RunningProject) -> list[str]:
    """What actors logged that they should never: a bug, whatever it led to."""
    found: list[str] = []
    for path in sorted((project.data_dir / "logs").glob("*.jsonl")):
        for line in path.read_text(errors="replace").splitlines():
            with suppress(ValueError):  # half a line, where the disk was full
                entry: Json = json.loads(line)
                if entry.get("event") in _CRASHES:
                    why = str(entry.get("exception", entry.get("error")))[-_REASON_CHARACTERS_MAX:]
                    found.append(f"{entry.get('actor')}: {entry['event']}: {why}")
    return found
