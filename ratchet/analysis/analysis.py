"""An execution's failure, analysed: the cause, whether to try again, what to change, and the next call to make.

Pure: everything that is known is passed in, nothing is fetched, the clock is not read. Whoever passes executions in
sees to it that the reader of the analysis may see them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ratchet.analysis.classify import classify
from ratchet.analysis.corrections.candidates import input_fixes
from ratchet.analysis.corrections.evidence import Evidence
from ratchet.analysis.corrections.patch import Fix
from ratchet.analysis.next_call import ToolName, next_call
from ratchet.analysis.result import Analysis, FailingFrame, Link, RootCause
from ratchet.analysis.retry import retryable
from ratchet.analysis.root_cause import causal_path, failing_frame, root_cause, shown_frame, where
from ratchet.analysis.similar import changed_since, completed, others_of, similar_failures
from ratchet.analysis.size import clip, fitted
from ratchet.analysis.suggestions import Findings, suggestions
from ratchet.analysis.taxonomy import TAXONOMY, ErrorClass
from ratchet.errors import RequestError
from ratchet.models import Category, ExceptionInfo, Execution, Failure, Frame, JsonObject, LogRecord, Status, Task

CHARACTERS_MAX = 8_000
LOG_LINES_MAX = 10
_LOG_LINE_CHARACTERS_MAX = 300
_MESSAGE_CHARACTERS_MAX = 1_500
_LINK_CHARACTERS_MAX = 400
_LINKS_MAX = 6
_NOTES_MAX = 3
_SUMMARY_CHARACTERS_MAX = 240
_TYPE_CHARACTERS_MAX = 200
_PATH_CHARACTERS_MAX = 300
_PROCESS_LINES_MAX = 8

# What ends an attempt from outside; the exception that the task died of is only how it took it.
_STOPPED = (Category.TIMEOUT, Category.CANCELLED, Category.SHUTDOWN)
_PERHAPS_INPUT = ("bug", "task_error")
_FOR_PROGRAMS = re.compile(r"\n\s+For further information visit \S+| \[type=[\w.]+, input_value=[^\n]*\]")
_NO_SOURCES: Mapping[str, str] = MappingProxyType({})


def analyze(
    execution: Execution,
    *,
    task: Task | None,
    log_tail: Sequence[LogRecord] = (),
    earlier: Sequence[Execution] = (),
    sources: Mapping[str, str] = _NO_SOURCES,
    include_suggestions: bool = True,
    tool_name: ToolName = str,
    characters_max: int = CHARACTERS_MAX,
) -> Analysis:
    """Why an execution failed and what to do about it.

    Args:
        execution: One that failed or was cancelled; of one that still runs, the failure of its last attempt.
        task: As the catalogue has it now; None where it is gone or broken.
        log_tail: The newest records of its log, oldest first.
        earlier: Other executions, failed and completed, of this task; others are ignored. The reader must be allowed to
            see their ids and inputs.
        sources: Text of source files by path, for the lines around the failing one; used where they still match.
        include_suggestions: Without them it says only what happened; `next` is there all the same.
        tool_name: How the reader calls a tool with this bare name.
        characters_max: How long its JSON may be; the least important is left out first.

    Raises:
        RequestError: There is no failure to analyse.
    """
    failure = _failure_of(execution)
    others = others_of(execution, earlier)
    evidence = Evidence(
        failure=failure,
        path=causal_path(failure.chain),
        given=execution.input,
        schema=None if task is None else task.input_schema,
        records=log_tail,
        completed=completed(others),
    )
    kind, fixes = _diagnosis(evidence)
    similar, changes = similar_failures(execution, failure, others), changed_since(execution, others)
    found = Findings(
        kind=kind,
        frame=failing_frame(failure.chain),
        retry=retryable(kind, execution, task, similar, changes),
        changes=changes,
        similar=similar,
    )
    advice = suggestions(evidence, fixes, found)
    whole = Analysis(
        **_what_happened(execution, failure, found, sources),
        retryable=found.retry,
        suggestions=advice if include_suggestions else [],
        next=next_call(execution, failure, kind, found.retry, similar, advice, tool_name=tool_name),
        changed_since_last_success=changes,
        similar_failures=similar,
        last_log_lines=[_log_line(one) for one in log_tail[-LOG_LINES_MAX:]],
    )
    return fitted(whole, characters_max, tool_name=tool_name)


def _diagnosis(evidence: Evidence) -> tuple[ErrorClass, list[Fix]]:
    """The class of the error, and the corrections of the input where it can have been at fault."""
    kind = classify(evidence.failure)
    fixes = input_fixes(evidence) if kind.input_dependent else []
    if kind.name in _PERHAPS_INPUT and any(fix.confidence != "low" for fix in fixes):
        kind = TAXONOMY["bad_input"]  # what looks like a fault of the code is one of the input
    return kind, fixes


def _what_happened(
    execution: Execution, failure: Failure, found: Findings, sources: Mapping[str, str]
) -> dict[str, Any]:
    cause = _root_cause(failure, found.frame)
    return {
        "execution_id": execution.execution_id,
        "task_id": execution.task_id,
        "status": execution.status,
        "error_type": clip(failure.type, _TYPE_CHARACTERS_MAX),
        "category": found.kind.name,
        "summary": _summary(failure, cause, found.kind),
        "root_cause": cause,
        "failing_frame": None if found.frame is None else _shortened(found.frame, sources),
        "chain": [_link(one) for one in failure.chain[:_LINKS_MAX]],
        "process": _process(failure),
    }


def _failure_of(execution: Execution) -> Failure:
    if execution.failure is not None:
        return execution.failure
    if execution.status is Status.CANCELLED:
        reason = execution.cancel_requested or "a cancel was requested"
        return Failure(category=Category.CANCELLED, type="Cancelled", message=reason)
    attempts = [one.failure for one in execution.attempts if one.failure is not None]
    if execution.status is not Status.COMPLETED and attempts:
        return attempts[-1]
    raise RequestError(
        f"execution {execution.execution_id} is {execution.status.value}: there is no error to analyse",
        details={"status": execution.status.value},
    )


def _root_cause(failure: Failure, frame: Frame | None) -> RootCause:
    cause = None if failure.category in _STOPPED else root_cause(failure.chain)
    return RootCause(
        type=clip(failure.type if cause is None else cause.type, _TYPE_CHARACTERS_MAX),
        message=clip(failure.message if cause is None else cause.message, _MESSAGE_CHARACTERS_MAX),
        where=_file_line(failure) if frame is None else clip(where(frame), _PATH_CHARACTERS_MAX),
    )


def _file_line(failure: Failure) -> str | None:
    """Where a file that cannot be loaded is broken."""
    path, line = failure.details.get("path"), failure.details.get("line")
    if not isinstance(path, str):
        return None
    return clip(path, _PATH_CHARACTERS_MAX) + (f":{line}" if isinstance(line, int) else "")


def _summary(failure: Failure, cause: RootCause, kind: ErrorClass) -> str:
    said = clip(" ".join(_FOR_PROGRAMS.sub("", cause.message).split()), _SUMMARY_CHARACTERS_MAX)
    raised = failure.chain[0].type if failure.chain else failure.type
    names = _short_name(cause.type), _short_name(raised)
    surfaced = "" if names[0] in (names[1], _short_name(failure.type)) else f", which surfaced as {names[1]}"
    place = f" ({cause.where})" if cause.where else ""
    what = f"{names[0]}: {said}" if said else names[0]
    return f"{what}{place}{surfaced}: {kind.meaning}."


def _short_name(kind: str) -> str:
    return clip(kind.rpartition(".")[2], _TYPE_CHARACTERS_MAX)


def _shortened(frame: Frame, sources: Mapping[str, str]) -> FailingFrame:
    shown = shown_frame(frame, sources)
    return shown.model_copy(
        update={"file": shown.file[-_PATH_CHARACTERS_MAX:], "function": clip(shown.function, _TYPE_CHARACTERS_MAX)}
    )


def _link(error: ExceptionInfo) -> Link:
    ours = [frame for frame in error.frames if frame.in_task] or error.frames
    return Link(
        type=clip(error.type, _TYPE_CHARACTERS_MAX),
        message=clip(error.message, _LINK_CHARACTERS_MAX),
        relation=error.relation,
        where=clip(where(ours[-1]), _PATH_CHARACTERS_MAX) if ours else None,
        notes=[clip(one, _LINK_CHARACTERS_MAX) for one in error.notes[:_NOTES_MAX]],
    )


def _process(failure: Failure) -> JsonObject | None:
    if failure.process is None:
        return None
    found = failure.process.model_dump(exclude_none=True)
    found["last_lines"] = [
        clip(one, _LOG_LINE_CHARACTERS_MAX) for one in failure.process.last_lines[-_PROCESS_LINES_MAX:]
    ]
    return found


def _log_line(record: LogRecord) -> str:
    context = f" {json.dumps(record.context, ensure_ascii=False)}" if record.context else ""
    return clip(f"{record.level} {record.logger}: {record.message}{context}", _LOG_LINE_CHARACTERS_MAX)
