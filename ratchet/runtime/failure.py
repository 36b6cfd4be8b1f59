"""An exception as a `Failure`: its chain, frames with source lines, and the category a caller can act on."""

import asyncio
import builtins
import errno
import linecache
import os
import re
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, cast

from ratchet.errors import ExecutionFailedError, InvalidInputError, InvalidOutputError
from ratchet.models import Category, ExceptionInfo, Failure, Frame
from ratchet.plain import cut, plain_mapping, text
from ratchet.runtime.facts import bases_of, facts_of
from ratchet.runtime.interruption import CpuTimeExceeded

MODULE_PREFIX = "ratchet_task_"
_PRIVATE_NAME = re.compile(rf"\b{MODULE_PREFIX}[0-9a-f]{{16}}\.")
_CHAIN_MAX = 12
_FRAMES_HEAD, _FRAMES_TAIL = 10, 40
_MESSAGE_CHARACTERS_MAX = 8 * 1024
_RUNTIME_FOLDER = str(Path(__file__).parent) + os.sep
_OWN_FOLDERS = (
    str(Path(__file__).parent.parent) + os.sep,
    str(Path(asyncio.__file__).parent) + os.sep,
    "<frozen importlib",
)
Relation = Literal["cause", "context", "member"]


class Describer:
    """Describes exceptions for one task file.

    Args:
        roots: Task folders; frames in them are the author's.
        path: The task file.
        limits: The limits this child runs under, by name, for details.
    """

    def __init__(self, roots: Sequence[str], path: str, limits: dict[str, Any]) -> None:
        self._roots = tuple(os.path.join(root, "") for root in roots)  # noqa: PTH118
        self._path = path
        self._limits = limits

    def failure(self, error: BaseException, *, cancel_reason: str | None = None) -> Failure:
        """Why a run ended with this exception; `cancel_reason` where it had been asked to stop."""
        category, details = self._classify(error)
        message = _message(error)
        if cancel_reason is not None and type(error).__name__ in ("Cancelled", "CancelledError"):
            category, message = Category.CANCELLED, cancel_reason or "a cancel was requested"
        elif category is Category.LIMIT:
            message = f"{message or _type_name(error)}: the limit {details['limit']} is {_quantity(**details)}"
        ours = isinstance(error, (InvalidInputError, InvalidOutputError))  # no line of the author's raised it
        return Failure(
            category=category,
            type=_type_name(error),
            message=message,
            chain=[] if ours else self.chain(error),
            stack_trace=None if ours else self.stack_trace(error),
            details=details,
        )

    def chain(self, error: BaseException) -> list[ExceptionInfo]:
        """The exception, then what it came from, then the members of groups; bounded."""
        found: list[ExceptionInfo] = []
        for one, relation in _walk(error):
            if len(found) == _CHAIN_MAX:
                break
            found.append(
                ExceptionInfo(
                    type=_type_name(one),
                    message=_message(one),
                    frames=self._frames(one.__traceback__),
                    relation=relation,
                    notes=[text(note, 1024) for note in _notes(one)],
                    bases=[_class_name(kind) for kind in bases_of(one)],
                    facts=facts_of(one),
                )
            )
        return found

    def stack_trace(self, error: BaseException) -> str:
        """The text Python would print, without the runtime's own frames at the top."""
        try:
            whole = traceback.TracebackException(type(error), error, _trim(error.__traceback__), compact=True)
            _hide_runtime(whole)
            lines = "".join(whole.format())
        except Exception as problem:  # noqa: BLE001 - the author's exception class may break its own formatting
            lines = f"{_type_name(error)}: {_message(error)}\n(no traceback: {type(problem).__name__})"
        return text(_PRIVATE_NAME.sub("", lines))

    def in_task(self, file: str) -> bool:
        """Whether a file is the author's."""
        return file == self._path or file.startswith(self._roots)

    def _frames(self, trace: TracebackType | None) -> list[Frame]:
        frames: list[Frame] = []
        whole = list(traceback.walk_tb(_trim(trace)))
        walked = [(frame, line) for frame, line in whole if not _is_runtime(frame.f_code.co_filename)]
        if len(walked) > _FRAMES_HEAD + _FRAMES_TAIL:
            walked = walked[:_FRAMES_HEAD] + walked[-_FRAMES_TAIL:]
        for frame, line in walked:
            file = frame.f_code.co_filename
            source = linecache.getline(file, line, frame.f_globals).strip()
            frames.append(
                Frame(
                    file=text(file, 1024),
                    line=line or 0,
                    function=frame.f_code.co_qualname,
                    source=cut(text(source), 500) or None,
                    in_task=self.in_task(file),
                )
            )
        return frames

    def _classify(self, error: BaseException) -> tuple[Category, dict[str, Any]]:
        if isinstance(error, InvalidInputError):
            return Category.INVALID_INPUT, error.details
        if isinstance(error, InvalidOutputError):
            return Category.INVALID_OUTPUT, error.details
        for one, relation in _walk(error):
            limit = None if relation == "context" else _limit(one)
            if limit is not None:
                return Category.LIMIT, {"limit": limit, "value": self._limits.get(limit)}
        called = next((one for one, _ in _walk(error) if isinstance(one, ExecutionFailedError)), None)
        return Category.EXCEPTION, {} if called is None else {"called": plain_mapping(called.details)}


