"""How much of a query's answer goes into one reply: bounded in rows and in bytes, whatever is stored."""

from collections.abc import Iterable
from typing import Any

# Of one page. A reply has to fit into one message even where every character of a text needs an escape of six.
PAGE_BYTES_MAX = 768 * 1024
_ROW_BYTES = 200  # names of fields, numbers, punctuation


def take(
    rows: Iterable[tuple[Any, ...]], limit: int, bytes_max: int = PAGE_BYTES_MAX
) -> tuple[list[tuple[Any, ...]], bool]:
    """The first rows, at most `limit` and about `bytes_max` (but at least one), and whether any are left.

    To tell whether any are left, a query has to ask for `limit + 1`.
    """
    taken: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        size += _ROW_BYTES + sum(_bytes(value) for value in row if isinstance(value, str))
        if len(taken) == limit or (taken and size > bytes_max):
            return taken, True
        taken.append(row)
    return taken, False


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
