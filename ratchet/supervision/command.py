"""The supervisor's command: becomes the project's supervisor, or attaches to the one there is, or says why not."""

import argparse
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ratchet import process
from ratchet.channel import Channel
from ratchet.cluster.membership import Membership, read_membership
from ratchet.config import Config, load_config
from ratchet.errors import RatchetError, StartupError
from ratchet.logging_setup import setup_logging
from ratchet.project import Project, find_project
from ratchet.supervision import election
from ratchet.supervision.client import SupervisorClient
from ratchet.supervision.clients import error_body
from ratchet.supervision.ending import EXIT_STARTUP
from ratchet.supervision.place import Mode, Place
from ratchet.supervision.report import startup_report
from ratchet.supervision.resources import prepare_data_dir
from ratchet.supervision.run import Supervisor
from ratchet.supervision.spec import ChildTable
from ratchet.version import VERSION

# A supervisor that drains may take its time; whoever wants to follow it waits for so long.
_SUCCEED_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Options:
    """The command line.

    Attributes:
        node: Be what this machine joined as, instead of a head.
        workers: How many worker processes, whatever the configuration says.
        claimed: The lock's descriptor and the listening socket, where another process has won the election for us.
    """

    config: str | None = None
    data_dir: str | None = None
    on_demand: bool = False
    node: bool = False
    workers: int | None = None
    claimed: tuple[int, socket.socket] | None = None


def parse(arguments: Sequence[str]) -> Options:
    """The command line, as `ratchet up` and the stdio shim write it. Wrong usage exits with code 2."""
    parser = argparse.ArgumentParser(prog="ratchet-supervisor", description="Start and keep Ratchet's processes.")
    parser.add_argument("--config", help="configuration file (default: RATCHET_CONFIG, else ./ratchet.yaml)")
    parser.add_argument("--data-dir", help="directory of databases and logs, instead of the configured one")
    parser.add_argument("--on-demand", action="store_true", help="end when the last client and execution are gone")
    parser.add_argument("--node", action="store_true", help="only work, for the head that this machine joined")
    parser.add_argument("--workers", type=int, help="worker processes, instead of the configured number")
    parser.add_argument("--lock-fd", type=int, help="descriptor that holds the project's lock already")
    parser.add_argument("--listen-fd", type=int, help="descriptor of the project's listening socket")
    found = parser.parse_args(arguments)
    if (found.lock_fd is None) != (found.listen_fd is None):
        parser.error("--lock-fd and --listen-fd go together")
    claimed = None if found.lock_fd is None else (found.lock_fd, socket.socket(fileno=found.listen_fd))
    return Options(
        config=found.config,
        data_dir=found.data_dir,
        on_demand=found.on_demand,
        node=found.node,
        workers=found.workers,
        claimed=claimed,
    )


MakeTable = Callable[[Config, Membership | None], ChildTable]


def serve(table: MakeTable, options: Options, *, preload: Callable[[], None] = lambda: None) -> int:
    """Run until told to stop; errors go to stderr and, where the election was won already, to those who wait.

    Args:
        table: The child table for a configuration, on the head or on a node.
        options: The command line.
        preload: Loads what actors share; called before the first of them is forked, but not before agents that have
            waited through the start are served.

    Returns:
        The exit code.
    """
    try:
        project = find_project(options.config, options.data_dir, os.environ, Path.cwd())
        claimed = options.claimed or _claim(project)
        if claimed is None:
            _require_attachable(options, project)
            return _attach(project)
    except RatchetError as error:
        return _fail(error, options.claimed[1] if options.claimed else None)
    lock, listener = claimed
    mode: Mode = "node" if options.node else "on-demand" if options.on_demand else "up"
    try:
        os.set_inheritable(lock, False)
        election.sign(lock, f"pid {os.getpid()}, {mode}, version {VERSION}")
        return _run(table, preload, Found(project, mode, listener, options.workers))
    except RatchetError as error:
        return _fail(error, listener)


@dataclass(frozen=True, slots=True)
class Found:
    """What `_run` works with, once the election is won."""

    project: Project
    mode: Mode
    listener: socket.socket
    workers: int | None


def _run(table: MakeTable, preload: Callable[[], None], found: Found) -> int:
    config = load_config(found.project, environ=os.environ).with_workers(found.workers)
    member = _member(config) if found.mode == "node" else None
    data_lock = prepare_data_dir(config.data_dir)
    try:
        setup_logging(config.data_dir / "logs", "supervisor", str(os.getpid()), config.logging.level)
        process.become_subreaper()
        process.set_name("ratchet:supervisor")

        def load() -> None:
            preload()
            gc.freeze()

        # What is loaded stays, and is shared with every actor: a collection in one would copy its pages.
        gc.freeze()
        place = Place(found.project, config, found.mode, found.listener, member)
        return Supervisor(table(config, member), place).run(load)
    finally:
        os.close(data_lock)


def _member(config: Config) -> Membership:
    member = read_membership(config.data_dir)
    if member is None:
        raise StartupError(f"{config.data_dir} has joined no head yet: `ratchet worker --join tcp://HOST:PORT` does it")
    return member


def _require_attachable(options: Options, project: Project) -> None:
    if options.node:
        raise StartupError(
            f"{election.holder(project) or 'another supervisor'} runs for {project.folder} already: a node needs a "
            "folder, or a --data-dir, of its own"
        )


def _claim(project: Project) -> tuple[int, socket.socket] | None:
    """The project's lock, or None once somebody else can be talked to."""
    deadline = time.monotonic() + _SUCCEED_SECONDS_MAX
    while True:
        claimed = election.claim(project)
        if claimed is not None:
            return claimed
        connection = election.connect(project)
        if connection is not None:
            connection.close()
            return None
        if not election.pause(deadline):
            who = election.holder(project) or "another process"
            raise StartupError(f"{who} holds {project.lock_path}, but does not answer: end it")


def _attach(project: Project) -> int:
    """Be `ratchet up` for a supervisor that agents started: it serves HTTP until we leave."""
    with SupervisorClient(project) as client:
        status = client.attach()
        sys.stderr.write(
            startup_report(status)
            + "It was started by an agent; this command is attached to it.\n"
            + "Press Ctrl-C to detach: it ends when its last agent and its last execution are gone.\n"
        )
        sys.stderr.flush()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _detach)
        with suppress(KeyboardInterrupt):
            client.wait_gone()
            sys.stderr.write("The supervisor has ended.\n")
            return 0
        sys.stderr.write("Detached.\n")
        return 0


def _detach(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _fail(error: RatchetError, listener: socket.socket | None) -> int:
    sys.stderr.write(f"ratchet: {error.message}\n")
    if listener is not None:
        _turn_away(listener, error)
    return EXIT_STARTUP


def _turn_away(listener: socket.socket, error: RatchetError) -> None:
    """Tell those who wait for this supervisor why it will not come."""
    with suppress(OSError):  # nobody waits any more, or the supervisor closed it itself after telling them
        listener.setblocking(False)
        while True:
            connection, _address = listener.accept()
            connection.setblocking(True)
            connection.settimeout(1.0)
            with suppress(OSError):  # this one is gone
                Channel(connection).send("refused", {"error": error_body(error)})
            connection.close()
