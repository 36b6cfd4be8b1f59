"""Messaging between real processes that are killed."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import zmq

from ipc.errors import LostError
from ipc.link import Link
from ipc.zeromq import ZmqLinkTransport

ROOT = Path(__file__).parents[2]
BOUND_SECONDS = 20.0
BACK_SECONDS = 2.0  # an actor is back within two seconds, and so is everybody's way to it


class Actors:
    """Starts actors on one endpoint, and kills those it started."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._processes: list[subprocess.Popen[bytes]] = []

    async def start(self, kind: str, name: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: ASYNC220 - starting one takes a millisecond
            [sys.executable, "-m", "tests.processes.ipc_actor", kind, name, self._endpoint],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        self._processes.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(BOUND_SECONDS):
            assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def close(self) -> None:
        for process in self._processes:
            self.kill(process)


@pytest.fixture
async def actors(runtime_dir: Path) -> AsyncIterator[Actors]:
    started = Actors(f"ipc://{runtime_dir}/hub.sock")
    yield started
    started.close()


@pytest.fixture
async def front(runtime_dir: Path) -> AsyncIterator[Link]:
    context = zmq.Context()
    link = Link(ZmqLinkTransport(context, f"ipc://{runtime_dir}/hub.sock"), name="front", incarnation="1", methods={})
    running = asyncio.create_task(link.run())
    yield link
    running.cancel()
    with suppress(asyncio.CancelledError):  # ours, of the line above
        await running
    context.term()


async def pid_of(link: Link, target: str, *, timeout_seconds: float = BOUND_SECONDS) -> int:
    return int(await link.call(target, "pid", b"", timeout_seconds=timeout_seconds, idempotent=True))


async def until_exists(path: Path) -> None:
    async with asyncio.timeout(BOUND_SECONDS):
        while not path.exists():  # noqa: ASYNC110, ASYNC240 - made by another process
            await asyncio.sleep(0.005)


async def test_a_killed_hub_is_replaced_at_once_over_its_stale_socket_file(actors: Actors, front: Link) -> None:
    for _ in range(3):
        hub = await actors.start("hub", "runner")
        assert await pid_of(front, "runner", timeout_seconds=BACK_SECONDS) == hub.pid
        actors.kill(hub)


async def test_calls_between_others_survive_the_killing_of_the_hub(actors: Actors, front: Link, tmp_path: Path) -> None:
    hub = await actors.start("hub", "runner")
    worker = await actors.start("link", "worker:1")
    gate = tmp_path / "gate"
    call = asyncio.create_task(
        front.call("worker:1", "wait", str(gate).encode(), timeout_seconds=BOUND_SECONDS, idempotent=True)
    )
    await until_exists(gate.with_suffix(".entered"))
    actors.kill(hub)
    await actors.start("hub", "runner")
    gate.touch()
    assert int(await call) == worker.pid


async def test_a_killed_peer_is_noticed_and_its_successor_serves(actors: Actors, front: Link, tmp_path: Path) -> None:
    await actors.start("hub", "runner")
    worker = await actors.start("link", "worker:1")
    gate = tmp_path / "gate"
    body = str(gate).encode()
    lost = asyncio.create_task(front.call("worker:1", "wait", body, timeout_seconds=BOUND_SECONDS))
    kept = asyncio.create_task(front.call("worker:1", "wait", body, timeout_seconds=BOUND_SECONDS, idempotent=True))
    await until_exists(gate.with_suffix(".entered"))
    actors.kill(worker)
    async with asyncio.timeout(BACK_SECONDS):
        with pytest.raises(LostError):
            await lost
    successor = await actors.start("link", "worker:1")
    gate.touch()
    assert int(await kept) == successor.pid


def test_importing_the_transports_makes_no_thread_so_that_forking_is_safe() -> None:
    script = (
        "import os, ipc, ipc.hub, ipc.link, ipc.memory, ipc.zeromq, zmq;"
        "print(len(os.listdir('/proc/self/task')), zmq.Context._instance)"
    )
    seen = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert seen.stdout.split() == ["1", "None"]
