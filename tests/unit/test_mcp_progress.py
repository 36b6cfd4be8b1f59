"""Progress notifications: conflated, increasing, and never in the way."""

import asyncio
import math

from actors.mcp_front.protocol.progress import PACE_SECONDS, ProgressRelay

Sent = list[tuple[float, float | None, str | None]]


async def test_the_newest_is_sent_before_the_answer() -> None:
    sent: Sent = []

    async def send(current: float, total: float | None, message: str | None) -> None:
        sent.append((current, total, message))

    async with ProgressRelay(send) as relay:
        for number in range(100):
            relay.push({"current": number, "total": 100, "message": f"step {number}"})
    assert sent[-1] == (99, 100, "step 99")
    assert len(sent) <= 2


async def test_what_is_said_meanwhile_is_conflated() -> None:
    sent: Sent = []
    first = asyncio.Event()
    go_on = asyncio.Event()

    async def send(current: float, total: float | None, message: str | None) -> None:
        sent.append((current, total, message))
        first.set()
        await go_on.wait()

    async with ProgressRelay(send) as relay:
        relay.push({"current": 1})
        await first.wait()
        for number in range(2, 50):
            relay.push({"current": number})
        go_on.set()
    assert [current for current, _, _ in sent] == [1, 49]


async def test_steps_back_and_repetitions_are_not_sent() -> None:
    sent: Sent = []
    arrived = asyncio.Event()

    async def send(current: float, total: float | None, message: str | None) -> None:
        sent.append((current, total, message))
        arrived.set()

    async with ProgressRelay(send) as relay:
        relay.push({"current": 5, "total": 10})
        await arrived.wait()
        for current in (5, 3, 0):
            relay.push({"current": current, "total": 10})
    assert [current for current, _, _ in sent] == [5]


async def test_what_is_no_progress_is_ignored() -> None:
    sent: Sent = []

    async def send(current: float, total: float | None, message: str | None) -> None:
        sent.append((current, total, message))

    async with ProgressRelay(send) as relay:
        relay.push({"status": "running"})
        relay.push({"current": math.nan})
        relay.push({"current": None})
        relay.push({"current": 1, "total": math.inf, "message": "x" * 1000})
    [(current, total, message)] = sent
    assert (current, total) == (1, None)
    assert message is not None
    assert len(message) == 200


async def test_a_client_that_does_not_read_does_not_hold_up_the_answer() -> None:
    async def send(_current: float, _total: float | None, _message: str | None) -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(20 * PACE_SECONDS), ProgressRelay(send) as relay:
        relay.push({"current": 1})
        await asyncio.sleep(0)
        relay.push({"current": 2})


async def test_a_cancelled_wait_ends_at_once() -> None:
    started = asyncio.Event()

    async def send(_current: float, _total: float | None, _message: str | None) -> None:
        started.set()
        await asyncio.Event().wait()

    async def wait() -> None:
        async with ProgressRelay(send) as relay:
            relay.push({"current": 1})
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await started.wait()
    waiting.cancel()
    await asyncio.wait([waiting], timeout=5)
    assert waiting.cancelled()
