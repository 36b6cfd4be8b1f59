"""Makes an analysis fit a budget of characters: the least important first, and with a note of what shows the rest."""

import json
from collections.abc import Callable
from typing import Any

from ratchet.analysis.next_call import ToolName
from ratchet.analysis.result import Analysis
from ratchet.models import JsonObject

_SHORT = 200
_SHORTEST = 60


def fitted(analysis: Analysis, characters_max: int, *, tool_name: ToolName) -> Analysis:
    """The analysis, trimmed until its JSON is no longer than `characters_max`."""
    if size_of(analysis) <= characters_max:
        return analysis
    note = (
        f"Shortened. The whole error: {tool_name('get_execution_status')}; the log: {tool_name('get_execution_logs')}; "
        "both with this execution_id."
    )
    analysis = analysis.model_copy(update={"note": note})
    for trim in _TRIMS:
        if size_of(analysis) <= characters_max:
            return analysis
        analysis = trim(analysis)
    return analysis


def size_of(analysis: Analysis) -> int:
    """Characters of its JSON as most writers write it: with spaces, letters of every script as they are."""
    return len(json.dumps(analysis.model_dump(mode="json"), ensure_ascii=False))


def clip(text: str, characters_max: int) -> str:
    """The beginning of a long text and how much is missing."""
    if len(text) <= characters_max:
        return text
    note = f"… [{len(text) - characters_max} more characters]"
    return text[: max(0, characters_max - len(note))] + note


def _logs(analysis: Analysis) -> Analysis:
    return analysis.model_copy(update={"last_log_lines": [clip(one, _SHORT) for one in analysis.last_log_lines[-3:]]})


def _no_logs(analysis: Analysis) -> Analysis:
    return analysis.model_copy(update={"last_log_lines": []})


def _process(analysis: Analysis) -> Analysis:
    if analysis.process is None:
        return analysis
    lines: list[str] = analysis.process.get("last_lines", [])
    return analysis.model_copy(
        update={"process": {**analysis.process, "last_lines": [clip(one, _SHORT) for one in lines[-3:]]}}
    )


def _chain(analysis: Analysis) -> Analysis:
    links = [
        one.model_copy(update={"message": clip(one.message, _SHORT), "notes": []})
        for one in (*analysis.chain[:1], *analysis.chain[1:][-2:])
    ]
    return analysis.model_copy(update={"chain": links})


def _no_chain(analysis: Analysis) -> Analysis:
    return analysis.model_copy(update={"chain": []})


def _changes(analysis: Analysis) -> Analysis:
    changes = analysis.changed_since_last_success
    if changes is None:
        return analysis
    less = changes.model_copy(update={"input": changes.input[:1], "summary": clip(changes.summary, _SHORT)})
    return analysis.model_copy(update={"changed_since_last_success": less})


def _source(analysis: Analysis) -> Analysis:
    frame = analysis.failing_frame
    if frame is None:
        return analysis
    failing = [one for one in frame.source_lines if one.startswith(">")]
    return analysis.model_copy(update={"failing_frame": frame.model_copy(update={"source_lines": failing})})


def _guesses(analysis: Analysis) -> Analysis:
    return analysis.model_copy(
        update={"suggestions": [one for one in analysis.suggestions if one.confidence != "low"][:3]}
    )


def _texts(analysis: Analysis) -> Analysis:
    return analysis.model_copy(update=_clipped(analysis, 2 * _SHORT))


def _one_suggestion(analysis: Analysis) -> Analysis:
    return analysis.model_copy(update={"suggestions": analysis.suggestions[:1]})


def _everything(analysis: Analysis) -> Analysis:
    """What is left when even one suggestion is too much."""
    shortest = analysis.model_copy(
        update={
            "suggestions": [],
            "next": None,
            "failing_frame": None,
            "process": None,
            **_clipped(analysis, _SHORTEST),
        }
    )
    return shortest.model_copy(update={"changed_since_last_success": None})


def _clipped(analysis: Analysis, characters_max: int) -> dict[str, Any]:
    """The fields that are text, shortened."""

    def short(text: str) -> str:
        return clip(text, characters_max)

    fields: JsonObject = {"summary": short(analysis.summary), "error_type": short(analysis.error_type)}
    cause, retry = analysis.root_cause, analysis.retryable
    where = None if cause.where is None else short(cause.where)
    fields["root_cause"] = cause.model_copy(
        update={"type": short(cause.type), "message": short(cause.message), "where": where}
    )
    fields["retryable"] = retry.model_copy(update={"reason": short(retry.reason)})
    fields["suggestions"] = [one.model_copy(update={"text": short(one.text)}) for one in analysis.suggestions]
    if analysis.next is not None:
        fields["next"] = analysis.next.model_copy(update={"why": short(analysis.next.why)})
    return fields


_TRIMS: tuple[Callable[[Analysis], Analysis], ...] = (
    *(_logs, _process, _chain, _no_logs, _source, _changes, _guesses, _texts),
    *(_no_chain, _one_suggestion, _everything),
)
