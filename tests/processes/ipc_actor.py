"""A process for messaging tests: `python -m tests.processes.ipc_actor hub|link NAME ENDPOINT`.

Prints a line when it is ready. Serves `pid` (its own) and `wait` (answers when a file appears).
"""

import asyncio
import os
import secrets
import sys
from pathlib import Path

import zmq

from ipc.access import AccessTable
from ipc.hub import Hub
from ipc.link import Link, Request
from ipc.zeromq import ZmqHubTransport, ZmqLinkTransport


async def pid(_request: Request) -> bytes:
    return str(os.getpid()).encode()


async def wait(request: Request) -> bytes:
    path = Path(request.body.decode())
    path.with_suffix(".entered").touch()
    while not path.exists():  # noqa: ASYNC110, ASYNC240 - a file is what another process can make
        await asyncio.sleep(0.005)
    return await pid(request)


METHODS = {"pid": pid, "wait": wait}


async def hub(name: str, endpoint: str) -> None:
    one = Hub(
        ZmqHubTransport(zmq.Context(), endpoint),
        name=name,
        incarnation=secrets.token_hex(6),
        access=AccessTable.everyone(),
    )
    one.local_link(METHODS)
    one.start()
    print("ready", flush=True)
    await one.run()


async def link(name: str, endpoint: str) -> None:
    one = Link(ZmqLinkTransport(zmq.Context(), endpoint), name=name, incarnation=secrets.token_hex(6), methods=METHODS)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.run())
        await one.wait_welcomed(30)
        print("ready", flush=True)


if __name__ == "__main__":
    asyncio.run({"hub": hub, "link": link}[sys.argv[1]](*sys.argv[2:]))
