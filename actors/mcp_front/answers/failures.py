"""Failed executions and refused calls as error objects: what went wrong first, then what to do about it."""

from typing import Any

from actors.mcp_front.answers.answer import Answer, clip, clip_start, compact, paragraphs
from actors.mcp_front.naming import ToolNames
from ipc.errors import IpcError, TooLargeError
from ratchet.errors import RatchetError, UnavailableError
from ratchet.models import Category, Execution, Failure, Frame, JsonObject, ProcessEnd

_MESSAGE_CHARACTERS_MAX = 1_500
_STACK_CHARACTERS_MAX = 2_500
_SOURCE_CHARACTERS_MAX = 200
_CAUSES_MAX = 4
_PROBLEMS_MAX = 10
_LAST_LINES_MAX = 10

# Categories of calls that were not carried out, apart from those of failed executions.
REFUSED_CATEGORIES = ("request", "unavailable", "internal")

_MEANING = {
    Category.EXCEPTION: "the task raised an exception",
    Category.INVALID_INPUT: "the task's own types refused the input",
    Category.INVALID_OUTPUT: "what the task returned is no valid output",
    Category.TIMEOUT: "its time was up",
    Category.POISON: "processes died under one attempt after the other",
    Category.CRASHED: "its process died",
    Category.LIMIT: "its process hit a limit",
    Category.WORKER_LOST: "the worker that ran it was lost; the task is not at fault",
    Category.SHUTDOWN: "Ratchet was shut down before it ended; the task is not at fault",
    Category.TASK_BROKEN: "the task's file cannot be loaded",
    Category.CANCELLED: "it was cancelled",
}