def _quantity(limit: str, value: float | None) -> str:
    """A limit's value in the unit its name ends with."""
    if value is None:
        return "unknown"
    if limit.endswith("_bytes"):
        return f"{value / 2**20:g} MiB"
    return f"{value:g} s" if limit.endswith("_seconds") else f"{value:g}"


def _limit(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return "memory_bytes"
    if isinstance(error, CpuTimeExceeded):
        return "cpu_seconds"
    if isinstance(error, OSError):
        return {errno.EFBIG: "file_bytes", errno.EMFILE: "open_files"}.get(error.errno or 0)
    return None


def _walk(error: BaseException) -> Iterator[tuple[BaseException, Relation | None]]:
    seen: set[int] = set()
    queue: list[tuple[BaseException, Relation | None]] = [(error, None)]
    while queue:
        one, relation = queue.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one, relation
        if isinstance(one, BaseExceptionGroup):
            members = cast("tuple[BaseException, ...]", one.exceptions)
            queue.extend((member, "member") for member in members)
        if one.__cause__ is not None:
            queue.insert(0, (one.__cause__, "cause"))
        elif one.__context__ is not None and not one.__suppress_context__:
            queue.insert(0, (one.__context__, "context"))


def _trim(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from its first frame that is not the runtime's or asyncio's; whole where all are."""
    first = trace
    while first is not None and first.tb_frame.f_code.co_filename.startswith(_OWN_FOLDERS):
        first = first.tb_next
    return first if first is not None else trace


def _is_runtime(file: str) -> bool:
    return file.startswith(_RUNTIME_FOLDER)


def _hide_runtime(trace: traceback.TracebackException | None) -> None:
    """Take the runtime's frames out of a traceback and of those it came from."""
    while trace is not None:
        trace.stack[:] = [frame for frame in trace.stack if not _is_runtime(frame.filename)]
        for member in trace.exceptions or ():
            _hide_runtime(member)
        _hide_runtime(trace.__context__)
        trace = trace.__cause__


def _type_name(error: BaseException) -> str:
    return _class_name(type(error))


def _class_name(kind: type) -> str:
    if kind.__module__ == builtins.__name__ or kind.__module__.startswith(MODULE_PREFIX):
        return kind.__qualname__
    if kind.__module__.startswith("ratchet."):
        return kind.__name__
    return f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the task called sys.exit({error.code!r}); a task ends by returning or raising"
    return text(error, _MESSAGE_CHARACTERS_MAX)


def _notes(error: BaseException) -> list[object]:
    notes: object = getattr(error, "__notes__", None)
    return cast("list[object]", notes)[:20] if isinstance(notes, list) else []
