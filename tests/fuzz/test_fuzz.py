"""What is malformed, truncated, oversized or hostile crashes nothing. `make fuzz` tries more of it."""

import asyncio
from pathlib import Path

import psutil
import pytest
import zmq

from ipc.link import Link
from ipc.zeromq import ZmqLinkTransport
from ratchet import messages, rpc
from ratchet.bodies.common import Empty
from tests.fuzz.play import play
from tests.fuzz.real import strike
from tests.harness import RunningProject

MEMORY_BYTES_MAX = 100 * 2**20


@pytest.mark.parametrize("seed", range(1, 4))
def test_no_actor_crashes_of_what_it_is_sent(seed: int, tmp_path: Path) -> None:
    assert play(seed, tmp_path) == [], f"make fuzz N=1 SEED={seed} replays it"


async def test_real_processes_outlive_what_they_are_sent(shared_project: RunningProject) -> None:
    before = shared_project.status()
    assert before is not None
    runner = psutil.Process(shared_project.child("task-runner").pid or 0)
    memory = runner.memory_info().rss
    await asyncio.to_thread(strike, shared_project.project, 1, 3000)
    with zmq.Context() as context:
        link = Link(
            ZmqLinkTransport(context, shared_project.project.hub_endpoint),
            name="cli:after",
            incarnation="1",
            methods={},
        )
        running = asyncio.create_task(link.run())
        health = {
            name: await rpc.call(link, messages.GET_HEALTH, Empty(), target=name, timeout_seconds=30)
            for name in ("task-runner", "log-store", "trace-store", "worker:1", "worker:2")
        }
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert health["task-runner"].counters["malformed"] > 0
    assert health["task-runner"].counters["strangers"] > 0
    after = shared_project.status()
    assert after is not None
    assert {one.name: one.incarnation for one in after.children} == {
        one.name: one.incarnation for one in before.children
    }
    assert runner.memory_info().rss - memory < MEMORY_BYTES_MAX
