"""The log-store and the trace-store as processes: real sockets, real files, a hub in this process."""

import asyncio
import os
import shutil
import socket
import sqlite3
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zmq

from ipc.access import AccessTable
from ipc.hub import Hub
from ipc.link import Link
from ipc.zeromq import ZmqHubTransport
from ratchet import channel, rpc
from ratchet.bodies.common import Empty
from ratchet.bodies.telemetry import AppendLogs, AppendSpans, ReadLogs, ReadSpans
from ratchet.errors import RequestError, StoreError
from ratchet.messages import APPEND_LOGS, APPEND_SPANS, GET_HEALTH, READ_LOGS, READ_SPANS
from ratchet.models import LogRecord, Span
from ratchet.project import Project, find_project
from ratchet.stores import recovery
from ratchet.stores.database import Database
from ratchet.stores.logs import LogStore

SOON = 20.0

ACTOR = """
import importlib, os, socket, sys
from ratchet.actor import ActorSetup
from ratchet.config import load_config
from ratchet.project import find_project
name, fd = sys.argv[1], int(sys.argv[2])
project = find_project(None, None, os.environ, os.getcwd())
setup = ActorSetup(
    name=name,
    incarnation=os.urandom(6).hex(),
    project=project,
    config=load_config(project, environ=os.environ),
    control=socket.socket(fileno=fd),
)
importlib.import_module("actors." + name.replace("-", "_")).start(setup)
"""


@dataclass
class Actor:
    """A store's process, and the end of its control channel that is the supervisor's."""

    process: Process
    control: socket.socket
    _decoder: channel.Decoder

    async def hear(self) -> tuple[str, dict[str, Any]]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SOON):
            while True:
                data = await loop.sock_recv(self.control, 65536)
                assert data, "the actor ended without a word"
                for message in self._decoder.feed(data):
                    return message

    async def drain(self) -> int:
        self.control.send(channel.encode("drain", {"grace_seconds": 5}))
        return await self.exit_code()

    async def exit_code(self) -> int:
        async with asyncio.timeout(SOON):
            return await self.process.wait()


@dataclass
class Star:
    """A project, its hub, and a link of which the test is the owner."""

    project: Project
    link: Link
    environ: dict[str, str]

    @property
    def data_dir(self) -> Path:
        return self.project.folder / "data"

    @asynccontextmanager
    async def actor(self, name: str) -> AsyncGenerator[Actor]:
        ours, theirs = channel.pair()
        ours.setblocking(False)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ACTOR, name, str(theirs.fileno())),
            cwd=self.project.folder,
            env=self.environ,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        try:
            yield Actor(process, ours, channel.Decoder())
        finally:
            with suppress(ProcessLookupError):  # it has ended already
                process.kill()
            await process.wait()
            ours.close()


@pytest.fixture
def environ(tmp_path: Path) -> Generator[dict[str, str]]:
    """The runtime directory's path has to be short: those of Unix sockets are."""
    (tmp_path / "ratchet.yaml").write_text("data_dir: data\n")
    runtime = tempfile.mkdtemp(prefix="rt-")
    yield {**os.environ, "XDG_RUNTIME_DIR": runtime, "PYTHONPATH": str(Path(__file__).parents[2])}
    shutil.rmtree(runtime)


@pytest.fixture
async def star(tmp_path: Path, environ: dict[str, str]) -> AsyncGenerator[Star]:
    project = find_project(None, None, environ, tmp_path)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    hub = Hub(
        ZmqHubTransport(context, project.hub_endpoint),
        name="task-runner",
        incarnation="0123456789ab",
        access=AccessTable(frozenset({("task-runner", "*", "")})),
    )
    link = hub.local_link({})
    running = asyncio.create_task(hub.run())
    yield Star(project, link, environ)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    context.destroy(linger=0)


def records(*messages: str) -> list[LogRecord]:
    return [
        LogRecord(sequence=sequence, at_ns=sequence, level="info", logger="ctx", message=message)
        for sequence, message in enumerate(messages)
    ]


