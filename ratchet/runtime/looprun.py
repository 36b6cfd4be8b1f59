"""Runs one coroutine to its end in an event loop of its own, as asyncio.run does, but with bounds on the way out.

asyncio.run waits without end for tasks that ignore their cancellation and for threads that do not return; an execution
that has been cancelled must not hang there.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_CLOSE_SECONDS = 1.0
_THREADS_MAX = 32


def run_coroutine(
    coroutine: Coroutine[Any, Any, Any], cancel_with: Callable[[Callable[[], object] | None], None]
) -> Any:
    """The coroutine's result. `cancel_with` is told how to cancel it from a signal handler, and None at the end."""
    loop = asyncio.new_event_loop()
    threads = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix="asyncio")
    loop.set_default_executor(threads)
    asyncio.set_event_loop(loop)
    main = loop.create_task(coroutine)
    try:
        cancel_with(lambda: loop.call_soon_threadsafe(main.cancel))
        return loop.run_until_complete(main)
    finally:
        cancel_with(None)
        if main.done() and not main.cancelled():
            main.exception()  # it is raised already where it ended the loop: asyncio need not complain
        threads.shutdown(wait=False, cancel_futures=True)
        _close(loop)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    try:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_CLOSE_SECONDS))
        for task in left:
            _report(loop, task)
        loop.run_until_complete(asyncio.wait_for(loop.shutdown_asyncgens(), _CLOSE_SECONDS))
    except TimeoutError:
        pass  # an asynchronous generator that does not close; the child is not used again if anything of it lives on
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _report(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[Any]") -> None:
    error = task.exception() if task.done() and not task.cancelled() else None
    if error is not None:
        context = {"message": "a task left behind failed while it was cancelled", "exception": error, "task": task}
        loop.call_exception_handler(context)
