"""A task that takes its time: watch its progress, cancel it, kill its process."""

import asyncio

from ratchet import Context, task


@task(tags=["demo"], timeout=600)
async def slow_count(to: int = 10, pause_seconds: float = 0.5, *, ctx: Context) -> int:
    """Count, with a pause after each number.

    Args:
        to: The number to stop at.
        pause_seconds: How long each pause is.
    """
    for number in range(1, to + 1):
        with ctx.span("count", number=number):
            await asyncio.sleep(pause_seconds)
        ctx.progress(number, to, f"counted to {number}")
        ctx.log.debug("counted", number=number)
    return to
