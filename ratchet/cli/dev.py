"""`ratchet dev`: a supervisor, and what happens in it, for whoever writes tasks."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import aclosing

import typer

from ipc.errors import BusyError, LostError, UnreachableError
from ratchet import process
from ratchet.bodies.executions import Catalogue
from ratchet.bodies.news import FollowNews, News
from ratchet.cli.connection import connect
from ratchet.cli.dev_view import catalogue_changes, execution_news, remembered
from ratchet.cli.options import ConfigOption, DataDirOption, JsonOption, Scope, scope
from ratchet.cli.render import Piece, line
from ratchet.cli.supervisor import options
from ratchet.errors import NotRunningError, UnavailableError
from ratchet.messages import FOLLOW_NEWS

_PAUSE_SECONDS = 0.2
_TO_BE_ASKED_AGAIN = (LostError, UnreachableError, BusyError, UnavailableError)


def dev(
    ctx: typer.Context,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start Ratchet, and show edits and executions as they come.

    Says where a task file is broken, with file and line, and when it is mended. Where a supervisor runs already, it is
    watched. Ctrl-C ends what was started here; a second one insists.
    """
    here = scope(ctx, config, data_dir, as_json=as_json)
    code = asyncio.run(_dev(here))
    if code:
        raise typer.Exit(code)


async def _dev(here: Scope) -> int:
    started = None if _runs(here) else _start(here)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopping.set()
        if started is not None:
            started.terminate()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    watching = asyncio.create_task(_watch(here, started))
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({watching, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            watching.result()
    finally:
        watching.cancel()
        stopped.cancel()
        if started is not None and not stopping.is_set():
            started.terminate()
    return 0 if started is None else await asyncio.to_thread(started.wait)


def _runs(here: Scope) -> bool:
    from ratchet.supervision.client import SupervisorClient

    try:
        with SupervisorClient(here.project) as client:
            status = client.status()
    except NotRunningError:
        return False
    here.terminal.note(f"watching the supervisor that runs already (pid {status.pid}); Ctrl-C leaves it running", "dim")
    return True


def _start(here: Scope) -> "subprocess.Popen[bytes]":
    """The supervisor, in a process group of its own: a Ctrl-C comes to us, and from us to it."""
    command = [sys.executable, "-P", "-m", "supervisor", *options(here)]
    parent = os.getpid()
    return subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=lambda: process.die_with_parent(parent),  # noqa: PLW1509 - no other thread runs yet
    )


async def _watch(here: Scope, started: "subprocess.Popen[bytes] | None") -> None:
    """Show news until the supervisor is gone."""
    told: Catalogue | None = None
    while started is None or started.poll() is None:
        try:
            async with connect(here.project) as client, aclosing(client.stream(FOLLOW_NEWS, FollowNews())) as stream:
                async for news in stream:
                    _show(here, told, news)
                    told = remembered(told, news.tasks)
        except NotRunningError:
            if started is None:
                here.terminal.note("the supervisor has ended")
                return
        except _TO_BE_ASKED_AGAIN:
            pass  # it is starting, or its task-runner is
        await asyncio.sleep(_PAUSE_SECONDS)


def _show(here: Scope, told: Catalogue | None, news: News) -> None:
    terminal, folder = here.terminal, here.project.folder
    if here.as_json:
        if news.tasks is not None:
            left_out = {"input_schema", "output_schema"}
            tasks = [one.model_dump(mode="json", exclude=left_out) for one in news.tasks.tasks]
            broken = [one.model_dump(mode="json") for one in news.tasks.broken]
            terminal.show_json_line({"tasks": tasks, "broken": broken})
        for one in news.executions:
            terminal.show_json_line({"execution": one.model_dump(mode="json", exclude={"input", "output", "metadata"})})
    else:
        if news.tasks is not None:
            terminal.show(catalogue_changes(told, news.tasks, folder=folder))
        for one in news.executions:
            terminal.show(execution_news(one, now_ns=time.time_ns(), folder=folder))
        if news.missed:
            terminal.show([line(Piece(f"… {news.missed} more executions", "dim"))])
    terminal.flush()
