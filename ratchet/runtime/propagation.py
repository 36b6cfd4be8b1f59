"""Makes the open span follow work into threads, where Python before 3.14 begins with an empty context.

Only Ratchet's own variable travels: copying the whole context would change what the author's code sees.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ratchet.context import Span, current_span, resume_span


def install() -> None:
    """Patch the two places where threads are given work. Call it once in a process."""
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    def start_with_span(self: threading.Thread) -> None:
        span = current_span()
        if span is not None:
            self.run = _within(span, self.run)
        start(self)

    def submit_with_span(
        self: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        return submit(self, _within(current_span(), function), *args, **kwargs)

    threading.Thread.start = start_with_span
    ThreadPoolExecutor.submit = submit_with_span


def _within(span: Span | None, function: Callable[..., Any]) -> Callable[..., Any]:
    def work(*args: Any, **kwargs: Any) -> Any:
        before = current_span()
        resume_span(span)
        try:
            return function(*args, **kwargs)
        finally:
            resume_span(before)

    return work
