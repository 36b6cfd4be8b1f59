"""How much of a query's answer goes into one reply: bounded in rows and in bytes, whatever is stored."""

from collections.abc import Iterable
from typing import Any

PAGE_BYTES_MAX = 1024 * 1024  # text of one page; a reply has to fit into one message


def take(
    rows: Iterable[tuple[Any, ...]], limit: int, bytes_max: int = PAGE_BYTES_MAX
) -> tuple[list[tuple[Any, ...]], bool]:
    """The first rows, at most `limit` and about `bytes_max` of text (but at least one), and whether any are left.

    To tell whether any are left, a query has to ask for `limit + 1`.
    """
    taken: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        size += sum(len(value) for value in row if isinstance(value, str))
        if len(taken) == limit or (taken and size > bytes_max):
            return taken, True
        taken.append(row)
    return taken, False
