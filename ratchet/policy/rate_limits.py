"""How often a client may call a tool: names and amounts as the configuration writes them, and the counting.

A limit is a moving window: in any stretch of that length no more calls are admitted than it says. Calls that are
refused do not count.
"""

import difflib
import math
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.strategies import MovingWindowRateLimiter

_LIMITS_KEPT = 1024

# The one table of short names. The tools' own names are understood too.
TOOL_OF_SHORT_NAME: Mapping[str, str] = {
    "execute_task": "execute_task",
    "get_status": "get_execution_status",
    "get_logs": "get_execution_logs",
    "get_trace": "get_execution_trace",
    "list_tasks": "list_available_tasks",
    "list_executions": "list_executions",
    "inspect": "inspect_execution",
    "analyze_error": "analyze_execution_error",
    "cancel": "cancel_execution",
    "get_health": "get_system_health",
}


def limited_tool(name: str) -> str:
    """The tool that a name in `rate_limits` means.

    Raises:
        ValueError: There is none; the message names the nearest.
    """
    if name in TOOL_OF_SHORT_NAME:
        return TOOL_OF_SHORT_NAME[name]
    if name in TOOL_OF_SHORT_NAME.values():
        return name
    known = [*TOOL_OF_SHORT_NAME, *TOOL_OF_SHORT_NAME.values()]
    near = difflib.get_close_matches(name.lower().removeprefix("ratchet.").removeprefix("ratchet_"), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(TOOL_OF_SHORT_NAME)}"
    raise ValueError(f"names no tool; {hint}")


@lru_cache(maxsize=_LIMITS_KEPT)
def parse_limit(text: str) -> "RateLimitItem":
    """A limit such as `10/minute`, `100 per hour`, `5/2seconds`.

    Raises:
        ValueError: It is none.
    """
    from limits import parse_many  # slow to import, and most projects limit nothing

    try:
        found = parse_many(text)
    except ValueError:
        found = []
    if len(found) != 1:
        raise ValueError("must be one limit, an amount and a time: 10/minute, 100/hour, 5/2seconds")
    if found[0].amount < 1:
        raise ValueError("must admit at least one call; a client that may make none has no permission for it")
    return found[0]


class RateLimiter:
    """Counts calls by client and tool, in memory: a restart begins anew."""

    def __init__(self) -> None:
        self._windows: MovingWindowRateLimiter | None = None

    def admit(self, client: str, tool: str, limit: str) -> float | None:
        """Count a call, or say in how many seconds (above 0) the next one will be admitted.

        Raises:
            ValueError: `limit` is none.
        """
        windows, item = self._open(), parse_limit(limit)
        if windows.hit(item, client, tool):
            return None
        seconds = windows.get_window_stats(item, client, tool).reset_time - time.time()
        return max(0.001, math.ceil(seconds * 1000) / 1000)

    def _open(self) -> "MovingWindowRateLimiter":
        if self._windows is None:
            from limits.storage import MemoryStorage
            from limits.strategies import MovingWindowRateLimiter

            self._windows = MovingWindowRateLimiter(MemoryStorage())
        return self._windows
