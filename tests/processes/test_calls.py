"""Calls of a task to other actors, as a real child makes them over the channel that its worker would relay."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.zygote_harness import ChildHandle, ZygoteHandle, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are Linux's")

TASKS = """
    import asyncio, os, threading
    from ratchet.errors import CallError, QueueFullError

    def ask(ctx: Context, number: int, **options):
        return ctx._calls.make("test.double", {"number": number}, lambda reply, span: reply["doubled"],
                               name="double", attributes={"number": number}, **options)

    @task
    def once(ctx: Context, number: int) -> int:
        return ask(ctx, number)

    @task
    def quiet(ctx: Context) -> int:
        return threading.active_count()

    @task
    def refused(ctx: Context) -> str:
        try:
            ask(ctx, 1)
        except QueueFullError as error:
            return f"{error} {error.details} {error.retryable}"

    @task
    async def together(ctx: Context) -> list[int]:
        return await asyncio.gather(ask(ctx, 1), ask(ctx, 2, timeout_seconds=5))

    @task
    async def impatient(ctx: Context) -> str:
        try:
            await asyncio.wait_for(ask(ctx, 1), 0.01)
        except TimeoutError:
            return "gave up"

    @task
    async def waits(ctx: Context) -> int:
        return await ask(ctx, 1)

    @task
    async def forgets(ctx: Context) -> None:
        ask(ctx, 1)

    @task
    def forks(ctx: Context) -> int:
        ask(ctx, 1)
        pid = os.fork()
        if not pid:
            try:
                ask(ctx, 2)
            except CallError as error:
                os._exit(7 if "forked" in str(error) else 1)
            os._exit(2)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    @task
    def leaves(ctx: Context) -> None:
        def work():
            try:
                ask(ctx, 1)
            except CallError as error:
                os.write(1, f"{error}\\n".encode())
        threading.Thread(target=work).start()
        ask(ctx, 2)
"""


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteHandle]:
    handle = ZygoteHandle()
    yield handle
    assert handle.close() == 0


@pytest.fixture(scope="module")
def described(zygote: ZygoteHandle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path: Path = write(tmp_path_factory.mktemp("calls"), "tasks.py", TASKS)
    return zygote.fork().describe(path)


def asked(child: ChildHandle) -> dict[str, Any]:
    kind, body = child.calls.next()
    assert kind == "call"
    assert body["method"] == "test.double"
    return body


def answer(child: ChildHandle, call: dict[str, Any]) -> None:
    child.calls.channel.send("reply", {"id": call["id"], "body": {"doubled": 2 * call["body"]["number"]}})


def test_a_call_has_a_span_and_its_thread_is_nothing_that_a_task_left_behind(
    zygote: ZygoteHandle, described: dict[str, Any]
) -> None:
    child = zygote.fork()
    assert child.run(described, "quiet").output == 1
    for number in (4, 5):
        child.order(described, "once", {"number": number})
        call = asked(child)
        answer(child, call)
        run = child.finish()
        assert run.output == 2 * number
        assert run.done["reusable"]
        [made, root] = run.of("span")
        assert (made["name"], made["kind"], made["attributes"]) == ("double", "client", {"number": number})
        assert (made["span_id"], made["parent_id"]) == (call["span_id"], root["span_id"])
        assert call["timeout_seconds"] is None


def test_an_error_is_raised_as_what_the_callee_raised(zygote: ZygoteHandle, described: dict[str, Any]) -> None:
    child = zygote.fork()
    child.order(described, "refused")
    error = {"code": "queue_full", "message": "too many", "details": {"waiting": 3}}
    child.calls.channel.send("error", {"id": asked(child)["id"], **error})
    run = child.finish()
    assert run.output == "too many {'waiting': 3} True"
    assert run.of("span")[0]["status"] == "error"


def test_coroutines_await_calls_that_are_answered_in_any_order(zygote: ZygoteHandle, described: dict[str, Any]) -> None:
    child = zygote.fork()
    child.order(described, "together")
    first, second = asked(child), asked(child)
    assert (first["timeout_seconds"], second["timeout_seconds"]) == (None, 5)
    answer(child, second)
    answer(child, first)
    run = child.finish()
    assert run.output == [2, 4]
    assert run.done["reusable"]
    child.order(described, "impatient")
    given_up = asked(child)
    assert child.calls.next() == ("cancel", {"id": given_up["id"]})
    answer(child, given_up)  # too late, and nobody is disturbed by it
    assert child.finish().output == "gave up"
    forgotten = child.run(described, "forgets")
    assert any("never awaited" in message for _, _, message in forgotten.logs)


@pytest.mark.parametrize("task_id", ["waits", "once"])
def test_a_cancel_interrupts_whoever_waits_and_withdraws_the_call(
    zygote: ZygoteHandle, described: dict[str, Any], task_id: str
) -> None:
    child = zygote.fork()
    execution_id = child.order(described, task_id, {"number": 1} if task_id == "once" else {})
    call = asked(child)
    child.cancel(execution_id)
    assert child.calls.next() == ("cancel", {"id": call["id"]})
    run = child.finish()
    assert run.failure["category"] == "cancelled"


def test_a_process_that_the_task_forked_cannot_call(zygote: ZygoteHandle, described: dict[str, Any]) -> None:
    child = zygote.fork()
    child.order(described, "forks")
    answer(child, asked(child))
    assert child.finish().output == 7


def test_what_a_run_leaves_unanswered_ends_with_it(zygote: ZygoteHandle, described: dict[str, Any]) -> None:
    child = zygote.fork()
    child.order(described, "leaves")
    calls = {call["body"]["number"]: call for call in (asked(child), asked(child))}
    answer(child, calls[2])
    assert child.calls.next() == ("cancel", {"id": calls[1]["id"]})
    assert child.finish().done["reusable"]
    assert b"the execution ended before the call was answered" in child.read_out()
