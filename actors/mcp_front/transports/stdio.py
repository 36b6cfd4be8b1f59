"""A stdio front: one agent, over the descriptors of the shim that it started."""

import asyncio

from actors.mcp_front.front import Front
from actors.mcp_front.protocol.server import make_server
from actors.mcp_front.transports.wire import Wire

_END_SECONDS = 0.5  # what was still running is answered with an error, if anybody reads it


async def serve(front: Front, stdin: int, stdout: int, draining: asyncio.Event) -> None:
    """Serve until the agent closes stdin, stops reading, or the front drains."""
    wire = Wire(stdin, stdout, hurry=front.waits.drain)
    server = make_server(front)
    async with wire.streams() as (read_stream, write_stream):
        serving = asyncio.create_task(server.run(read_stream, write_stream, server.create_initialization_options()))
        ends = [asyncio.create_task(wire.ended.wait()), asyncio.create_task(draining.wait())]
        await asyncio.wait([serving, *ends], return_when=asyncio.FIRST_COMPLETED)
        if not serving.done() and draining.is_set():
            await wire.settle()
        elif not serving.done():
            await asyncio.wait([serving], timeout=_END_SECONDS)
        for one in (*ends, serving):
            one.cancel()
        await asyncio.wait([serving])
        if not serving.cancelled():
            serving.result()
