"""Waiting for an execution, and having its caller asked meanwhile.

A wait ends with the execution, with its time, or with something to ask. Whoever can be asked in its session is asked
while the wait goes on, for as long as that takes; whoever has to make the call again gets the questions as the answer.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.ear import ROUNDS_MAX, ByRetry, InSession, Reply
from actors.mcp_front.protocol.progress import ProgressRelay
from actors.mcp_front.tools.call import ToolCall
from ipc.errors import IpcError
from ratchet import rpc
from ratchet.bodies.asks import AnswerAsk, AskRecord, ReadAsks
from ratchet.bodies.executions import GetExecution, Waiting
from ratchet.errors import RatchetError
from ratchet.messages import ANSWER_ASK, GET_EXECUTION, READ_ASKS, Procedure
from ratchet.models import Execution, JsonObject

ANSWER_SECONDS: Final = 10.0  # a call that waits for nothing is given up then; the runner restarts in less
_MARGIN_SECONDS: Final = 1.0  # the runner answers a wait this much before it would be given up
_LOOK_SECONDS: Final = 3.0
_MEANWHILE_SECONDS: Final = 2.0  # a wait whose time is up is renewed by this much while its client is being asked

log = structlog.stdlib.get_logger("mcp-front")

OnProgress = Callable[[JsonObject], None] | None


@dataclass(frozen=True, slots=True)
class Waited:
    """What a wait came to.

    Attributes:
        execution: As it is now.
        asks: What the client has to be asked before it makes the call again.
        late: Why answers that it brought count for nothing.
    """

    execution: Execution
    asks: tuple[AskRecord, ...] = ()
    late: list[str] = field(default_factory=list[str])

    def told(self, answer: Answer) -> Answer:
        """The answer of the tool with what there is besides."""
        text = "\n".join([answer.text, *self.late])
        structured = {**answer.structured, "late_answers": self.late} if self.late else answer.structured
        return Answer(structured, text, answer.failed, answer.characters_max, self.asks)


async def waited(call: ToolCall, procedure: Procedure[Any, Execution], request: Waiting, execution_id: str) -> Waited:
    """Call with a wait in it. Where the wait is cut short the execution is looked at once more.

    A call that was made again is attached to the execution that it began, whatever `procedure` would begin.

    Raises:
        RatchetError: It was refused.
        IpcError: No answer.
    """
    front, ear = call.front, call.ear
    late: list[str] = []
    if isinstance(ear, ByRetry) and ear.execution_id is not None:
        late = await _bring(call, ear)
        execution_id = ear.execution_id
        procedure, request = GET_EXECUTION, _looking(call, execution_id, request.wait_seconds)
    try:
        async with front.waits.until_drain():
            if call.send_progress is None or not request.wait_seconds:
                found = await _listened(call, procedure, request, None)
            else:
                async with ProgressRelay(call.send_progress) as relay:
                    found = await _listened(call, procedure, request, relay.push)
    except TimeoutError:
        look = _looking(call, execution_id, 0)
        found = Waited(await rpc.call(front.link, GET_EXECUTION, look, timeout_seconds=_LOOK_SECONDS))
    return Waited(found.execution, found.asks, late)


def _looking(call: ToolCall, execution_id: str, wait_seconds: float) -> GetExecution:
    return GetExecution(client=call.caller.client, execution_id=execution_id, wait_seconds=wait_seconds)


async def _listened(
    call: ToolCall, procedure: Procedure[Any, Execution], request: Waiting, on_progress: OnProgress
) -> Waited:
    match call.ear:
        case InSession() as ear:
            able = request.model_copy(update={"can_answer": True})
            if not request.wait_seconds:
                return Waited(await _called(call, procedure, able, on_progress))
            return Waited(await _Listening(call, ear).wait(procedure, able, on_progress))
        case ByRetry(able=True, rounds=rounds):
            able = request.model_copy(update={"can_answer": True})
            execution = await _called(call, procedure, able, on_progress)
            if not execution.asks or not request.wait_seconds or rounds >= ROUNDS_MAX:
                return Waited(execution)  # one that has been asked often enough hears how to go on
            return Waited(execution, tuple(await _read(call, execution.execution_id, carried=True)))
        case _:
            return Waited(await _called(call, procedure, request, on_progress))


async def _called(
    call: ToolCall, procedure: Procedure[Any, Execution], request: Waiting, on_progress: OnProgress
) -> Execution:
    seconds = max(request.wait_seconds + _MARGIN_SECONDS, ANSWER_SECONDS)
    return await rpc.call(call.front.link, procedure, request, timeout_seconds=seconds, on_progress=on_progress)


async def _read(call: ToolCall, execution_id: str, *, carried: bool) -> list[AskRecord]:
    request = ReadAsks(client=call.caller.client, execution_id=execution_id, carried=carried)
    return (await rpc.call(call.front.link, READ_ASKS, request, timeout_seconds=ANSWER_SECONDS)).asks


class _Listening:
    """A wait during which the client is asked over its session."""

    def __init__(self, call: ToolCall, ear: InSession) -> None:
        self._call = call
        self._ear = ear
        self._asked: dict[str, asyncio.Task[None] | None] = {}

    async def wait(self, procedure: Procedure[Any, Execution], request: Waiting, on_progress: OnProgress) -> Execution:
        deadline = time.monotonic() + request.wait_seconds
        try:
            while True:
                seconds = max(0.0, deadline - time.monotonic())
                if self._asking:
                    seconds = max(seconds, _MEANWHILE_SECONDS)
                asked = request.model_copy(update={"wait_seconds": seconds, "asked": [*self._asked]})
                execution = await _called(self._call, procedure, asked, on_progress)
                if execution.status.terminal:
                    return execution
                if any(ask.key not in self._asked for ask in execution.asks):
                    await self._ask_all(execution)
                elif time.monotonic() >= deadline and not self._asking:
                    return execution
                procedure = GET_EXECUTION
                request = _looking(self._call, execution.execution_id, 0).model_copy(update={"can_answer": True})
        finally:
            await self._end()

    @property
    def _asking(self) -> bool:
        return any(task is not None and not task.done() for task in self._asked.values())

    async def _ask_all(self, execution: Execution) -> None:
        self._asked.update({ask.key: self._asked.get(ask.key) for ask in execution.asks})
        for ask in await _read(self._call, execution.execution_id, carried=False):
            if self._asked.get(ask.key) is None:
                self._asked[ask.key] = asyncio.create_task(self._ask(ask), name=f"ask {ask.key}")

    async def _ask(self, ask: AskRecord) -> None:
        left = ask.expires_ns / 1e9 - time.time()
        try:
            async with asyncio.timeout(max(0.0, left)):
                reply = await self._ear.ask(ask)
        except TimeoutError:  # the runner gives it up, and says so
            return
        except Exception:  # the SDK's code and the client's answer: they must not end the wait
            log.exception("a client could not be asked", key=ask.key)
            reply = Reply(reason="asking the client failed inside Ratchet")
        if reply is not None:
            await _answer(self._call, ask.key, reply, seconds=max(ANSWER_SECONDS, left))

    async def _end(self) -> None:
        tasks = [task for task in self._asked.values() if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _bring(call: ToolCall, ear: ByRetry) -> list[str]:
    """Hand in what a client brings; returns what became of answers that were not taken."""
    late = [await _answer(call, key, reply, seconds=ANSWER_SECONDS) for key, reply in ear.replies.items()]
    return [one for one in late if one is not None]


async def _answer(call: ToolCall, key: str, reply: Reply, *, seconds: float) -> str | None:
    """Hand in one answer; returns why it was not taken."""
    body = AnswerAsk(
        client=call.caller.client, key=key, said=reply.said, problem=reply.problem, reason=reply.reason[:300]
    )
    try:
        taken = await rpc.call(call.front.link, ANSWER_ASK, body, timeout_seconds=seconds)
    except (IpcError, RatchetError) as error:
        log.warning("an answer could not be handed in", key=key, error=str(error))
        return f"An answer could not be taken: {error}."
    if taken.taken:
        return None
    log.info("an answer came too late", key=key, state=taken.state, reason=taken.reason)
    return f"An answer was not taken: {taken.reason}."
