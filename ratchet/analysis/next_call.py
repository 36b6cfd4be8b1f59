"""The one call to make after an analysis, with its exact arguments."""

import json
from collections.abc import Callable, Sequence

from ratchet.analysis.corrections.patch import apply_patch
from ratchet.analysis.result import NextCall, Retryable, SimilarFailures, Suggestion
from ratchet.analysis.retry import tried_in_vain
from ratchet.analysis.taxonomy import ErrorClass
from ratchet.models import Execution, Failure, JsonObject

INPUT_CHARACTERS_MAX = 2_000  # of an input that is written out in the call

ToolName = Callable[[str], str]  # from a bare name to the one that a client knows the tool by


def next_call(
    execution: Execution,
    failure: Failure,
    kind: ErrorClass,
    retry: Retryable,
    similar: SimilarFailures,
    advice: Sequence[Suggestion],
    *,
    tool_name: ToolName,
) -> NextCall | None:
    """The call; None after a cancel, which somebody wanted.

    An input that was corrected on a mere guess is never offered as a call: whoever calls must decide that.
    """
    if kind.name == "cancelled":
        return None
    best = next((one for one in advice if one.patch is not None and one.confidence != "low"), None)
    if best is not None and best.patch is not None:
        patched = apply_patch(execution.input, best.patch)
        return _execute(execution, failure, patched, f"Runs it with the corrected input. {best.text}", tool_name)
    if retry.value and not tried_in_vain(similar):
        wait = (
            "Wait a little, then run it again." if kind.name in ("rate_limited", "upstream_5xx") else "Runs it again."
        )
        return _execute(execution, failure, execution.input, f"{wait} {retry.reason}", tool_name)
    return _look_below(failure, tool_name) or _look(execution, kind, tool_name)


def _execute(execution: Execution, failure: Failure, given: JsonObject, why: str, tool_name: ToolName) -> NextCall:
    metadata = {"retry_reason": failure.type, "original_execution": execution.execution_id}
    if len(json.dumps(given, ensure_ascii=False)) > INPUT_CHARACTERS_MAX:
        why = (
            f"The input is too long to be repeated here: take `input` from this call's answer, apply the suggestion's "
            f"patch if there is one, and call {tool_name('execute_task')} with it and metadata {json.dumps(metadata)}."
        )
        return NextCall(
            tool=tool_name("get_execution_status"), arguments={"execution_id": execution.execution_id}, why=why
        )
    arguments: JsonObject = {"task_id": execution.task_id, "input": given, "metadata": metadata}
    return NextCall(tool=tool_name("execute_task"), arguments=arguments, why=why)


def _look_below(failure: Failure, tool_name: ToolName) -> NextCall | None:
    """Where an execution that it called had failed: that one, or the deepest of them; what it says is the cause."""
    match failure.details.get("called"):
        case {"root": {"execution_id": str(execution_id), "status": "failed"}}:
            pass
        case {"execution_id": str(execution_id), "status": "failed"}:
            pass
        case _:
            return None
    return NextCall(
        tool=tool_name("analyze_execution_error"),
        arguments={"execution_id": execution_id},
        why="Analyses the execution that it called, in which the cause is.",
    )


def _look(execution: Execution, kind: ErrorClass, tool_name: ToolName) -> NextCall:
    by_id: JsonObject = {"execution_id": execution.execution_id}
    match kind.name:
        case "task_broken":
            listing: JsonObject = {"filter": execution.task_id}
            return NextCall(tool=tool_name("list_available_tasks"), arguments=listing, why="Shows the file's error.")
        case "bad_input":
            listing = {"filter": execution.task_id, "include_schemas": True}
            why = "Shows what the input must be like."
            return NextCall(tool=tool_name("list_available_tasks"), arguments=listing, why=why)
        case "timeout":
            return NextCall(tool=tool_name("get_execution_trace"), arguments=by_id, why="Shows where the time went.")
        case "crashed" | "resource":
            return NextCall(tool=tool_name("get_execution_logs"), arguments=by_id, why="Shows what it did until then.")
        case _:
            arguments: JsonObject = {**by_id, "level": "warn"}
            why = "Shows what it warned of before it failed."
            return NextCall(tool=tool_name("get_execution_logs"), arguments=arguments, why=why)
