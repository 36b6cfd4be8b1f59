"""What a pass of the housekeeper has to remove: decisions from configuration, wish and sizes. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ratchet.bodies.retention import Prune, Usage
from ratchet.config.retention import RetentionConfig

FOREVER_NS = 2**63 - 1
_FILL = 0.9  # a store that is too large shrinks to this part of its bound, so as not to be there again at once


@dataclass(frozen=True, slots=True)
class Cut:
    """One reason for executions to go, oldest first; those to whom all of it applies do.

    Attributes:
        ended_before_ns: They ended before this.
        keep: But never the newest so many that have ended.
        bytes_max: Only while their store is larger.
    """

    ended_before_ns: int = FOREVER_NS
    keep: int = 0
    bytes_max: int | None = None


def cuts(wish: Prune, config: RetentionConfig, *, now_ns: int) -> list[Cut]:
    """The reasons for executions to go: those of a wish where it has any, else those of the configuration."""
    if wish.older_than_seconds is not None or wish.keep is not None:
        before = FOREVER_NS if wish.older_than_seconds is None else _before(wish.older_than_seconds, now_ns)
        return [Cut(ended_before_ns=before, keep=wish.keep or 0)]
    limits = config.executions
    found: list[Cut] = []
    if limits.age_seconds:
        found.append(Cut(ended_before_ns=_before(limits.age_seconds, now_ns)))
    if limits.count_max:
        found.append(Cut(keep=limits.count_max))
    return [*found, Cut(bytes_max=limits.bytes_max)]


def by_configuration(wish: Prune) -> bool:
    """Whether logs, spans and the audit log are looked at by their own limits too."""
    return wish.older_than_seconds is None and wish.keep is None


def before(age_seconds: float, *, now_ns: int) -> int:
    """The moment before which something has this age; 0, before which nothing is, where there is no bound."""
    return _before(age_seconds, now_ns) if age_seconds else 0


def too_large(usage: Usage, bytes_max: int, *, shrinking: bool) -> bool:
    """Whether a store has to shrink: once it is above its bound, until it is well below."""
    return usage.used_bytes > (bytes_max * _FILL if shrinking else bytes_max)


def share_to_remove(usage: Usage, bytes_max: int) -> float:
    """About which part of a store has to go, for a look beforehand."""
    return 1 - bytes_max * _FILL / usage.used_bytes if usage.used_bytes > bytes_max else 0.0


def within(sizes: Sequence[int], room: int) -> int:
    """How many of these families, by their sizes and oldest first, are no part of what must stay: whole ones.

    Args:
        sizes: How many have ended of each.
        room: How many executions are older than the oldest that must stay.
    """
    taken = total = 0
    for size in sizes:
        if total + size > room:
            break
        taken, total = taken + 1, total + size
    return taken


def rounded(count: float) -> int:
    """A number of executions that is at least `count`."""
    return math.ceil(count)


def _before(age_seconds: float, now_ns: int) -> int:
    return now_ns - int(age_seconds * 1e9) if age_seconds < now_ns / 1e9 else 0  # nothing is older than time itself
