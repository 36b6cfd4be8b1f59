"""What to do about a failure, the most promising first: corrections of the input, then advice by its class."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ratchet.analysis.corrections.evidence import Evidence
from ratchet.analysis.corrections.patch import Fix
from ratchet.analysis.corrections.places import shown
from ratchet.analysis.corrections.reported import locate, reports_of
from ratchet.analysis.corrections.schema_repair import as_json
from ratchet.analysis.corrections.told import mentioned
from ratchet.analysis.result import CONFIDENCES, Changes, Kind, Retryable, SimilarFailures, Suggestion
from ratchet.analysis.retry import tried_in_vain
from ratchet.analysis.root_cause import where
from ratchet.analysis.taxonomy import ErrorClass
from ratchet.models import Frame, ProcessEnd

_SUGGESTIONS_MAX = 6
_REPORTS_MAX = 5
_NAMES_MAX = 12
_LINE_CHARACTERS_MAX = 160

_KINDS: MappingProxyType[str, Kind] = MappingProxyType(
    {
        "bad_input": "correct_input",
        "not_found": "correct_input",
        "bug": "fix_task",
        "invalid_output": "fix_task",
        "task_broken": "fix_task",
        "missing_dependency": "configure",
        "permission": "configure",
        "auth": "configure",
        "tls": "configure",
        "resource": "configure",
        "timeout": "configure",
    }
)
_DID_YOU_MEAN = re.compile(r"\b(?:did you mean|did you forget)[: ][^\n]{1,200}\?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Findings:
    """What the parts of an analysis found, for advice to draw on."""

    kind: ErrorClass
    frame: Frame | None
    retry: Retryable
    changes: Changes | None
    similar: SimilarFailures


def suggestions(evidence: Evidence, fixes: Sequence[Fix], found: Findings) -> list[Suggestion]:
    """At most a few, the most promising first."""
    advice = [*_patches(fixes), *_about_input(evidence, fixes, found)]
    if not advice or _KINDS.get(found.kind.name) != "correct_input":  # else all is said
        advice.append(_about_class(evidence, found))
    advice += _about_history(evidence, found)
    ranked = sorted(advice, key=lambda one: CONFIDENCES.index(one.confidence))
    return ranked[:_SUGGESTIONS_MAX]


def _patches(fixes: Sequence[Fix]) -> Iterator[Suggestion]:
    for fix in fixes:
        yield Suggestion(kind="patch_input", text=fix.text, confidence=fix.confidence, patch=fix.patch)


def _about_input(evidence: Evidence, fixes: Sequence[Fix], found: Findings) -> Iterator[Suggestion]:
    """What of the input is wrong, where nobody can say what would be right."""
    if any(fix.confidence != "low" for fix in fixes):
        return
    located = locate(reports_of(evidence.failure, evidence.path), evidence.given)
    if located:
        wrong = [f"`{shown(one.steps)}`: {one.report.message}" for one in located[:_REPORTS_MAX]]
        yield Suggestion(kind="correct_input", text=f"Correct {'; '.join(wrong)}.", confidence="medium")
    elif found.kind.name in ("bad_input", "not_found"):
        names = evidence.names
        for one in mentioned(evidence.texts, evidence.given)[:1]:
            known = [name for name in (*names.meant, *names.listed) if name != one.value][:_NAMES_MAX]
            rest = f"; the error lists {', '.join(known)}" if known else "; the error names it"
            text = f"Correct `{shown(one.places[0])}`, which is {as_json(one.value)}{rest}."
            yield Suggestion(kind="correct_input", text=text, confidence="medium")


def _about_class(evidence: Evidence, found: Findings) -> Suggestion:
    kind, text = found.kind, found.kind.suggestion
    if kind.name in ("bug", "missing_dependency", "task_error", "invalid_output") and found.frame is not None:
        line = (found.frame.source or "").strip()[:_LINE_CHARACTERS_MAX]
        place = where(found.frame) + (f": {line}" if line else "")
        text = f"{text} It is {place}." if found.frame.in_task else f"{text} It failed at {place}."
    details = [_did_you_mean(evidence), _limit(evidence), _retry_after(evidence), _signal(evidence.failure.process)]
    text = " ".join([text, *(one for one in details if one)])
    action: Kind = "retry" if kind.retryable else _KINDS.get(kind.name, "look")
    return Suggestion(kind=action, text=text, confidence="medium")


def _about_history(evidence: Evidence, found: Findings) -> Iterator[Suggestion]:
    changes, similar = found.changes, found.similar
    if found.retry.value and not found.kind.retryable:
        yield Suggestion(kind="retry", text=f"Execute it again. {found.retry.reason}", confidence="medium")
    if changes is not None and changes.task_version is not None and found.kind.input_dependent:
        text = f"The task's code changed since {changes.execution_id} completed: see what changed in it."
        yield Suggestion(kind="look", text=text, confidence="medium")
    if tried_in_vain(similar):
        text = (
            f"This input failed in this way {similar.same_input} more times and did not complete since: trying again "
            "is not enough."
        )
        yield Suggestion(kind="look", text=text, confidence="medium")


def _did_you_mean(evidence: Evidence) -> str | None:
    """What Python itself suggests for a misspelt name or attribute."""
    match = _DID_YOU_MEAN.search(evidence.failure.stack_trace or "")
    return f"Python asks: {match[0][0].upper()}{match[0][1:]}" if match and match[0] not in evidence.texts else None


def _limit(evidence: Evidence) -> str | None:
    limit, value = evidence.failure.details.get("limit"), evidence.failure.details.get("value")
    if not isinstance(limit, str):
        return None
    return f"It is `limits.{limit}` in the configuration" + (f", now {value}." if value is not None else ".")


def _retry_after(evidence: Evidence) -> str | None:
    for error in reversed(evidence.path):
        wait = error.facts.get("retry_after")
        if isinstance(wait, str):
            return f"The service says when: Retry-After {wait}" + (" seconds." if wait.isdigit() else ".")
    return None


def _signal(process: ProcessEnd | None) -> str | None:
    if process is None or process.sent_by is not None:
        return None
    match process.signal_name:
        case "SIGKILL":
            return "SIGKILL that is not Ratchet's comes from the kernel when memory runs out, or from a person."
        case "SIGSEGV" | "SIGBUS" | "SIGILL" | "SIGFPE" as name:
            return f"{name} comes from native code: a C library that the task uses, or a stack that grew too deep."
        case "SIGABRT":
            return "SIGABRT comes from native code that gave up; its last lines usually say why."
        case _:
            return None