async def test_a_log_is_appended_followed_and_still_there_after_a_kill(star: Star):
    async with star.actor("log-store") as actor:
        assert await actor.hear() == ("ready", {"records": 0})
        follower = asyncio.create_task(
            rpc.call(star.link, READ_LOGS, ReadLogs(execution_id="e1", wait_seconds=SOON), timeout_seconds=SOON)
        )

        await rpc.call(star.link, APPEND_LOGS, AppendLogs(execution_id="e1", attempt=1, records=records("a", "b")))

        async with asyncio.timeout(SOON / 2):
            assert [one.message for one in (await follower).records] == ["a", "b"]
        with pytest.raises(RequestError, match="start over"):
            await rpc.call(star.link, READ_LOGS, ReadLogs(execution_id="e1", after="nonsense"))
        actor.process.kill()

    async with star.actor("log-store") as actor:
        assert await actor.hear() == ("ready", {"records": 2})
        page = await rpc.call(star.link, READ_LOGS, ReadLogs(execution_id="e1"))
        assert [one.message for one in page.records] == ["a", "b"]
        health = await rpc.call(star.link, GET_HEALTH, Empty(), target="log-store")
        assert health.pid == actor.process.pid
        assert [(store.path, store.rows) for store in health.stores] == [(str(star.data_dir / "logs.db"), 2)]


async def test_a_drained_log_store_answers_its_followers_and_ends_well(star: Star):
    async with star.actor("log-store") as actor:
        await actor.hear()
        await rpc.call(star.link, READ_LOGS, ReadLogs(execution_id="e1"))  # the link is up
        follower = asyncio.create_task(
            rpc.call(star.link, READ_LOGS, ReadLogs(execution_id="e1", wait_seconds=SOON), timeout_seconds=SOON)
        )
        await rpc.call(star.link, APPEND_LOGS, AppendLogs(execution_id="e2", attempt=1, records=records("other")))

        assert await actor.drain() == 0

        async with asyncio.timeout(SOON / 2):
            assert (await follower).records == []


async def test_spans_are_appended_read_and_survive_a_drain(star: Star):
    span = Span(sequence=0, span_id="00000000000000aa", name="root", start_ns=1, end_ns=5, attributes={"rows": 3})
    async with star.actor("trace-store") as actor:
        assert await actor.hear() == ("ready", {"spans": 0})
        await rpc.call(star.link, APPEND_SPANS, AppendSpans(execution_id="e1", attempt=1, spans=[span]))
        assert await actor.drain() == 0

    async with star.actor("trace-store") as actor:
        assert await actor.hear() == ("ready", {"spans": 1})
        page = await rpc.call(star.link, READ_SPANS, ReadSpans(execution_id="e1"))
        assert [one.model_dump(exclude={"attempt"}) for one in page.spans] == [span.model_dump()]


@pytest.mark.parametrize(("name", "file"), [("log-store", "logs.db"), ("trace-store", "spans.db")])
async def test_a_store_that_is_damaged_is_set_aside_and_reported(star: Star, name: str, file: str):
    star.data_dir.mkdir()
    (star.data_dir / file).write_text("not a database, but somebody's notes")

    async with star.actor(name) as actor:
        kind, body = await actor.hear()
        health = await rpc.call(star.link, GET_HEALTH, Empty(), target=name)

    assert kind == "ready"
    [aside] = recovery.were_set_aside(star.data_dir / file)
    assert aside.read_text() == "not a database, but somebody's notes"
    assert [body["set_aside"], *(store.set_aside for store in health.stores)] == [[str(aside)]] * 2


async def test_a_store_that_is_damaged_while_it_runs_ends_so_that_the_next_one_heals_it(star: Star):
    path = star.data_dir / "logs.db"
    async with Database.open(path, store="logs") as database:
        message = "x" * 1_000
        await LogStore(database).append(AppendLogs(execution_id="e1", attempt=1, records=records(*[message] * 80)))
    content = path.read_bytes()

    async with star.actor("log-store") as actor:
        assert (await actor.hear())[0] == "ready"
        path.write_bytes(content[:8192] + b"\xa5" * (len(content) - 8192))
        with pytest.raises(StoreError, match="cannot be used as a database"):
            await rpc.call(star.link, READ_LOGS, ReadLogs(execution_id="e1"))
        assert await actor.exit_code() == 1

    async with star.actor("log-store") as actor:
        kind, body = await actor.hear()
        assert (kind, body["records"], len(body["set_aside"])) == ("ready", 0, 1)


async def test_a_store_of_a_newer_ratchet_is_a_failed_start_with_the_reason(star: Star):
    async with Database.open(star.data_dir / "logs.db", store="logs"):
        pass
    with closing(sqlite3.connect(star.data_dir / "logs.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = (star.data_dir / "logs.db").read_bytes()

    async with star.actor("log-store") as actor:
        kind, body = await actor.hear()
        code = await actor.exit_code()

    assert (kind, body["error"]["code"], code) == ("failed", "store_unavailable", 1)
    assert "schema version 99" in body["error"]["message"]
    assert "Upgrade Ratchet" in body["error"]["message"]
    assert (star.data_dir / "logs.db").read_bytes() == before
