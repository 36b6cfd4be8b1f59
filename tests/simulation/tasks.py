"""The processes beyond a worker's boundary: children, and the tasks that they run, as the input of each says.

An input is `{"steps": [[what, argument], ...]}`. The model keeps what counts of `ratchet.runtime`: the order in which
things are said, what obeys a cancel, what a death leaves behind.
"""

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ratchet.models import Category, Failure, RetryPolicy, Task
from tests.simulation.loop import Process, context_of
from tests.simulation.machine import Machine
from tests.simulation.truth import Ran

if TYPE_CHECKING:
    from tests.simulation.children import SimulatedChild

# Nothing but itself; idempotent; with little time; tried again after errors; and after deaths, too.
PLAIN, AGAIN, QUICK, TRIED, TOUGH = "plain", "again", "quick", "tried", "tough"
TASKS = (PLAIN, AGAIN, QUICK, TRIED, TOUGH)
IDEMPOTENT = (AGAIN, TOUGH)
QUICK_SECONDS = 1.5
POLICY = RetryPolicy(max_attempts=3, waits_seconds=[0.4, 3.0], jitter=0.5, timeouts=True)
POLICIES = {TRIED: POLICY, TOUGH: POLICY}
_IMPORT_SECONDS = 0.05
_DEATH_SECONDS = 0.03

OnDeath = Callable[["ChildProcess", int | None, int | None], None]


