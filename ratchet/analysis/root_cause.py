"""What a chain of exceptions comes from, and the line of the task's own code where that happened."""

from collections.abc import Mapping, Sequence

from ratchet.analysis.result import FailingFrame
from ratchet.models import ExceptionInfo, Frame

_LINES_AROUND = 3
_LINE_CHARACTERS_MAX = 160

# How waiting or iterating ends; as causes of other exceptions they say nothing (`asyncio.timeout` raises from one).
_CONTROL_FLOW = frozenset(
    (
        *("asyncio.exceptions.CancelledError", "concurrent.futures._base.CancelledError", "CancelledError"),
        *("StopIteration", "StopAsyncIteration", "GeneratorExit"),
    )
)
_GROUPS = ("ExceptionGroup", "BaseExceptionGroup")


def causal_path(chain: Sequence[ExceptionInfo]) -> list[ExceptionInfo]:
    """The exceptions from the raised one to its root cause, the raised one first; empty for an empty chain.

    Causes are followed always; what was merely being handled is followed only where the handler raised the next one on
    purpose. Of a group the first member that is no cancellation goes on.
    """
    if not chain:
        return []
    strands = _strands(chain)
    path = _links(strands[0])
    for strand in strands[1:]:
        if not _is_group(path[-1]):
            break
        if strand[0].type not in _CONTROL_FLOW:
            path += _links(strand)
    return path


def root_cause(chain: Sequence[ExceptionInfo]) -> ExceptionInfo | None:
    """The exception that the others come from."""
    path = causal_path(chain)
    return path[-1] if path else None


def failing_frame(chain: Sequence[ExceptionInfo]) -> Frame | None:
    """The innermost frame of the task's own code, of the exception nearest to the root cause that has one.

    Where none has one (all of it happened in libraries) the innermost frame of the root cause.
    """
    path = causal_path(chain)
    for error in reversed(path):
        ours = [frame for frame in error.frames if frame.in_task]
        if ours:
            return ours[-1]
    return next((error.frames[-1] for error in reversed(path) if error.frames), None)


def where(frame: Frame) -> str:
    """`failing.py:58 in _invoice`."""
    return f"{file_name(frame.file)}:{frame.line} in {frame.function}"


def file_name(path: str) -> str:
    """The last part of a path, and the folder before it where the last part alone says nothing."""
    parts = path.replace("\\", "/").split("/")
    return "/".join(parts[-2:]) if parts[-1] == "__init__.py" else parts[-1]


def shown_frame(frame: Frame, sources: Mapping[str, str]) -> FailingFrame:
    """A frame with the lines around it.

    Args:
        frame: The frame.
        sources: Text of files by path. One that does not have the frame's line where the frame says was changed since,
            and is not used: only the line that the frame itself remembers is shown then.
    """
    lines = sources.get(frame.file, "").splitlines()
    at = frame.line - 1
    known = (frame.source or "").strip()
    if not 0 <= at < len(lines) or lines[at].strip() != known:
        shown = [_numbered(frame.line, known, failing=True)] if known else []
    else:
        first = max(0, at - _LINES_AROUND)
        around = lines[first : at + _LINES_AROUND + 1]
        shown = [_numbered(number, line, failing=number == frame.line) for number, line in enumerate(around, first + 1)]
    return FailingFrame(
        file=frame.file, line=frame.line, function=frame.function, in_task=frame.in_task, source_lines=shown
    )


def _strands(chain: Sequence[ExceptionInfo]) -> list[list[ExceptionInfo]]:
    """The chain cut before every member of a group: what follows a member up to the next is what it came from."""
    strands: list[list[ExceptionInfo]] = [[]]
    for error in chain:
        if error.relation == "member" and strands[-1]:
            strands.append([])
        strands[-1].append(error)
    return strands


def _links(strand: Sequence[ExceptionInfo]) -> list[ExceptionInfo]:
    path = [strand[0]]
    for error in strand[1:]:
        if error.type in _CONTROL_FLOW or (error.relation == "context" and not _translated(path[-1], error)):
            break
        path.append(error)
    return path


def _translated(outer: ExceptionInfo, inner: ExceptionInfo) -> bool:
    """Whether `outer` was raised on purpose by the very code that handled `inner`.

    Otherwise the handler called something that failed by itself (a fallback), or failed while it cleaned up.
    """
    if not outer.frames or not inner.frames:
        return False
    raised, handler = outer.frames[-1], inner.frames[0]
    same_function = (raised.file, raised.function) == (handler.file, handler.function)
    return same_function and (raised.source or "").startswith("raise")


def _is_group(error: ExceptionInfo) -> bool:
    return error.type in _GROUPS or any(base in _GROUPS for base in error.bases)


def _numbered(number: int, line: str, *, failing: bool) -> str:
    return f"{'>' if failing else ' '} {number:4} | {line[:_LINE_CHARACTERS_MAX]}".rstrip()