def error_of(failure: Failure) -> JsonObject:
    """The `error` of an execution, bounded; the failing frame and the causes before the stack trace."""
    error: JsonObject = {
        "type": failure.type,
        "message": clip(failure.message, _MESSAGE_CHARACTERS_MAX),
        "category": failure.category.value,
    }
    if frame := _failing_frame(failure):
        error["location"] = {"file": frame.file, "line": frame.line, "function": frame.function}
        if frame.source:
            error["location"]["source"] = clip(frame.source.strip(), _SOURCE_CHARACTERS_MAX)
    if failure.chain[1:]:
        error["causes"] = [
            {"type": one.type, "message": clip(one.message, _MESSAGE_CHARACTERS_MAX // 3)}
            for one in failure.chain[1 : 1 + _CAUSES_MAX]
        ]
    if problems := failure.details.get("problems"):
        error["problems"] = problems[:_PROBLEMS_MAX]
    if failure.process is not None:
        error["process"] = _process(failure.process)
    if failure.gave_up is not None:
        error["gave_up"] = clip(failure.gave_up, _MESSAGE_CHARACTERS_MAX)
    if failure.stack_trace:
        error["stack_trace"] = clip_start(failure.stack_trace, _STACK_CHARACTERS_MAX)
    return error


def _failing_frame(failure: Failure) -> Frame | None:
    """The innermost frame of the task's own code; of any code where it has none."""
    for exception in failure.chain:
        ours = [frame for frame in exception.frames if frame.in_task]
        if ours:
            return ours[-1]
    frames = failure.chain[0].frames if failure.chain else []
    return frames[-1] if frames else None


def _process(end: ProcessEnd) -> JsonObject:
    process = end.model_dump(exclude_none=True)
    process["last_lines"] = [clip(one, _SOURCE_CHARACTERS_MAX) for one in end.last_lines[-_LAST_LINES_MAX:]]
    if not process["last_lines"]:
        del process["last_lines"]
    return process


def error_text(error: JsonObject) -> str:
    """An execution's error for reading, cause first."""
    location, process = error.get("location"), error.get("process")
    return paragraphs(
        [
            f"{error['type']}: {error['message']}",
            f"Category: {error['category']} ({_MEANING[Category(error['category'])]})",
            f"Not tried again: {error['gave_up']}" if "gave_up" in error else None,
            _location_text(location) if location else None,
            *(f"Because of {one['type']}: {one['message']}" for one in error.get("causes", ())),
            *(_problem_text(one) for one in error.get("problems", ())),
            f"Process: {compact(process)}" if process else None,
            f"Stack trace:\n{error['stack_trace']}" if "stack_trace" in error else None,
        ]
    )


def _location_text(location: JsonObject) -> str:
    text = f"At {location['file']}:{location['line']} in {location['function']}"
    return f"{text}: {location['source']}" if "source" in location else text


def _problem_text(problem: Any) -> str:
    match problem:
        case {"path": str(path), "message": str(message)}:
            given = problem.get("given")
            return f"- {path}: {message}" + (f" (given {given})" if given else "")
        case _:
            return f"- {compact(problem)}"


def next_after_failure(execution: Execution, failure: Failure, names: ToolNames) -> str | None:
    """The call to make after a failed execution; None where the caller may make none that helps."""
    if failure.category in (Category.WORKER_LOST, Category.SHUTDOWN):  # nothing to be analysed: it is not at fault
        if not names.offers("execute_task"):
            return None
        again = names.advertised("execute_task")
        return f"If the task's effects may happen twice, call {again} with the same input again."
    if not names.offers("analyze_execution_error"):
        return _without_analysis(execution, failure, names)
    call = names.call("analyze_execution_error", execution_id=execution.execution_id)
    return f"For the cause, what to change and whether to run it again call {call}."


def _without_analysis(execution: Execution, failure: Failure, names: ToolNames) -> str | None:
    """The same for those who may not read logs."""
    task_id = execution.task_id
    match failure.category:
        case Category.INVALID_INPUT:
            schema = names.call("list_available_tasks", filter=task_id, include_schemas=True)
            again = f" and call {names.advertised('execute_task')} again" if names.offers("execute_task") else ""
            return f"Correct the input{again}. The schema: call {schema}."
        case Category.TIMEOUT:
            advice = "Give it less to do, or have its timeout raised."
            if not names.offers("get_execution_trace"):
                return advice
            trace = names.call("get_execution_trace", execution_id=execution.execution_id)
            return f"{advice} Where the time went: call {trace}."
        case Category.INVALID_OUTPUT:
            listing = names.call("list_available_tasks", filter=task_id, include_schemas=True)
            return (
                f"The task itself has to be corrected: another input may help meanwhile. Its schemas: call {listing}."
            )
        case Category.TASK_BROKEN:
            listing = names.call("list_available_tasks", filter=task_id)
            return f"The task's file has to be mended; its error: call {listing}."
        case _:
            return None


# --- calls that were refused or not answered --------------------------------------------------------------------


def refusal(error: RatchetError, names: ToolNames, *, task_id: str | None = None) -> Answer:
    """A call that Ratchet refused, for a model to correct.

    Args:
        error: Why.
        names: How tools are named.
        task_id: The task that the call was about.
    """
    problems = list(error.details.get("problems", ()))[:_PROBLEMS_MAX]
    body: JsonObject = {
        "type": error.code,
        "message": clip(error.message, _MESSAGE_CHARACTERS_MAX),
        "category": "unavailable" if isinstance(error, UnavailableError) else "request",
        "retryable": isinstance(error, UnavailableError),
    }
    if problems:
        body["problems"] = problems
    if "retry_after" in error.details:
        body["retry_after"] = error.details["retry_after"]
    advice = _advice(error, names, task_id)
    said = f"{error.code}:" if problems else f"{error.code}: {body['message']}"
    text = paragraphs([said, *map(_problem_text, problems), advice])
    return Answer({"error": body, "next": advice}, text, failed=True)


def _advice(error: RatchetError, names: ToolNames, task_id: str | None) -> str | None:
    match error.code:
        case "invalid_arguments":
            return "Correct these arguments and make the same call again."
        case "invalid_input" if "problems" in error.details:
            schema = names.call("list_available_tasks", filter=task_id or "", include_schemas=True)
            return f"Correct `input` and make the same call again. For the task's input schema call {schema}."
        case "invalid_input":
            return "Correct `input` and make the same call again."
        case "unknown_task" | "task_broken":
            listing = names.advertised("list_available_tasks")
            return f"For the tasks there are, and for files that cannot be loaded, call {listing}."
        case "unknown_execution":
            return f"For the ids of recent executions call {names.advertised('list_executions')}."
        case "idempotency_conflict":
            return "Use another idempotency_key, or the same task and input as before."
        case "forbidden" | "rate_limited" | "too_many_executions":
            return _advice_on_policy(error, names, task_id)
        case _ if isinstance(error, UnavailableError):
            return "Nothing was started. Make the same call again in a few seconds."
        case _:
            return None


def _advice_on_policy(error: RatchetError, names: ToolNames, task_id: str | None) -> str | None:
    match error.code:
        case "rate_limited":
            return f"Wait {error.details['retry_after']:g} s and make the same call again."
        case "too_many_executions":
            return f"For those that run call {names.call('list_executions', status='running')}."
        case _ if task_id is not None and names.offers("execute_task"):
            return f"For the tasks that may be used call {names.advertised('list_available_tasks')}."
        case _:
            return None


def unanswered(error: IpcError, names: ToolNames, *, submitted: str | None = None) -> Answer:
    """A call that the processes behind this one did not answer (in time).

    Args:
        error: Why.
        names: How tools are named.
        submitted: The id of the execution that the call was to start.
    """
    if isinstance(error, TooLargeError):
        return _too_large()
    body: JsonObject = {
        "type": error.code,
        "message": "Ratchet's processes did not answer in time; one of them may be restarting.",
        "category": "unavailable",
        "retryable": True,
    }
    advice = "Make the same call again in a few seconds."
    structured: JsonObject = {"error": body}
    if submitted is not None:
        structured["execution_id"] = submitted
        status = names.call("get_execution_status", execution_id=submitted)
        advice = (
            f"It is not known whether execution {submitted} was accepted. In a few seconds call {status}; if that says "
            f"unknown_execution, nothing was started and {names.advertised('execute_task')} can be called again."
        )
    structured["next"] = advice
    return Answer(structured, paragraphs([f"{error.code}: {body['message']}", advice]), failed=True)


def _too_large() -> Answer:
    message = "The arguments or the answer are larger than a message between Ratchet's processes may be."
    advice = "Put large data into a file and pass its path."
    body: JsonObject = {"type": "too_large", "message": message, "category": "request", "retryable": False}
    return Answer({"error": body, "next": advice}, paragraphs([f"too_large: {message}", advice]), failed=True)


def internal(reference: str) -> Answer:
    """A defect of Ratchet's own; what it was is in its log only."""
    message = f"An internal error occurred in Ratchet. Its log (mcp-front.jsonl) has the details under {reference}."
    body: JsonObject = {"type": "internal_error", "message": message, "category": "internal", "retryable": False}
    return Answer({"error": body, "next": None}, message, failed=True)