class ChildProcess:
    """One child: serves until it dies or its worker hangs up."""

    def __init__(self, machine: Machine, end: "SimulatedChild", slot: int, *, worker: str, on_death: OnDeath) -> None:
        self.slot = slot
        self.pid = machine.new_pid()
        self.process = Process(f"child {self.pid}")
        self.context = context_of(self.process)
        self._machine = machine
        self.end = end
        self._worker = worker
        self._on_death = on_death
        self._inbox: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._calls = 0
        self._hung_up = False
        self._order: dict[str, Any] | None = None
        self._ran: Ran | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancel: str | None = None
        machine.children.add(self)
        machine.loop.create_task(self._serve(), context=self.context)

    # --- what reaches it ------------------------------------------------------------------------------------------

    def take(self, kind: str, body: dict[str, Any]) -> None:
        match kind:
            case "reply" | "error":
                answer = self._answers.pop(body["id"], None)
                if answer is not None and not answer.done():
                    answer.set_result(body)
            case "cancel":
                if self._order is not None and body["execution_id"] == self._order["execution_id"]:
                    self._cancel = body["reason"]
            case _:
                self._inbox.put_nowait((kind, body))

    def take_signal(self, number: int) -> None:
        obeys = self._order is None or self._order["input"].get("obeys", "cancel")
        if number == signal.SIGKILL or (number == signal.SIGTERM and obeys != "kill"):
            self.die(number, None)
        elif number == signal.SIGUSR1 and self._task is not None and self._cancel is not None and obeys == "cancel":
            self._task.cancel()

    def hang_up(self) -> None:
        """The worker closed its ends: an idle child exits, a busy one cannot say anything any more."""
        self._machine.later(0.001, self.die_soon, signal.SIGKILL if self._order is not None else None)

    def die_soon(self, number: int | None) -> None:
        """Die a moment after what keeps it alive did."""
        loop = self._machine.loop
        loop.call_later(self._machine.within(_DEATH_SECONDS), self.die, number, 0, context=context_of(loop.world))

    def die(self, number: int | None, code: int | None) -> None:
        if not self.process.alive:
            return
        self._machine.loop.kill(self.process)
        self._machine.children.discard(self)
        if self._ran is not None and self._ran.ended is None:
            self._ran.ended, self._ran.ended_at = "died", self._machine.loop.now
        self._on_death(self, number, None if number else code or 0)

    # --- what it does ---------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while True:
            kind, body = await self._inbox.get()
            if kind == "describe":
                await asyncio.sleep(_IMPORT_SECONDS)
                self.end.say("described", self._description())
            else:
                await self._run(body)

    def _description(self) -> dict[str, Any]:
        path, version = str(self._machine.task_file), self._machine.version
        tasks = [
            Task(
                task_id=name,
                function=name,
                path=path,
                version=version,
                input_schema={"type": "object"},
                idempotent=name in IDEMPOTENT,
                retry=POLICIES.get(name),
                timeout_seconds=QUICK_SECONDS if name == QUICK else None,
            ).model_dump(mode="json")
            for name in TASKS
        ]
        return {"version": version, "files": [path], "tasks": tasks}

    async def _run(self, order: dict[str, Any]) -> None:
        self._order, self._cancel = order, None
        if order["version"] != self._machine.version:
            self._done(failure=_failure(Category.TASK_BROKEN, "VersionChanged", "the file changed"))
            return
        key = (order["execution_id"], order["attempt"])
        ran = self._ran = Ran(self._worker, self._machine.loop.now)
        if key in self._machine.truth.ran:
            self._machine.truth.lies.append(f"attempt {key} was begun twice")
        self._machine.truth.ran[key] = ran
        self._machine.note(f"attempt {key[1]} of {key[0]} runs in {self._worker}, {self.process.name}")
        self._task = asyncio.ensure_future(self._steps(order, ran))
        failure = None
        try:
            await self._task
        except asyncio.CancelledError:
            failure = _failure(Category.CANCELLED, "Cancelled", self._cancel or "")
        except TaskError as error:
            failure = _failure(Category.EXCEPTION, "TaskError", str(error))
            if order["task_id"] in POLICIES:
                failure = failure.model_copy(update={"retryable": True, "retry_after_seconds": error.after_seconds})
        self._task = None
        self._span(ran)
        self._done(failure=failure)

    def _done(self, *, failure: Failure | None) -> None:
        assert self._order is not None
        if self._ran is not None and self._ran.ended is None:
            cancelled = failure is not None and failure.category is Category.CANCELLED
            self._ran.ended = "returned" if failure is None else "cancelled" if cancelled else "raised"
            self._ran.ended_at = self._machine.loop.now
        body: dict[str, Any] = {"reusable": failure is None or failure.category is Category.EXCEPTION}
        if failure is None:
            body["output"] = {"of": self._order["execution_id"]}
        else:
            body["failure"] = failure.model_dump(mode="json")
        self._order, self._ran = None, None
        self.end.say("done", body)

    async def _steps(self, order: dict[str, Any], ran: Ran) -> None:
        for what, argument in order["input"]["steps"]:
            match what:
                case "effect":
                    self._machine.truth.effects[order["execution_id"]] += 1
                case "sleep":
                    await asyncio.sleep(argument)
                case "log":
                    self._log(ran, argument)
                case "print":
                    ran.logged += 1
                    self.end.line(str(argument))
                case "progress":
                    self.end.say("progress", {"current": argument, "at_ns": 1})
                case "call":
                    await self._call(order, argument)
                case "raise" | "flaky":
                    _fail_until(argument if what == "flaky" else None, order["attempt"])
                case _:
                    self.die(None, int(argument))
                    await asyncio.sleep(0)

    def _log(self, ran: Ran, records: int) -> None:
        for number in range(records):
            ran.logged += 1
            message = {"at_ns": 1, "level": "info", "logger": "ctx", "message": f"record {number}"}
            self.end.say("log", message)

    def _span(self, ran: Ran) -> None:
        ran.spans += 1
        span = {"span_id": "0" * 16, "name": "root", "start_ns": 1, "end_ns": 2}
        self.end.say("span", span)

    async def _call(self, order: dict[str, Any], argument: dict[str, Any]) -> None:
        self._calls += 1
        call_id = self._calls
        answer = self._answers[call_id] = self._machine.loop.create_future()
        run_id = f"{order['execution_id']}.{order['attempt']}.{call_id}"
        body = {"run_id": run_id, "task_id": argument["task"], "input": argument["input"]}
        self._machine.truth.asked.add(run_id)
        request = {"id": call_id, "method": "calls.run", "body": body, "span_id": None}
        self.end.call("call", {**request, "timeout_seconds": argument["timeout"]})
        try:
            reply = await answer
        except asyncio.CancelledError:
            self.end.call("cancel", {"id": call_id})
            raise
        if "code" in reply:
            raise TaskError(f"a call failed: {reply['code']}: {reply['message']}")
        if reply["body"]["status"] != "completed":
            raise TaskError(f"what was called ended as {reply['body']['status']}")


def _fail_until(last: int | None, attempt: int) -> None:
    """Raise in each attempt up to the last that is to fail; None: in every one."""
    if last is None:
        raise TaskError("in every attempt")
    if attempt <= last:
        raise TaskError(f"not in attempt {attempt}", after_seconds=last / 2)


class TaskError(Exception):
    """What a task raises, perhaps with the time after which it wants to be tried again."""

    def __init__(self, message: str, *, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


def _failure(category: Category, kind: str, message: str) -> Failure:
    return Failure(category=category, type=kind, message=message)
