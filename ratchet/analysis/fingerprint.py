"""One short name for "failed in the same way", so that the same bug with other ids, times or line numbers is one.

Of every exception on the path to the root cause: its type and the frames in the task's code (file, function, source
line). No line numbers, because code moves; recursion counts once, however deep it went. A normalised message only
where there are no such frames. A process that died: how. (After the order in which Sentry groups: stack, exception,
message.) The version is part of the name; names of different versions are never equal.
"""

import hashlib
import json
from collections.abc import Sequence

from ratchet.analysis.root_cause import causal_path, file_name
from ratchet.logsummary import template
from ratchet.models import Category, ExceptionInfo, Failure, Frame, ProcessEnd

VERSION = "v1"
_HEX_DIGITS = 16
_STOPPED = (Category.TIMEOUT, Category.CANCELLED, Category.SHUTDOWN)


def fingerprint(failure: Failure) -> str:
    """`v1:` and 16 hex digits; the same for equal failures in every process."""
    content = json.dumps([failure.category.value, *_essence(failure)], ensure_ascii=True)
    return f"{VERSION}:{hashlib.sha256(content.encode()).hexdigest()[:_HEX_DIGITS]}"


def _essence(failure: Failure) -> Sequence[object]:
    if failure.category in _STOPPED:  # where it was at that moment is chance
        return []
    path = causal_path(failure.chain)
    frames = [_frames(error.frames) for error in path]
    if any(frames):
        return [[error.type, ours] for error, ours in zip(path, frames, strict=True)]
    if failure.process is not None:
        return [failure.type, _death(failure.process)]
    if path:
        return [[error.type, _message(error)] for error in path]
    return [failure.type, template(failure.message)]


def _frames(frames: Sequence[Frame]) -> list[list[str]]:
    ours = [(file_name(one.file), one.function, " ".join((one.source or "").split())) for one in frames if one.in_task]
    return [list(one) for one in dict.fromkeys(ours)]  # each once: recursion, also through several functions


def _message(error: ExceptionInfo) -> str:
    return template(error.message)


def _death(end: ProcessEnd) -> list[object]:
    role, _, _ = end.process.partition(":")
    return [role, end.signal, end.exit_code]
