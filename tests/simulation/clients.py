"""What clients do: submit, ask again until they are told, look, wait, cancel. And what they submit."""

import asyncio
from random import Random
from typing import Any

from ipc.errors import IpcError
from ratchet import messages, rpc
from ratchet.bodies.executions import CancelExecution, GetExecution, Submit
from ratchet.errors import RatchetError
from ratchet.messages import Procedure
from ratchet.models import Execution, Source
from tests.simulation.loop import context_of
from tests.simulation.tasks import AGAIN, PLAIN, QUICK, TOUGH, TRIED
from tests.simulation.world import CLIENT, World

_TRIES_MAX = 60
_DEPTH_MAX = 4  # one deeper than is allowed


class Clients:
    """Everybody who asks something of this world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance
        self._submitted: list[Submit] = []
        self._asking: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many have not been told yet what became of what they asked; those that died do not wait."""
        process = self._world.hosts[CLIENT].process
        return sum(not task.done() and task.get_name() == process.name for task in self._asking)

    def act(self) -> None:
        """One of them does something."""
        match self._chance.choices(["submit", "again", "cancel", "look"], [8, 1, 3, 2])[0]:
            case "submit":
                self._begin(self._submit(self._new()))
            case "again" if self._submitted:
                self._begin(self._submit(self._chance.choice(self._submitted)))
            case "cancel" if self._submitted:
                self._begin(self._cancel(self._chance.choice(self._submitted).execution_id))
            case "look" if self._submitted:
                self._begin(self._look(self._chance.choice(self._submitted).execution_id, 5.0))
            case _:
                pass

    def _begin(self, work: Any) -> None:
        host = self._world.hosts.get(CLIENT)
        if host is None or not host.process.alive or self._world.link is None:
            work.close()
            return
        context = context_of(host.process)
        self._asking.add(self._world.loop.create_task(work, name=host.process.name, context=context))

    def _new(self) -> Submit:
        chance = self._chance
        number = len(self._submitted)
        earlier = self._submitted[-1].idempotency_key if self._submitted and chance.random() < 0.05 else None
        task = chance.choice([PLAIN, AGAIN, AGAIN, QUICK, TRIED, TOUGH])
        body = Submit(
            execution_id=f"e{number}",
            task_id=task,
            input=self._submitted[-1].input if earlier else script(chance),
            source=Source(kind="cli"),
            wait_seconds=chance.choice([0, 0.5, 60]),
            priority=chance.choice([0, 0, 5]),
            timeout_seconds=chance.choice([None, None, None, None, 4.0]),
            idempotency_key=earlier or (f"k{number}" if chance.random() < 0.3 else None),
        )
        self._submitted.append(body)
        return body

    async def _submit(self, body: Submit) -> None:
        self._world.truth.asked.add(body.execution_id)
        for _ in range(_TRIES_MAX):
            try:
                seen = await self._ask(messages.SUBMIT, body)
            except IpcError:
                await asyncio.sleep(0.2)
            except RatchetError as error:
                if not error.retryable:
                    self._world.truth.refused.setdefault(body.execution_id, error.code)
                    return
                await asyncio.sleep(1.0)
            else:
                await self._follow(seen.execution_id)
                return

    async def _follow(self, execution_id: str) -> None:
        for _ in range(_TRIES_MAX):
            if execution_id in self._world.truth.ends:
                return
            await self._look(execution_id, 20.0)

    async def _look(self, execution_id: str, seconds: float) -> None:
        accepted = execution_id in self._world.truth.accepted
        try:
            request = GetExecution(execution_id=execution_id, wait_seconds=seconds)
            await self._ask(messages.GET_EXECUTION, request)
        except IpcError:
            await asyncio.sleep(0.2)
        except RatchetError as error:
            if accepted and not error.retryable:
                self._world.truth.lies.append(f"{execution_id} was accepted, and then: {error}")
            await asyncio.sleep(1.0)

    async def _cancel(self, execution_id: str) -> None:
        self._world.truth.cancelled.add(execution_id)
        self._world.machine.note(f"a client cancels {execution_id}")
        try:
            request = CancelExecution(execution_id=execution_id, reason="asked", wait_seconds=1.0)
            await self._ask(messages.CANCEL_EXECUTION, request)
        except (IpcError, RatchetError):
            return

    async def _ask(
        self, procedure: "Procedure[Any, Execution]", body: Submit | GetExecution | CancelExecution
    ) -> Execution:
        assert self._world.link is not None
        self._world.machine.note(f"a client calls {procedure.name} {body.execution_id}")
        known = body.execution_id in self._world.truth.ends
        seconds = body.wait_seconds + self._chance.choice([3.0, 30.0])
        seen = await rpc.call(self._world.link, procedure, body, timeout_seconds=seconds)
        self._world.machine.note(f"a client hears from {procedure.name}: {seen.execution_id} is {seen.status.value}")
        self._world.truth.told(seen, known=known)
        return seen


def script(chance: Random, depth: int = 0) -> dict[str, Any]:
    """The input of a task: what it does, step by step."""
    steps = [_step(chance, depth) for _ in range(chance.randint(0, 3))]
    steps.insert(chance.randint(0, len(steps)), ["effect", 1])
    return {"steps": steps, "obeys": chance.choice(["cancel", "cancel", "cancel", "term", "kill"])}


def _step(chance: Random, depth: int) -> list[Any]:
    kinds = {"sleep": 6, "log": 6, "print": 2, "progress": 2, "raise": 1, "flaky": 2, "exit": 1, "call": 2}
    what = chance.choices([*kinds], [*kinds.values()])[0]
    match what:
        case "sleep":
            return [what, chance.choice([0.001, 0.05, 0.5, 2.0, 8.0])]
        case "log":
            return [what, chance.choices([1, 3, 30, 700], [6, 6, 6, 1])[0]] if chance.random() < 0.3 else [what, 2]
        case "call" if depth < _DEPTH_MAX:
            task = chance.choice([PLAIN, AGAIN, QUICK, TRIED])
            called = script(chance, depth + 1)
            return [what, {"task": task, "input": called, "timeout": chance.choice([None, None, 3.0])}]
        case "call":
            return ["sleep", 0.01]
        case "flaky":
            return [what, chance.choice([1, 2, 5])]
        case _:
            return [what, 3]
