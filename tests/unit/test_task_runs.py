"""What a task that runs others sees, without any process."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from ratchet import AsyncContext, Context, task
from ratchet.errors import CallError, ExecutionFailedError, InvalidInputError, RatchetError, UnavailableError
from ratchet.errors import UnknownTaskError as Unknown
from ratchet.testing import RecordingContext, run_task


class Count(BaseModel):
    rows: int


@task
def count_rows(path: str) -> Count:
    return Count(rows=len(path))


@task
def double(path: str, *, ctx: Context) -> int:
    return 2 * ctx.run(count_rows, {"path": path}).rows


@task
async def count_all(paths: list[str], *, ctx: AsyncContext) -> int:
    counts = await asyncio.gather(*(ctx.run(count_rows, {"path": path}) for path in paths))
    return sum(one.rows for one in counts)


def rows(given: dict[str, Any]) -> dict[str, int]:
    return {"rows": len(given["path"])}


def test_a_function_gives_its_model_and_an_id_gives_json() -> None:
    ctx = RecordingContext(runs={"count-rows": rows})
    assert run_task(double, {"path": "abc"}, context=ctx) == 6
    assert ctx.run("count-rows", {"path": "abc"}) == {"rows": 3}
    assert [(span.name, span.kind, span.status) for span in ctx.spans] == 2 * [("run count-rows", "client", "ok")]


def test_where_an_event_loop_runs_the_call_is_awaited() -> None:
    ctx = RecordingContext(runs={"count-rows": rows})
    assert run_task(count_all, {"paths": ["a", "bc"]}, context=ctx) == 3


def test_a_failure_names_the_execution() -> None:
    def fails(_given: dict[str, Any]) -> None:
        raise ValueError("no")

    ctx = RecordingContext(runs={"count-rows": fails})
    with pytest.raises(ExecutionFailedError, match="failed: ValueError: no") as caught:
        ctx.run(count_rows, {"path": ""})
    assert caught.value.execution_id == ctx.spans[0].attributes["ratchet.execution_id"]
    assert (caught.value.details["category"], caught.value.retryable) == ("exception", False)
    assert ctx.spans[0].status == "error"


def test_what_cannot_be_asked_says_so() -> None:
    with pytest.raises(Unknown, match="RecordingContext"):
        RecordingContext().run("other")
    with pytest.raises(InvalidInputError, match="cannot be made JSON"):
        RecordingContext().run("other", {"value": object()})
    with pytest.raises(CallError, match="no execution"):
        Context(RecordingContext()._sink, execution_id="e", task_id="t").run("other")  # pyright: ignore[reportPrivateUsage]


def test_errors_say_whether_trying_again_may_help() -> None:
    assert UnavailableError("later").retryable
    assert not RatchetError("never").retryable
