"""A server that speaks OpenAI's protocol, as a process: prints its port, answers until it is killed."""

import asyncio

from tests.integration.fake_provider import fake_provider


async def main() -> None:
    """Serve."""
    async with fake_provider("The sea is wide") as provider:
        print(provider.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
