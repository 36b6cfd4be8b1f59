"""A supervisor whose actors are tiny: real processes that do as little as there is to see.

`python -P -m tiny_supervisor` (with this folder on PYTHONPATH) takes the same options as `supervisor`. Actors find
their orders in files of the data directory: what a test writes there, they do.
"""

import asyncio
import json
import os
import signal
import sys

from ratchet.actor import ActorHost, ActorSetup, run_actor
from ratchet.config import Config
from ratchet.errors import StartupError
from ratchet.supervision.command import parse, serve
from ratchet.supervision.exits import ExitReport
from ratchet.supervision.spec import ChildSpec, ChildTable, Restart


def orders(setup: ActorSetup) -> dict[str, object]:
    """What a test wants of this actor."""
    path = setup.config.data_dir / f"{setup.name}.orders.json"
    return json.loads(path.read_text()) if path.exists() else {}


def note(setup: ActorSetup, **facts: object) -> None:
    """Leave a line for the test to read."""
    with (setup.config.data_dir / f"{setup.role}.notes").open("a") as file:
        file.write(json.dumps({"name": setup.name, "pid": os.getpid(), **facts}) + "\n")


def start(setup: ActorSetup) -> None:
    async def main(host: ActorHost) -> None:
        order = orders(setup)
        if "fail" in order:
            host.fail(StartupError(str(order["fail"])))
        if order.get("silent"):
            await asyncio.Event().wait()
        if order.get("daemon"):
            # Twice forked, in a session of its own: nobody's child.
            command = (sys.executable, "-c", DAEMON, str(setup.config.data_dir / "daemon.pid"))
            await (await asyncio.create_subprocess_exec(*command)).wait()
        note(setup, said="ready")
        host.ready()
        if order.get("crash"):
            raise RuntimeError("ordered to crash")
        if order.get("own crash"):
            host.own(crash(), name="short-lived")
        await host.drain.wait()
        note(setup, said="draining")
        if order.get("stubborn"):
            await asyncio.Event().wait()

    run_actor(setup, main)


async def crash() -> None:
    raise RuntimeError("ordered to crash")


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(300)
    os._exit(0)
"""


def start_runner(setup: ActorSetup) -> None:
    """Acknowledges exits, unless ordered not to, and is busy while a file says so."""

    async def main(host: ActorHost) -> None:
        async def on_exit_report(report: ExitReport) -> None:
            note(setup, exit=report.to_body(), cause=report.cause)
            if orders(setup).get("deaf"):
                os.kill(os.getpid(), signal.SIGKILL)

        async def report_work() -> None:
            path = setup.config.data_dir / "busy"
            known = False
            while True:
                if path.exists() is not known:
                    known = not known
                    host.busy(known)
                await asyncio.sleep(0.01)

        host.on_exit_report = on_exit_report
        host.own(report_work(), name="work")
        note(setup, said="ready")
        host.ready(tasks=2, broken=1)
        await host.drain.wait()
        note(setup, said="draining")

    run_actor(setup, main)


def start_stdio(setup: ActorSetup) -> None:
    """Echoes lines in capitals until the agent closes its end, or dies on the word."""

    async def main(host: ActorHost) -> None:
        stdin, stdout, stderr = setup.fds
        note(setup, said="ready", client=dict(setup.extras["client"]))
        host.ready()
        host.own(until_drained(host), name="drain")
        with os.fdopen(stdin, "rb", buffering=0) as lines, os.fdopen(stdout, "wb", buffering=0) as answers:
            while line := await asyncio.to_thread(lines.readline):
                if line == b"die\n":
                    os.kill(os.getpid(), signal.SIGKILL)
                answers.write(line.upper())
        os.close(stderr)

    async def until_drained(host: ActorHost) -> None:
        await host.drain.wait()
        os._exit(0)

    run_actor(setup, main)


def table(config: Config, _member: object) -> ChildTable:
    """The same shape as the real one."""
    names = ["log-store", "trace-store", *(f"worker:{number + 1}" for number in range(config.workers.count))]
    others = [
        ChildSpec(name, start, Restart.PERMANENT, 2 if ":" in name else 1, 0.5, subreaper=":" in name) for name in names
    ]
    return ChildTable(
        always=(ChildSpec("task-runner", start_runner, Restart.PERMANENT, 0, 1.0), *others),
        http_front=ChildSpec("mcp-front", start, Restart.PERMANENT, 3, 1.0, wants=("http",)),
        stdio_front=ChildSpec("mcp-front", start_stdio, Restart.TEMPORARY, 3, 1.0),
        reports_to="task-runner",
    )


if __name__ == "__main__":
    sys.exit(serve(table, parse(sys.argv[1:])))
