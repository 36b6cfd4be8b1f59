"""Bodies that are too large to be copied into a batch, over every transport."""

import asyncio
import os
from collections.abc import AsyncIterator

import msgpack
import pytest

from ipc.codec import INLINE_BYTES_MAX, decode_message, encode_message
from ipc.envelope import BODY_BYTES_MAX, Envelope, Kind, to_wire
from ipc.errors import MalformedError, TooLargeError
from ipc.link import Request
from tests.contract.ipc_world import BOUND_SECONDS, World

SIZES = [0, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 3, 300_000, 1, 4 * 2**20]


async def echo(request: Request) -> bytes:
    return request.body


async def test_bodies_of_every_size_arrive_whole_and_in_order_with_what_is_sent_beside_them(world: World) -> None:
    heard: list[bytes] = []

    async def hear(request: Request) -> bytes:
        heard.append(request.body)
        return b""

    async def items(_request: Request) -> AsyncIterator[bytes]:
        for body in bodies:
            yield body

    bodies = [os.urandom(size) for size in SIZES]
    await world.hub()
    await world.link("worker:1", {"echo": echo, "hear": hear, "items": items})
    front = await world.link("front")
    calls = (front.call("worker:1", "echo", body, timeout_seconds=BOUND_SECONDS) for body in bodies)
    assert await asyncio.gather(*calls) == bodies
    for body in bodies:
        front.cast("worker:1", "hear", body)
    assert await front.call("worker:1", "echo", b"after them", timeout_seconds=BOUND_SECONDS) == b"after them"
    assert heard == bodies
    async with front.stream("worker:1", "items", bodies[-2]) as stream:
        assert [item async for item in stream] == bodies


async def test_the_largest_body_goes_both_ways_and_one_byte_more_is_refused(world: World) -> None:
    await world.hub()
    await world.link("worker:1", {"echo": echo})
    front = await world.link("front")
    largest = bytes(BODY_BYTES_MAX)
    assert await front.call("worker:1", "echo", largest, timeout_seconds=BOUND_SECONDS) == largest
    with pytest.raises(TooLargeError):
        await front.call("worker:1", "echo", largest + b"1", timeout_seconds=BOUND_SECONDS)


def event(body: bytes) -> Envelope:
    return Envelope(Kind.EVENT, b"", "front", "worker:1", "hear", body=body)


def test_an_attachment_is_the_body_itself() -> None:
    body = bytes(INLINE_BYTES_MAX + 1)
    batch, attachment = encode_message([event(b"small"), event(body)])
    assert attachment is body
    assert len(batch) < INLINE_BYTES_MAX


@pytest.mark.parametrize("attached", [[1, 1], [2], [0], [-1], [1, 3], [2, 1], []])
def test_attachments_that_are_not_the_ones_that_are_wanted_are_malformed(attached: list[int]) -> None:
    batch = msgpack.packb([to_wire(event(b""), attached_as=number) for number in attached])
    for count in range(3):
        if attached == list(range(1, count + 1)):
            continue
        with pytest.raises(MalformedError):
            decode_message([batch, *(b"x" * INLINE_BYTES_MAX for _ in range(count))])


def test_an_attachment_is_no_larger_than_a_body_and_all_of_them_than_a_frame() -> None:
    batch = msgpack.packb([to_wire(event(b""), attached_as=1)])
    assert len(decode_message([batch, bytes(BODY_BYTES_MAX)])[0].body) == BODY_BYTES_MAX
    with pytest.raises(MalformedError):
        decode_message([batch, bytes(BODY_BYTES_MAX + 1)])
    batch = msgpack.packb([to_wire(event(b""), attached_as=number) for number in (1, 2)])
    with pytest.raises(MalformedError):
        decode_message([batch, bytes(BODY_BYTES_MAX), bytes(BODY_BYTES_MAX)])
    with pytest.raises(MalformedError):
        decode_message([])
