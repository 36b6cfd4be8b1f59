"""Questions of tasks to their caller: recorded before anybody is asked, answered once, given up for a reason.

The llm-gateway asks here for a task, and waits. Whoever waits for the execution at a front gets the question with the
reply to that wait (`desk.py`), and brings the answer here. So a question is outstanding as long as its row is open,
whatever process dies meanwhile: a gateway, a front or a client that comes back asks again under the same key.
It is closed by the first answer, by its time, by its task (which has given up, or whose attempt has ended), or because
nobody who could answer waits for the execution any more.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from actors.task_runner.behalf import acting
from actors.task_runner.callers import Callers
from actors.task_runner.ledger import ATTEMPT_ENDED, Ledger, undisturbed
from actors.task_runner.live import Live
from ipc.link import Request
from ratchet.bodies.asks import (
    AnswerAsk,
    AnswerTaken,
    AskCaller,
    AskRecord,
    AskState,
    OpenAsks,
    ReadAsks,
    Said,
    WithdrawAsks,
    key_prefix,
)
from ratchet.bodies.common import Empty
from ratchet.errors import (
    LlmNoCallerError,
    LlmRefusedError,
    LlmTimeoutError,
    LlmUnavailableError,
    RatchetError,
    StaleFenceError,
    StoreError,
    UnknownAskError,
)
from ratchet.lifecycle import Asked, Settled
from ratchet.models import OpenAsk
from ratchet.policy.decision import Action
from ratchet.policy.enforce import require
from ratchet.stores.asks import AskStore

TEXT_CHARACTERS_MAX: Final = 300
OPEN_MAX: Final = 1_000

log = structlog.stdlib.get_logger("task-runner")


@dataclass(slots=True, eq=False)
class _Pending:
    """An open question.

    Attributes:
        ask: As it is recorded.
        live: The execution whose task asks.
        chain: It, and every execution above it: whoever waits for one of them may answer.
        end: Set to the record as it was closed.
        carried: Its caller went away with it and comes back with an answer: only time gives it up.
    """

    ask: AskRecord
    live: Live
    chain: tuple[str, ...]
    end: asyncio.Future[AskRecord]
    carried: bool = False


class AskDesk:
    """The procedures `asks.*`.

    Args:
        ledger: Executions that have not ended.
        store: Where questions are kept.
        callers: Who could be asked.
        now_ns: The clock.
    """

    def __init__(
        self, ledger: Ledger, store: AskStore, callers: Callers, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._callers = callers
        self._now_ns = now_ns
        self._pending: dict[str, _Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    async def restore(self, found: Iterable[Live]) -> None:
        """Take up what an earlier runner left open. Who waited for an execution then is about to come back."""
        lives = {live.execution.execution_id: live for live in found}
        for execution_id, live in lives.items():
            if live.execution.source.kind == "mcp":
                self._callers.seen(execution_id)
        for ask in await self._store.open():
            if ask.execution_id in lives:
                self._add(ask, lives[ask.execution_id])

    # --- for tasks ------------------------------------------------------------------------------------------------

    async def ask(self, body: AskCaller, _request: Request) -> Said:
        """Ask the caller of the execution, or find the question where it was asked before; reply with the answer.

        Raises:
            StaleFenceError: The attempt that asks is not its execution's current one, or has ended.
            UnknownAskError: It was to be resumed and has never been asked.
            LlmNoCallerError: Nobody who could answer waits for the execution.
            LlmTimeoutError, LlmRefusedError, LlmUnavailableError: There is no answer.
            StoreError: The question could not be recorded, so nobody is asked.
        """
        live = self._asking(body)
        known = None if body.key in self._pending else await self._store.get(body.key)
        if known is not None and known.state != "open":
            return _answer(known)
        pending = self._pending.get(body.key)
        if pending is None:
            if body.resume:
                raise UnknownAskError(f"the caller has not been asked {body.key!r}")
            pending = await undisturbed(self._begin(live, body))
        return _answer(await asyncio.shield(pending.end))

    async def withdraw(self, body: WithdrawAsks, request: Request) -> Empty:
        """The task does not wait any more for what this call asked; said by the worker that runs it."""
        live = self._ledger.live.get(body.execution_id)
        if live is None or live.attempt is None or live.attempt.worker != request.source:
            return Empty()
        prefix = key_prefix(body.execution_id, body.fence, body.call_id)
        for pending in [one for key, one in self._pending.items() if key.startswith(prefix)]:
            await self._give_up(pending, "withdrawn", "the task no longer waits for the answer")
        return Empty()

    def _asking(self, body: AskCaller) -> Live:
        live = self._ledger.live.get(body.execution_id)
        if live is None or not live.state.status.active or live.state.fence != body.fence:
            raise StaleFenceError(f"attempt {body.fence} of {body.execution_id} does not run, so it asks nothing")
        if not body.key.startswith(key_prefix(body.execution_id, body.fence, body.call_id)):
            raise StaleFenceError(f"{body.key!r} is no key of attempt {body.fence} of {body.execution_id}")
        return live

    async def _begin(self, live: Live, body: AskCaller) -> _Pending:
        if not self._expected(self._chain(live)):
            raise LlmNoCallerError(
                f"nobody who could be asked waits for {body.execution_id}: the client does not wait for it, or offers "
                "no sampling. Name another route after `caller` in llm.routes, or run the task from a client that "
                "offers sampling and wait for its end",
                details={"route": "caller"},
            )
        if len(self._pending) >= OPEN_MAX:
            raise LlmUnavailableError(
                f"{OPEN_MAX} questions wait for their callers and no more may", details={"route": "caller"}
            )
        asked_ns = self._now_ns()
        record = AskRecord(
            key=body.key,
            execution_id=body.execution_id,
            fence=body.fence,
            kind="sampling",
            request=body.request,
            asked_ns=asked_ns,
            expires_ns=asked_ns + int(body.timeout_seconds * 1e9),
        )
        pending = self._add(record, live)
        try:
            await self._ledger.apply(live, Asked(body.fence, body.key), ask=record)
        except RatchetError:
            self._remove(pending, record.model_copy(update={"state": "ended", "reason": ATTEMPT_ENDED}))
            raise
        self._show(pending)
        return pending

    # --- for callers ----------------------------------------------------------------------------------------------

    async def read(self, body: ReadAsks, request: Request) -> OpenAsks:
        """What is asked now of whoever waits for the execution.

        Raises:
            UnknownExecutionError: It is not the client's.
        """
        client = acting(body, request)
        found = [one for one in self._pending.values() if body.execution_id in one.chain]
        for pending in found:
            owner = pending.live.execution.source.client
            require(client, Action(None, owner=owner), execution_id=body.execution_id)
            pending.carried |= body.carried
        return OpenAsks(asks=sorted((one.ask for one in found), key=lambda ask: (ask.asked_ns, ask.key)))

    async def answer(self, body: AnswerAsk, request: Request) -> AnswerTaken:
        """Take the caller's answer, if it is the first and in time. One to a stranger's question is one to none.

        Raises:
            StoreError: It could not be recorded.
        """
        client = acting(body, request)
        pending = self._pending.get(body.key)
        if pending is None or (client is not None and client.name != pending.live.execution.source.client):
            return await self._late(body, client and client.name)
        if body.said is not None:
            taken = await self._settle(pending, "answered", said=body.said)
        else:
            taken = await self._settle(pending, body.problem, reason=body.reason[:TEXT_CHARACTERS_MAX])
        return AnswerTaken(taken=True, state="open") if taken else await self._late(body, client and client.name)

    async def _late(self, body: AnswerAsk, client: str | None) -> AnswerTaken:
        ask = await self._store.get(body.key)
        execution = None if ask is None else await self._ledger.store.get(ask.execution_id)
        if ask is None or execution is None or client not in (None, execution.source.client):
            return AnswerTaken(taken=False, state="unknown", reason="nobody has asked this")
        return AnswerTaken(taken=False, state=ask.state, reason=ask.reason or "it was answered before")

    # --- what ends a question -------------------------------------------------------------------------------------

    async def tick(self) -> None:
        """Give up what nobody will answer any more."""
        now_ns = self._now_ns()
        for pending in list(self._pending.values()):
            if pending.ask.expires_ns <= now_ns:
                seconds = (pending.ask.expires_ns - pending.ask.asked_ns) / 1e9
                await self._give_up(pending, "expired", f"the caller did not answer within {seconds:g} s")
            elif not self._expected(pending.chain):
                await self._give_up(pending, "unattended", "nobody who could answer waits for the execution any more")

    def attempt_ended(self, live: Live) -> None:
        """An attempt is over, and what it asked was closed with it."""
        for pending in [one for one in self._pending.values() if one.live is live]:
            self._remove(pending, pending.ask.model_copy(update={"state": "ended", "reason": ATTEMPT_ENDED}))

    async def _give_up(self, pending: _Pending, state: AskState, reason: str) -> None:
        try:
            await self._settle(pending, state, reason=reason)
        except StoreError as error:  # the next tick tries again
            log.error("a question could not be closed", key=pending.ask.key, error=error.message)

    async def _settle(
        self, pending: _Pending, state: AskState, *, said: Said | None = None, reason: str | None = None
    ) -> bool:
        """Close a question; False where that was done before."""
        return await undisturbed(self._close(pending, state, said, reason))

    async def _close(self, pending: _Pending, state: AskState, said: Said | None, reason: str | None) -> bool:
        end = pending.ask.model_copy(update={"state": state, "answer": said, "reason": reason})
        try:
            await self._ledger.apply(pending.live, Settled(pending.ask.fence, pending.ask.key), ask=end)
        except StaleFenceError:
            return False
        self._remove(pending, end)
        return True

    # --- what is open ---------------------------------------------------------------------------------------------

    def _expected(self, chain: tuple[str, ...]) -> bool:
        """Whether somebody who can answer waits for one of these executions, or will come back."""
        carried = any(one.carried and not set(one.chain).isdisjoint(chain) for one in self._pending.values())
        return carried or self._callers.expected(chain)

    def _chain(self, live: Live) -> tuple[str, ...]:
        chain = [live.execution.execution_id]
        while (lineage := live.execution.lineage) is not None:
            chain.append(lineage.parent_id)
            above = self._ledger.live.get(lineage.parent_id)
            if above is None:
                break
            live = above
        return tuple(chain)

    def _add(self, ask: AskRecord, live: Live) -> _Pending:
        pending = _Pending(ask, live, self._chain(live), asyncio.get_running_loop().create_future())
        self._pending[ask.key] = pending
        return pending

    def _remove(self, pending: _Pending, end: AskRecord) -> None:
        self._pending.pop(pending.ask.key, None)
        if not pending.end.done():
            pending.end.set_result(end)
        self._show(pending)

    def _show(self, pending: _Pending) -> None:
        """Whoever looks at, or waits for, one of the executions that this is about sees what is asked now."""
        for execution_id in pending.chain:
            live = self._ledger.live.get(execution_id)
            if live is not None:
                live.update(asks=[_shown(one) for one in self._pending.values() if execution_id in one.chain])


def _shown(pending: _Pending) -> OpenAsk:
    ask = pending.ask
    return OpenAsk(
        key=ask.key,
        execution_id=ask.execution_id,
        task_id=pending.live.execution.task_id,
        kind=ask.kind,
        text=ask.request.messages[-1].content[:TEXT_CHARACTERS_MAX],
        asked_ns=ask.asked_ns,
        expires_ns=ask.expires_ns,
    )


def _answer(end: AskRecord) -> Said:
    """What was said.

    Raises:
        RatchetError: Nothing was.
    """
    details = {"route": "caller"}
    match end.state:
        case "answered":
            assert end.answer is not None
            return end.answer
        case "refused":
            raise LlmRefusedError(f"the caller does not want this answered: {end.reason}", details=details)
        case "expired":
            raise LlmTimeoutError(f"{end.reason} (llm.caller.timeout_seconds)", details=details)
        case "unattended":
            raise LlmNoCallerError(f"{end.reason} (llm.caller.unattended_seconds)", details=details)
        case "ended":
            raise StaleFenceError(f"{end.reason}, so it gets no answer")
        case _:
            raise LlmUnavailableError(f"the caller's LLM gave no answer: {end.reason}", details=details)
