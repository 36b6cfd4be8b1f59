"""`ctx.run`: a task as a call of another, which becomes an execution of its own."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from ratchet.authoring import TaskDefinition, definition_of
from ratchet.calling import Body, Calls
from ratchet.errors import ExecutionFailedError, InvalidInputError, UnknownTaskError
from ratchet.execution_ids import new_execution_id
from ratchet.models import Category, Failure, JsonObject, RunEnd, Status
from ratchet.schema import interface_of

if TYPE_CHECKING:
    from ratchet.context import Span

METHOD = "calls.run"


def run_task_of(
    calls: Calls, task: str | Callable[..., Any], given: Mapping[str, Any] | None, timeout_seconds: float | None
) -> Any:
    """Run a task and return its output: see `Context.run`."""
    definition = None if isinstance(task, str) else definition_of(task)
    task_id = task if isinstance(task, str) else definition_of(task).task_id
    run_id = new_execution_id()
    body = {"run_id": run_id, "task_id": task_id, "input": _input(task_id, given), "timeout_seconds": timeout_seconds}
    return calls.make(
        METHOD,
        body,
        lambda reply, span: _output(definition, reply, span),
        name=f"run {task_id}",
        attributes={"ratchet.execution_id": run_id},
    )


def _input(task_id: str, given: Mapping[str, Any] | None) -> Body:
    try:
        made = to_jsonable_python(dict(given or {}), by_alias=True)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"the input for {task_id} cannot be made JSON: {error}") from None
    return made


def _output(definition: TaskDefinition | None, reply: Body, span: "Span") -> Any:
    if reply["status"] != "completed":
        raise _failed(reply)
    span.set("ratchet.status", reply["status"])
    return reply["output"] if definition is None else interface_of(definition).load(reply["output"])


def _root_of(failure: Body) -> Body:
    """What the deepest execution failed of, where the one that failed had called it, and so on; else nothing."""
    details: Body = failure.get("details") or {}
    called: Body = details.get("called") or {}
    root: Body = called.get("root") or called
    return root


def _failed(reply: Body) -> ExecutionFailedError:
    failure: Body = reply["failure"] or {}
    own = {name: reply[name] for name in ("execution_id", "task_id", "status")}
    own |= {name: failure.get(name) for name in ("category", "type", "message")}
    root = _root_of(failure)
    cause = root or own
    where = f" in {root['task_id']} ({root['execution_id']})" if root else ""
    told = f": {cause['type']}: {cause['message']}{where}" if cause["type"] else ""
    ended = "was cancelled" if reply["status"] == "cancelled" else "failed"
    message = f"{reply['task_id']} ({reply['execution_id']}) {ended}{told}"
    return ExecutionFailedError(message, details={**own, "root": root} if root else own)


def pretended_end(runs: Mapping[str, Callable[[JsonObject], Any]], body: Body) -> RunEnd:
    """The reply in a test: what a function makes of the input, or what it raises, as the failure.

    Raises:
        UnknownTaskError: There is no function for this task.
    """
    task_id, execution_id = body["task_id"], body["run_id"]
    run = runs.get(task_id)
    if run is None:
        raise UnknownTaskError(f"no function runs for {task_id!r}: give RecordingContext(runs={{{task_id!r}: …}})")
    try:
        output = to_jsonable_python(run(body["input"]), by_alias=True)
    except Exception as error:  # noqa: BLE001 - an author's stand-in fails as any task may
        failure = Failure(category=Category.EXCEPTION, type=type(error).__name__, message=str(error))
        return RunEnd(execution_id=execution_id, task_id=task_id, status=Status.FAILED, failure=failure)
    return RunEnd(execution_id=execution_id, task_id=task_id, status=Status.COMPLETED, output=output)
