"""What a link promises that is about to end, over both transports."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ipc.errors import UnreachableError
from ipc.link import Request
from tests.contract.ipc_world import BOUND_SECONDS, World, eventually


async def test_a_drained_link_answers_what_it_began_and_takes_no_more(world: World) -> None:
    gate = asyncio.Event()

    async def slow(request: Request) -> bytes:
        await gate.wait()
        return request.body

    async def items(request: Request) -> AsyncIterator[bytes]:
        yield b"first"
        await gate.wait()
        yield b"last"

    hub, _ = await world.hub()
    worker = await world.link("worker:1", {"slow": slow, "items": items})
    front = await world.link("front", {"slow": slow})
    begun = asyncio.create_task(front.call("worker:1", "slow", b"begun", timeout_seconds=BOUND_SECONDS))
    async with front.stream("worker:1", "items", b"") as stream:
        assert await anext(stream) == b"first"
        await eventually(lambda: worker.running == 2)
        assert not await worker.drain(0.01)
        draining = asyncio.create_task(worker.drain(BOUND_SECONDS))
        await eventually(lambda: hub.peers["worker:1"].draining)
        with pytest.raises(UnreachableError, match="about to end"):
            await front.call("worker:1", "slow", b"more", timeout_seconds=BOUND_SECONDS)
        waits = asyncio.create_task(
            front.call("worker:1", "slow", b"later", timeout_seconds=BOUND_SECONDS, idempotent=True)
        )
        gate.set()
        assert await begun == b"begun"
        assert [item async for item in stream] == [b"last"]
    assert await draining
    assert await worker.call("front", "slow", b"its own", timeout_seconds=BOUND_SECONDS) == b"its own"
    await world.end(worker)
    await world.link("worker:1", {"slow": slow})
    assert await waits == b"later"


async def test_a_link_that_drains_says_so_to_the_next_hub_too(world: World) -> None:
    hub, _ = await world.hub()
    worker = await world.link("worker:1")
    assert await worker.drain(0)
    await world.end(hub)
    successor, _ = await world.hub()
    await eventually(lambda: "worker:1" in successor.peers and successor.peers["worker:1"].draining)
