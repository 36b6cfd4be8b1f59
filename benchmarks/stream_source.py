"""What items stream from, in a process of its own: `python -m benchmarks.stream_source hub|raw ENDPOINT`.

`hub` is a hub whose own link serves `count`; `raw` is one blocking PUSH socket that sends without end.
"""

import sys
from collections.abc import AsyncIterator

import zmq

from ipc.access import AccessTable
from ipc.hub import Hub
from ipc.link import Request
from ipc.zeromq import ZmqHubTransport

ITEM = bytes(64)
RAW_WINDOW = 64  # as many may be under way as in a stream


async def count(request: Request) -> AsyncIterator[bytes]:
    """As many items as the body says."""
    for _ in range(int(request.body)):
        yield ITEM


async def hub(endpoint: str) -> None:
    """A hub until it is ended."""
    one = Hub(
        ZmqHubTransport(zmq.Context(), endpoint), name="runner", incarnation="bench", access=AccessTable.everyone()
    )
    one.local_link({"count": count})
    await one.run()


def raw(endpoint: str) -> None:
    """One message after the other, for as long as somebody takes them."""
    socket = zmq.Context().socket(zmq.PUSH)
    socket.setsockopt(zmq.SNDHWM, RAW_WINDOW)
    socket.bind(endpoint)
    while True:
        socket.send(ITEM)


if __name__ == "__main__":
    if sys.argv[1] == "hub":
        import uvloop

        uvloop.run(hub(sys.argv[2]))
    else:
        raw(sys.argv[2])
