"""Which execution a request stands for, and how waits are cut short."""

import asyncio

import pytest

from actors.mcp_front.waits import Waits

KEY = ("session", "7")


def test_a_running_request_stands_for_its_execution() -> None:
    waits = Waits()
    with waits.starting(KEY, "exec_1"):
        assert waits.take(KEY) == "exec_1"
        assert waits.take(("other", "7")) is None
    assert waits.take(KEY) is None


async def test_a_cancelled_request_still_does_once() -> None:
    waits = Waits()

    async def wait() -> None:
        with waits.starting(KEY, "exec_1"):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waits.take(KEY) == "exec_1"
    assert waits.take(KEY) is None


def test_a_failed_request_does_not() -> None:
    waits = Waits()
    with pytest.raises(ValueError, match="no"), waits.starting(KEY, "exec_1"):
        raise ValueError("no")
    assert waits.take(KEY) is None


def test_a_request_id_that_is_used_again_stands_for_the_later_execution() -> None:
    waits = Waits()
    with waits.starting(KEY, "exec_1"):
        with waits.starting(KEY, "exec_2"):
            assert waits.take(KEY) == "exec_2"
        assert waits.take(KEY) is None


def test_a_request_without_a_name_is_not_remembered() -> None:
    waits = Waits()
    with waits.starting(None, "exec_1"):
        assert waits.take(KEY) is None


async def test_draining_cuts_every_wait_short_and_those_to_come() -> None:
    waits = Waits()

    async def wait() -> str:
        try:
            async with waits.until_drain():
                await asyncio.Event().wait()
        except TimeoutError:
            return "cut short"
        return "not"

    running = [asyncio.create_task(wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waits.drain()
    waits.drain()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*running, wait()) == ["cut short"] * 4


async def test_a_wait_that_ends_by_itself_is_left_alone() -> None:
    waits = Waits()
    async with waits.until_drain():
        pass
    waits.drain()
