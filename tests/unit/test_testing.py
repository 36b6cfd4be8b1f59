"""What authors test their tasks with."""

import asyncio

import pytest

from ratchet import Context, task
from ratchet.errors import InvalidInputError, InvalidOutputError, TaskDefinitionError
from ratchet.testing import ProgressUpdate, RecordedLog, RecordingContext, run_task


@task
def count(to: int, ctx: Context) -> list[int]:
    """Count.

    Args:
        to: How far.
    """
    ctx.log("begun", to=to)
    with ctx.span("outer", to=to) as outer:
        for n in range(to):
            with ctx.span(f"number {n}"):
                ctx.progress(n + 1, to)
        outer.set("done", value=True)
    ctx.log.warning("finished")
    return list(range(to))


def test_a_recording_context_remembers_what_was_said() -> None:
    ctx = RecordingContext(execution_id="e1")
    assert count(2, ctx) == [0, 1]
    assert ctx.logs == [RecordedLog("info", "begun", {"to": 2}), RecordedLog("warn", "finished")]
    assert ctx.progress_updates == [ProgressUpdate(1, 2), ProgressUpdate(2, 2)]
    first, second, outer = ctx.spans
    assert [span.name for span in ctx.spans] == ["number 0", "number 1", "outer"]
    assert first.parent_id == second.parent_id == outer.span_id
    assert outer.parent_id is None
    assert outer.attributes == {"to": 2, "done": True}
    assert (outer.status, outer.start_ns <= outer.end_ns) == ("ok", True)
    assert (ctx.execution_id, ctx.attempt) == ("e1", 1)


def test_a_span_that_an_exception_leaves_has_failed() -> None:
    ctx = RecordingContext()
    with pytest.raises(ValueError, match="no"), ctx.span("part"):
        raise ValueError("no")
    (span,) = ctx.spans
    assert (span.status, span.status_message) == ("error", "ValueError: no")


def test_an_exception_can_be_logged_where_it_is_handled() -> None:
    ctx = RecordingContext()
    error = ValueError("no")
    try:
        raise error
    except ValueError:
        ctx.log.exception("it failed", rows=1)
    assert ctx.logs == [RecordedLog("error", "it failed", {"rows": 1}, error)]


def test_run_task_checks_input_and_output_as_ratchet_does() -> None:
    ctx = RecordingContext()
    assert run_task(count, {"to": "3"}, context=ctx) == [0, 1, 2]
    assert len(ctx.progress_updates) == 3
    with pytest.raises(InvalidInputError, match="to: required, and missing"):
        run_task(count)
    with pytest.raises(InvalidOutputError, match="2 are allowed"):
        run_task(count, {"to": 3}, output_bytes=2)


def test_run_task_runs_asynchronous_tasks() -> None:
    @task
    async def later(ctx: Context) -> str:
        await asyncio.sleep(0)
        return ctx.task_id

    assert run_task(later) == "later"


def test_run_task_takes_tasks_only() -> None:
    with pytest.raises(TaskDefinitionError, match="decorate it"):
        run_task(lambda: None)
