"""A network between two machines that can be parted: TCP through a relay that stops passing anything on.

What was under way stays where it is, as with lost packets that TCP sends again: connections survive a short partition,
and whoever connects meanwhile is neither accepted nor refused by the other side.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

_BYTES: Final = 65_536


class Partition:
    """The relay; `between` makes one.

    Attributes:
        address: Where it listens, for whoever means the other side.
    """

    def __init__(self, host: str, port: int) -> None:
        self._other = (host, port)
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.address = ""

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    async def close(self) -> None:
        """End all connections."""
        assert self._server is not None
        self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def part(self) -> None:
        """Nothing gets through any more, in either direction."""
        self._whole.clear()

    def heal(self) -> None:
        """Everything does, what waited first."""
        self._whole.set()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._whole.wait()
            to_reader, to_writer = await asyncio.open_connection(*self._other)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass(reader, to_writer))
                    both.create_task(self._pass(to_reader, writer))
            finally:
                to_writer.close()
        except* OSError:  # one of them is gone, and so is the connection
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_BYTES):
            await self._whole.wait()
            writer.write(data)
            await writer.drain()
        await self._whole.wait()  # nor does an end get through
        writer.close()


@asynccontextmanager
async def between(host: str, port: int) -> AsyncGenerator[Partition]:
    """A relay to this address, for the time of the block."""
    partition = Partition(host, port)
    await partition.open()
    try:
        yield partition
    finally:
        await partition.close()
