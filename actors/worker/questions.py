"""Questions that may be with the caller: found again when the gateway that asked went away, withdrawn when given up.

A question to an LLM provider that is cut off is lost: asking again might pay twice. One to the caller is kept by the
task-runner under a key, so whoever asks again finds it, or its answer.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final, TypeVar

from ipc.errors import BusyError, IpcError, LostError, UnreachableError
from ipc.link import Link
from ratchet import rpc
from ratchet.bodies.asks import WithdrawAsks
from ratchet.config.llm import CALLER, LlmConfig
from ratchet.errors import UnknownAskError
from ratchet.llm.bodies import Complete
from ratchet.messages import WITHDRAW_ASKS
from ratchet.models import FromTask

ReplyT = TypeVar("ReplyT")

# A gateway that was killed is back in a second or two; one that cannot be started is not waited for for ever.
_AGAIN_SECONDS: Final = (0.1, 0.2, 0.5, *(1.0 for _ in range(30)))


def may_reach_caller(request: FromTask, config: LlmConfig) -> bool:
    """Whether this may become a question to the caller."""
    return isinstance(request, Complete) and CALLER in config.order and request.route in (None, CALLER)


async def kept(request: FromTask, call: Callable[[FromTask], Awaitable[ReplyT]]) -> ReplyT:
    """The reply to a question; where the way to it was lost and the caller had been asked, the caller's answer.

    Args:
        request: The question.
        call: Asks it.

    Raises:
        LostError: The way was lost before the caller was asked.
        IpcError, RatchetError: There is no answer.
    """
    try:
        return await call(request)
    except LostError as error:
        lost = error
    again = request.model_copy(update={"resume": True})
    for seconds in _AGAIN_SECONDS:
        await asyncio.sleep(seconds)
        try:
            return await call(again)
        except (LostError, UnreachableError, BusyError):
            continue
        except UnknownAskError:
            break
    raise lost


async def kept_items(request: FromTask, stream: Callable[[FromTask], AsyncGenerator[ReplyT]]) -> AsyncGenerator[ReplyT]:
    """The same for an answer in pieces: of the caller's there is but one, so none has come before the way was lost."""

    async def first(asked: FromTask) -> AsyncGenerator[ReplyT]:
        items = stream(asked)
        try:
            async for item in items:
                held.append(item)
                break
        except BaseException:
            await items.aclose()
            raise
        return items

    held: list[ReplyT] = []
    async with aclosing(await kept(request, first)) as items:
        for item in held:
            yield item
        async for item in items:
            yield item


def withdraw(link: Link, request: FromTask) -> None:
    """Nobody waits for what this call may have asked the caller."""
    body = WithdrawAsks(execution_id=request.execution_id, fence=request.fence, call_id=request.call_id)
    try:
        rpc.cast(link, WITHDRAW_ASKS, body)
    except IpcError:  # it is given up when its time or the attempt is over
        return
