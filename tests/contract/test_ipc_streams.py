"""What streams promise, over both transports."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ipc.access import AccessTable
from ipc.codec import encode_batch
from ipc.credit import ITEM_BYTES_MAX, WINDOW_BYTES, WINDOW_ITEMS
from ipc.envelope import Envelope, Kind
from ipc.errors import (
    ExpiredError,
    IpcError,
    LostError,
    MalformedError,
    RemoteError,
    UnreachableError,
)
from ipc.handshake import identity
from ipc.link import Link, Request, Stream
from tests.contract.ipc_world import BOUND_SECONDS, World, eventually, hello_frame


class Source:
    """A handler that counts up, of items of `size` bytes, and keeps count of itself."""

    def __init__(self, size: int = 8) -> None:
        self.size = size
        self.made = 0
        self.begun = 0
        self.cancelled = 0
        self.over = asyncio.Event()
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> AsyncIterator[bytes]:
        self.begun += 1
        self.requests.append(request)
        try:
            for number in range(1, int(request.body) + 1):
                self.made += 1
                yield number.to_bytes(4, "big") * (self.size // 4)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.over.set()

    async def until_over(self) -> None:
        async with asyncio.timeout(BOUND_SECONDS):
            await self.over.wait()


async def waits(request: Request) -> AsyncIterator[bytes]:
    """One item, and then nothing for ever."""
    yield request.body
    await asyncio.Event().wait()


async def echo(request: Request) -> bytes:
    return request.body


async def read(stream: Stream, most: int | None = None) -> list[int]:
    """The numbers that come, at most so many."""
    numbers: list[int] = []
    async with asyncio.timeout(BOUND_SECONDS):
        async for item in stream:
            numbers.append(int.from_bytes(item[:4], "big"))
            if len(numbers) == most:
                break
    return numbers


async def error_of(stream: Stream) -> IpcError:
    """What ends it."""
    with pytest.raises(IpcError) as caught:
        await read(stream)
    return caught.value


# --- what comes --------------------------------------------------------------------------------------------------


async def test_items_come_whole_in_order_and_then_the_end_in_every_direction(world: World) -> None:
    source = Source()
    _, runner = await world.hub({"count": source})
    front = await world.link("front", {"count": source})
    worker = await world.link("worker:1", {"count": source})
    for caller, target in ((front, "runner"), (runner, "front"), (front, "worker:1"), (worker, "worker:1")):
        async with caller.stream(target, "count", b"1000") as items:
            assert await read(items) == list(range(1, 1001))
            assert await read(items) == []  # an end stays the end
    async with front.stream("worker:1", "count", b"0") as items:
        assert await read(items) == []
    assert [dict(one.counters) for one in (front, runner, worker)] == [{}, {}, {}]


async def test_the_callee_sees_who_reads_and_until_when(world: World) -> None:
    source = Source()
    await world.hub({"count": source})
    front = await world.link("front")
    async with front.stream("runner", "count", b"1", timeout_seconds=7, trace="00-trace") as items:
        await read(items)
    async with front.stream("runner", "count", b"1") as items:
        await read(items)
    bounded, endless = source.requests
    assert (bounded.source, bounded.method, bounded.trace) == ("front", "count", "00-trace")
    assert bounded.deadline is not None
    assert 0 < bounded.deadline - asyncio.get_running_loop().time() <= 7
    assert endless.deadline is None


async def test_streams_calls_and_streams_back_run_beside_each_other(world: World) -> None:
    await world.hub()
    both = {"count": Source(), "echo": echo}
    front, worker = await world.link("front", both), await world.link("worker:1", both)

    async def follow(caller: Link, target: str) -> list[int]:
        numbers: list[int] = []
        async with caller.stream(target, "count", b"300") as items:
            async for item in items:
                numbers.append(int.from_bytes(item[:4], "big"))
                await caller.call(target, "echo", item, timeout_seconds=BOUND_SECONDS)
        return numbers

    async with asyncio.timeout(BOUND_SECONDS):
        ends = await asyncio.gather(*(follow(*way) for way in [(front, "worker:1"), (worker, "front")] * 4))
    assert ends == [list(range(1, 301))] * 8


async def test_an_item_of_the_largest_size_passes_and_a_larger_one_ends_the_stream(world: World) -> None:
    async def large(request: Request) -> AsyncIterator[bytes]:
        yield bytes(ITEM_BYTES_MAX)
        yield bytes(ITEM_BYTES_MAX + 1)

    await world.hub({"large": large})
    front = await world.link("front")
    async with front.stream("runner", "large", b"") as items:
        assert len(await anext(items)) == ITEM_BYTES_MAX
        error = await error_of(items)
    assert error.code == "too_large"


# --- credit ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "window"), [(8, WINDOW_ITEMS), (32 * 1024, WINDOW_BYTES // (32 * 1024))])
async def test_the_callee_waits_where_the_reader_has_no_room(world: World, size: int, window: int) -> None:
    source = Source(size)
    await world.hub()
    await world.link("worker:1", {"count": source, "echo": echo})
    front = await world.link("front")
    async with front.stream("worker:1", "count", b"100000") as slow:
        await eventually(lambda: source.made > window)  # one more is in the generator's hand
        async with front.stream("worker:1", "count", b"500") as quick:
            assert await read(quick) == list(range(1, 501))  # another stream of the same two is not held up
        before = source.made
        assert before == 500 + window + 1
        assert await front.call("worker:1", "echo", b"", timeout_seconds=BOUND_SECONDS) == b""
        assert await read(slow, window // 2 - 1) == list(range(1, window // 2))
        assert await front.call("worker:1", "echo", b"", timeout_seconds=BOUND_SECONDS) == b""
        assert source.made == before  # credit is returned at half
        await anext(slow)
        await eventually(lambda: source.made == before + window // 2)


async def test_a_reader_that_stands_still_slows_nobody_else(world: World) -> None:
    source = Source()
    hub, _ = await world.hub()
    await world.link("worker:1", {"count": source, "echo": echo})
    front = await world.link("front")
    mute = world.mute("cli")
    await eventually(lambda: "cli" in hub.peers)
    mute.say(encode_batch([Envelope(Kind.CALL, b"key", "cli", "worker:1", "count", credit=64, body=b"100000")]))
    await eventually(lambda: source.made == WINDOW_ITEMS + 1)
    async with front.stream("worker:1", "count", b"2000") as items:
        assert await read(items) == list(range(1, 2001))
    assert hub.peers["cli"].queued <= WINDOW_ITEMS
    assert source.made == 2000 + WINDOW_ITEMS + 1
    mute.close()


# --- its one end ---------------------------------------------------------------------------------------------------


async def test_closing_a_stream_early_cancels_the_handler(world: World) -> None:
    source = Source()
    await world.hub()
    worker = await world.link("worker:1", {"count": source, "waits": waits})
    front = await world.link("front")
    async with front.stream("worker:1", "count", b"100000") as items:
        assert await read(items, 3) == [1, 2, 3]
    await source.until_over()
    assert source.cancelled == 1
    with pytest.raises(LostError, match="closed"):
        await anext(items)
    reading = asyncio.create_task(read_in_block(front))
    await eventually(lambda: worker.running == 1)
    reading.cancel()  # a reader that is cancelled, too
    await eventually(lambda: worker.running == 0)


async def read_in_block(front: Link) -> list[int]:
    async with front.stream("worker:1", "waits", b"1234") as items:
        return await read(items)


async def test_items_before_an_error_are_read_before_it(world: World) -> None:
    class NoMoreError(Exception):
        def __init__(self) -> None:
            self.code, self.message, self.details = "no_more", "that was all", {"left": 0}

    async def fails(request: Request) -> AsyncIterator[bytes]:
        yield (1).to_bytes(4, "big")
        yield (2).to_bytes(4, "big")
        raise NoMoreError

    await world.hub({"fails": fails})
    front = await world.link("front")
    async with front.stream("runner", "fails", b"") as items:
        assert await read(items, 2) == [1, 2]
        error = await error_of(items)
    assert (type(error), error.code, error.message, error.details) == (
        RemoteError,
        "no_more",
        "that was all",
        {"left": 0},
    )


async def test_a_stream_ends_at_its_deadline_and_so_does_its_handler(world: World) -> None:
    await world.hub()
    worker = await world.link("worker:1", {"waits": waits})
    front = await world.link("front")
    async with front.stream("worker:1", "waits", b"1234", timeout_seconds=0.1) as items:
        assert len(await read(items, 1)) == 1
        assert isinstance(await error_of(items), ExpiredError)
    await eventually(lambda: worker.running == 0)
    assert worker.counters["cancelled"] + worker.counters["overdue"] == 1


async def test_what_cannot_be_opened_says_why(world: World) -> None:
    access = AccessTable(frozenset({("front", "*", "e"), ("front", "*", "c")}))
    await world.hub({"echo": echo, "count": Source()}, access=access)
    front = await world.link("front")
    for target, method, code in (
        ("runner", "stop", "denied"),
        ("nobody", "count", "unreachable"),
        ("runner", "counts", "unknown_method"),
        ("runner", "echo", "unknown_method"),
    ):
        async with front.stream(target, method, b"1") as items:
            assert (method, (await error_of(items)).code) == (method, code)
    with pytest.raises(MalformedError):
        async with front.stream("x" * 1000, "count", b""):
            pass
    with pytest.raises(RemoteError, match="open one instead of calling it"):
        await front.call("runner", "count", b"1", timeout_seconds=BOUND_SECONDS)


async def test_without_a_hub_a_stream_is_unreachable_when_its_time_is_over(world: World) -> None:
    front = world.start_link("front")
    async with front.stream("runner", "count", b"1", timeout_seconds=0.1) as items:
        assert isinstance(await error_of(items), UnreachableError)


async def test_a_stream_that_is_opened_early_waits_for_the_session(world: World) -> None:
    front = world.start_link("front")
    async with front.stream("runner", "count", b"5") as items:
        await world.hub({"count": Source()})
        assert await read(items) == [1, 2, 3, 4, 5]


# --- what goes away ------------------------------------------------------------------------------------------------


async def test_when_the_callee_dies_its_streams_are_lost(world: World) -> None:
    await world.hub()
    worker = await world.link("worker:1", {"waits": waits})
    front = await world.link("front")
    async with front.stream("worker:1", "waits", b"1234") as items:
        await read(items, 1)
        await world.crash(worker)
        assert isinstance(await error_of(items), LostError)
    assert front.counters["lost.stream"] == 1


async def test_when_the_reader_dies_its_handlers_are_cancelled(world: World) -> None:
    source = Source()
    await world.hub()
    worker = await world.link("worker:1", {"count": source})
    front = await world.link("front")
    async with front.stream("worker:1", "count", b"100000") as items:
        await read(items, 1)
        await world.crash(front)
        await source.until_over()
        assert isinstance(await error_of(items), LostError)
    assert worker.counters["lost.stream"] == 1
    assert worker.running == 0


async def test_when_the_hub_restarts_streams_are_lost_on_both_sides_and_never_resent(world: World) -> None:
    source = Source()
    hub, _ = await world.hub()
    worker = await world.link("worker:1", {"count": source})
    front = await world.link("front")
    async with front.stream("worker:1", "count", b"100000") as items:
        await read(items, 1)
        await world.end(hub)
        assert isinstance(await error_of(items), LostError)
        await source.until_over()
    _, runner = await world.hub()
    for link in (worker, front):
        await link.wait_welcomed(BOUND_SECONDS)
    async with front.stream("worker:1", "count", b"10") as items:
        assert await read(items) == list(range(1, 11))
    assert source.begun == 2
    assert runner.counters == {}


async def test_ending_a_link_ends_the_streams_it_reads_and_those_it_serves(world: World) -> None:
    await world.hub()
    worker = await world.link("worker:1", {"waits": waits})
    front = await world.link("front", {"waits": waits})
    async with (
        front.stream("worker:1", "waits", b"1234") as read_by_it,
        worker.stream("front", "waits", b"1") as served,
    ):
        await read(read_by_it, 1)
        await read(served, 1)
        await world.end(front)
        for stream in (read_by_it, served):
            assert isinstance(await error_of(stream), LostError)
    await eventually(lambda: worker.running == 0)


# --- what should not come ------------------------------------------------------------------------------------------


async def test_a_callee_that_sends_without_credit_or_out_of_order_is_cut_off(world: World) -> None:
    hub, _ = await world.hub()
    front = await world.link("front")
    rogue = world.mute("rogue")
    await eventually(lambda: "rogue" in hub.peers)
    for cut_off, numbers in enumerate(([2], range(1, WINDOW_ITEMS + 2)), start=1):
        async with front.stream("rogue", "count", b"") as items:
            frame = [Envelope(Kind.ITEM, items.key, "rogue", "front", credit=number) for number in numbers]
            rogue.say(encode_batch(frame))
            # Nothing is read before: what comes in several messages could be read, and credit be given, in between.
            await eventually(lambda cut_off=cut_off: front.counters["lost.stream"] == cut_off)
            assert isinstance(await error_of(items), LostError)
    rogue.close()


async def test_a_stream_that_ended_short_is_lost_not_over(world: World) -> None:
    hub, _ = await world.hub()
    front = await world.link("front")
    rogue = world.mute("rogue")
    await eventually(lambda: "rogue" in hub.peers)
    async with front.stream("rogue", "count", b"") as items:
        rogue.say(encode_batch([Envelope(Kind.END, items.key, "rogue", "front", credit=1)]))
        error = await error_of(items)
        assert isinstance(error, LostError)
        assert "after 1 items" in error.message
        rogue.say(encode_batch([Envelope(Kind.END, items.key, "rogue", "front", credit=0)]))
        await eventually(lambda: front.counters["late"] == 1)
    rogue.close()


async def test_an_ack_that_finds_no_stream_is_told_how_it_ended_and_credit_of_another_is_refused(world: World) -> None:
    source = Source()
    hub, _ = await world.hub()
    worker = await world.link("worker:1", {"count": source})
    cli, thief = (world.outsider(identity(name, "1")) for name in ("cli", "thief"))
    for name, one in (("cli", cli), ("thief", thief)):
        one.say(hello_frame(name, "1"))
    await eventually(lambda: len(hub.peers) == 3)
    cli.say(encode_batch([Envelope(Kind.CALL, b"key", "cli", "worker:1", "count", credit=64, body=b"100")]))
    await eventually(lambda: source.made == WINDOW_ITEMS + 1)
    thief.say(encode_batch([Envelope(Kind.CREDIT, b"key", "thief", "worker:1", credit=64)]))
    await eventually(lambda: worker.counters["forged"] == 1)
    cli.say(encode_batch([Envelope(Kind.CREDIT, b"key", "cli", "worker:1", credit=64)]))
    await source.until_over()
    cli.say(encode_batch([Envelope(Kind.ACK, b"key", "cli", "worker:1", credit=100)]))
    await eventually(lambda: worker.counters["replayed"] == 1)
    cli.say(encode_batch([Envelope(Kind.CREDIT, b"key", "cli", "worker:1", credit=100)]))  # crossed the end
    cli.say(encode_batch([Envelope(Kind.CALL, b"more", "cli", "worker:1", "count", credit=64, body=b"100")]))
    await eventually(lambda: source.begun == 2)
    cli.say(encode_batch([Envelope(Kind.CREDIT, b"more", "cli", "worker:1", credit=1000)]))
    await eventually(lambda: worker.counters["malformed"] == 1)
    assert worker.counters["replayed"] == 1
    assert worker.running == 0
    cli.close()
    thief.close()
