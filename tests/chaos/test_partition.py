"""The network that chaos parts: what it carries, holds back, and carries later."""

import asyncio

from tests.chaos.partition import between


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()
    await writer.wait_closed()


async def test_what_is_said_during_a_partition_arrives_after_it_in_order_on_the_same_connection() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, asyncio.timeout(10), between(*server.sockets[0].getsockname()) as network:
        reader, writer = await asyncio.open_connection(*network.address.split(":"))
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"

        network.part()
        writer.write(b"while")
        waiting = asyncio.create_task(reader.readexactly(10))
        late, late_writer = await asyncio.open_connection(*network.address.split(":"))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()

        network.heal()
        writer.write(b"after")
        assert await waiting == b"whileafter"
        assert not late.at_eof()
        writer.close()
        assert await reader.read() == b""
        late_writer.close()
