"""Ratchet: typed Python tasks in supervised processes, within reach of agents over MCP.

What a task author imports: `task`, `Context` (or `AsyncContext`), and for attempts that fail `Retry`, `Retryable` and
`Permanent`. Importing this package costs next to nothing (the
stdio shim does it on its fast path); each name is loaded when it is first used.
"""

from ratchet.version import VERSION

TYPE_CHECKING = False  # the name is what type checkers know; importing `typing` for it would cost milliseconds
if TYPE_CHECKING:
    from ratchet.authoring import task as task
    from ratchet.context import AsyncContext as AsyncContext
    from ratchet.context import Context as Context
    from ratchet.errors import Permanent as Permanent
    from ratchet.errors import Retryable as Retryable
    from ratchet.retry import Retry as Retry

__version__ = VERSION
__all__ = ["AsyncContext", "Context", "Permanent", "Retry", "Retryable", "__version__", "task"]

_HOMES = {
    "task": "ratchet.authoring",
    "Context": "ratchet.context",
    "AsyncContext": "ratchet.context",
    "Retry": "ratchet.retry",
    "Retryable": "ratchet.errors",
    "Permanent": "ratchet.errors",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'ratchet' has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value
