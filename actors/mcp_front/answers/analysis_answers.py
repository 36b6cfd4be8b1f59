"""An analysis as an answer, cause first. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.mcp_front.answers.answer import TEXT_CHARACTERS_MAX, Answer, compact, paragraphs
from actors.mcp_front.naming import ToolNames, bare_name
from actors.mcp_front.wording import Wording
from ratchet.analysis import Analysis, Suggestion, analyze
from ratchet.models import Execution, JsonObject, LogRecord, Status, Task

_LIST_MAX = 5


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is known of a failure.

    Attributes:
        execution: The one that failed.
        task: As the catalogue has it now; None where it is not there for the caller.
        log_tail: The end of its log, oldest first.
        earlier: Other executions of the task that the caller may see.
        sources: Text of the task's file by its path.
        insights: What the trace says, in sentences.
    """

    execution: Execution
    task: Task | None = None
    log_tail: Sequence[LogRecord] = ()
    earlier: Sequence[Execution] = ()
    sources: Mapping[str, str] | None = None
    insights: Sequence[str] = ()


def has_failed(execution: Execution) -> bool:
    """Whether there is a failure to analyse: its own, or that of an attempt before the one that runs."""
    if execution.status in (Status.FAILED, Status.CANCELLED):
        return True
    return execution.status is not Status.COMPLETED and any(one.failure is not None for one in execution.attempts)


def nothing_failed(execution: Execution, wording: Wording) -> Answer:
    """The answer for an execution without a failure."""
    summary = f"Execution {execution.execution_id} of {execution.task_id} is {execution.status.value}: nothing failed."
    advice = None
    if not execution.status.terminal:
        advice = f"To wait for its end call {wording.follow(execution.execution_id)}."
    structured: JsonObject = {
        "execution_id": execution.execution_id,
        "task_id": execution.task_id,
        "status": execution.status.value,
        "summary": summary,
        "next": advice,
    }
    return Answer(structured, paragraphs([summary, advice]))


def analysis(gathered: Gathered, wording: Wording, *, include_suggestions: bool) -> Answer:
    """The answer of `analyze_execution_error`, at most 8,000 characters in either form."""
    budget = TEXT_CHARACTERS_MAX
    while True:
        found = _analyzed(gathered, wording.names, budget, include_suggestions=include_suggestions)
        structured = _structured(found, gathered, wording.names)
        excess = len(json.dumps(structured, ensure_ascii=False)) - TEXT_CHARACTERS_MAX
        if excess <= 0 or budget < TEXT_CHARACTERS_MAX // 4:
            return Answer(structured, _text(found, structured))
        budget -= excess


def _analyzed(gathered: Gathered, names: ToolNames, characters_max: int, *, include_suggestions: bool) -> Analysis:
    return analyze(
        gathered.execution,
        task=gathered.task,
        log_tail=gathered.log_tail,
        earlier=gathered.earlier,
        sources=gathered.sources or {},
        include_suggestions=include_suggestions,
        tool_name=names.advertised,
        characters_max=characters_max,
    )


def _structured(found: Analysis, gathered: Gathered, names: ToolNames) -> JsonObject:
    structured = found.model_dump(mode="json", exclude={"next"})
    if gathered.insights:
        structured["insights"] = list(gathered.insights)
    structured["next_call"] = structured["next"] = None
    call = found.next
    if call is not None and names.offers(bare_name(call.tool)) and _offered(call.why, names):
        structured["next_call"] = call.model_dump(mode="json")
        given = json.dumps(call.arguments, ensure_ascii=False)
        structured["next"] = f"Call {call.tool} with {given}"
    return structured


def _offered(advice: str, names: ToolNames) -> bool:
    """Whether the caller may do what the advice says: a call can be there only to prepare a run."""
    return names.offers("execute_task") or names.advertised("execute_task") not in advice


def _text(found: Analysis, structured: JsonObject) -> str:
    frame, changes, similar = found.failing_frame, found.changed_since_last_success, found.similar_failures
    again = "yes" if found.retryable.value else "no"
    call = structured["next_call"]
    return paragraphs(
        [
            found.summary,
            f"Category: {found.category}. Status: {found.status.value}.",
            f"Again with the same input? {again}: {found.retryable.reason}",
            f"Next: {structured['next']}. {call['why']}" if call else None,
            *(_suggestion(one) for one in found.suggestions),
            f"At {frame.file}:{frame.line} in {frame.function}" if frame else None,
            *((f"  {line}" for line in frame.source_lines) if frame else ()),
            changes.summary if changes else None,
            f"{similar.count} other executions failed in the same way, the newest: "
            f"{', '.join(similar.execution_ids)}." if similar.count else None,
            *(f"{one.relation or 'raised'}: {one.type}: {one.message}" for one in found.chain[:_LIST_MAX]),
            f"Process: {compact(found.process)}" if found.process else None,
            *structured.get("insights", ()),
            "Last log lines:" if found.last_log_lines else None,
            *(f"  {line}" for line in found.last_log_lines),
            found.note,
        ]
    )  # fmt: skip


def _suggestion(one: Suggestion) -> str:
    patch = "" if one.patch is None else f" Patch of the input: {compact(one.patch)}"
    return f"- {one.text} ({one.confidence} confidence){patch}"
