"""Clients that listen for changes of resources, in both eras."""

import asyncio
import warnings
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import mcp_types as t
from mcp import Client
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import ResourceUpdated
from mcp.shared.exceptions import MCPDeprecationWarning

from tests.harness import BOUND_SECONDS
from tests.integration.agents import MODERN_VERSION


class Updates:
    """URIs of resources that the client was told of, as they come."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.listening = False  # the SDK's client gives what it listens to, to the handler of messages as well

    async def __call__(self, message: IncomingMessage) -> None:
        if isinstance(message, t.ResourceUpdatedNotification) and not self.listening:
            self.told.put_nowait(message.params.uri)

    async def until(self, *uris: str) -> list[str]:
        """What is told until each of these was."""
        seen: list[str] = []
        async with asyncio.timeout(BOUND_SECONDS):
            while not set(uris) <= set(seen):
                seen.append(await self.told.get())
        return seen


@asynccontextmanager
async def subscribed(client: Client, updates: Updates, uris: Sequence[str]) -> AsyncGenerator[None]:
    """While it lasts the client hears of these resources, as its era has it."""
    if client.protocol_version != MODERN_VERSION:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MCPDeprecationWarning)  # in the protocol of today, which this is not
            for uri in uris:
                await client.subscribe_resource(uri)  # pyright: ignore[reportDeprecated]
            yield
            for uri in uris:
                await client.unsubscribe_resource(uri)  # pyright: ignore[reportDeprecated]
        return
    updates.listening = True
    async with client.listen(resource_subscriptions=uris) as subscription:

        async def take() -> None:
            async for event in subscription:
                assert isinstance(event, ResourceUpdated)
                updates.told.put_nowait(event.uri)

        taking = asyncio.create_task(take())
        yield
        taking.cancel()
