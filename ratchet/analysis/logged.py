"""What to do about an exception that was logged, where the exception itself tells. Pure.

A logged error need not be why an execution failed, and one that completed has coped with it. So advice by the class of
an error is given only of executions that failed, and none where the class says little.
"""

from collections.abc import Iterator

from ratchet.analysis.classify import classify
from ratchet.analysis.corrections.hints import read_hint
from ratchet.analysis.root_cause import failing_frame, where
from ratchet.analysis.size import clip
from ratchet.models import Category, ExceptionInfo, Failure

_NAMES_MAX = 8
_CHARACTERS_MAX = 300
_VAGUE = ("bad_input", "task_error")


def logged_suggestions(error: ExceptionInfo, *, failed: bool) -> list[str]:
    """Sentences, the most exact first; empty where there is nothing to say.

    Args:
        error: The exception.
        failed: Whether the execution that logged it failed.
    """
    return [clip(one, _CHARACTERS_MAX) for one in (*_told(error), *(_by_class(error) if failed else ()))]


def _told(error: ExceptionInfo) -> Iterator[str]:
    """What the message, its notes and its facts say would be right."""
    hints = [read_hint(text) for text in (error.message, *error.notes)]
    meant = [name for hint in hints for name in hint.meant]
    listed = [name for hint in hints for name in hint.allowed]
    if meant:
        yield f"The error asks whether {_names(meant)} was meant."
    elif listed:
        yield f"The error lists what is right: {_names(listed)}."
    wait = error.facts.get("retry_after")
    if isinstance(wait, str | int):
        yield f"The service says when to try again: Retry-After {wait}."


def _by_class(error: ExceptionInfo) -> Iterator[str]:
    kind = classify(Failure(category=Category.EXCEPTION, type=error.type, message=error.message, chain=[error]))
    if kind.name == "bug":
        frame = failing_frame([error])
        if frame is not None and frame.in_task:
            yield f"{kind.suggestion} It is {where(frame)}."
    elif kind.name not in _VAGUE:
        yield kind.suggestion


def _names(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names[:_NAMES_MAX]))
