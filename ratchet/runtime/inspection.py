"""What a child tells of a run without stopping it: where each thread and coroutine is, and which spans are open.

One signal has two answers. The first is given in C, whatever the main thread does: its stack, appended to a file in
memory that the worker opens by its name. The second is given by the main thread as soon as it runs Python code, which
a blocking system call does when a signal interrupts it, and a C function that keeps the interpreter's lock does not.
"""

import asyncio
import faulthandler
import fcntl
import linecache
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from types import FrameType
from typing import Any

from ratchet.context import Span
from ratchet.plain import text
from ratchet.process import INSPECT_SIGNAL, LINUX, STACK_FILE
from ratchet.runtime.outlet import Outlet
from ratchet.runtime.recorder import Recorder

_FRAMES_MAX = 50
_STACKS_MAX = 50
_SPANS_MAX = 50
_RUNTIME = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - compared with the file names in code objects


def install(outlet: Outlet, recorder: Recorder) -> None:
    """Answer `INSPECT_SIGNAL` from now on. Comes after `interruption`, whose shield holds the handler back."""

    def tell(_number: int, frame: FrameType | None) -> None:
        outlet.send("inspected", snapshot(frame, recorder.open_spans()))

    signal.signal(INSPECT_SIGNAL, tell)
    if LINUX:
        file = os.memfd_create(STACK_FILE, os.MFD_CLOEXEC)
        fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)  # so that the reader may cut off what it has read
        # Not all threads: others may run while they are read, which is safe only with the interpreter's lock.
        faulthandler.register(INSPECT_SIGNAL, file=file, all_threads=False, chain=True)


def snapshot(interrupted: FrameType | None, spans: Iterable[Span]) -> dict[str, Any]:
    """The body of `inspected`. `interrupted` is where the main thread was."""
    now = time.time_ns()
    return {
        "threads": _threads(interrupted),
        "coroutines": _coroutines(),
        "spans": [
            {
                "span_id": one.span_id,
                "parent_id": one.parent_id,
                "name": text(one.name, 256),
                "seconds": max(0, now - one.start_ns) / 1e9,
            }
            for one in sorted(spans, key=lambda span: span.start_ns)[:_SPANS_MAX]
        ],
    }


def _threads(interrupted: FrameType | None) -> list[dict[str, Any]]:
    main = threading.main_thread().ident
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    tops = sys._current_frames()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - documented; the only way
    found = [{"name": "MainThread", "frames": _stack(interrupted)}]
    for ident, top in list(tops.items())[:_STACKS_MAX]:
        frames = [] if ident == main else _stack(top)
        if frames:  # a thread of Ratchet's own has none to show
            found.append({"name": text(names.get(ident, f"thread {ident}"), 128), "frames": frames})
    return found


def _stack(frame: FrameType | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while frame is not None and len(found) < _FRAMES_MAX:
        if not frame.f_code.co_filename.startswith(_RUNTIME):
            found.append(_frame(frame))
        frame = frame.f_back
    return found


def _coroutines() -> list[dict[str, Any]]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return []
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())[:_STACKS_MAX]
    return [{"name": text(task.get_name(), 128), "frames": _awaited(task.get_coro())} for task in tasks]


def _awaited(waiting: object) -> list[dict[str, Any]]:
    """From what a task waits in outwards; asyncio itself shows only the outermost coroutine of one that waits."""
    found: list[dict[str, Any]] = []
    while waiting is not None and len(found) < _FRAMES_MAX:
        frame = next(
            (it for name in ("cr_frame", "gi_frame", "ag_frame") if (it := getattr(waiting, name, None))), None
        )
        if not isinstance(frame, FrameType):
            break
        found.append(_frame(frame))
        names = ("cr_await", "gi_yieldfrom", "ag_await")
        waiting = next((it for name in names if (it := getattr(waiting, name, None)) is not None), None)
    return found[::-1]


def _frame(frame: FrameType) -> dict[str, Any]:
    code, line = frame.f_code, frame.f_lineno or 0
    # Reading what is no plain file might wait for ever.
    source = linecache.getline(code.co_filename, line).strip() if os.path.isfile(code.co_filename) else ""  # noqa: PTH113
    return {
        "file": text(code.co_filename, 1024),
        "line": line,
        "function": text(code.co_qualname, 256),
        "source": text(source, 256) or None,
    }
