"""Refuses outputs that JSON (and the wire) cannot carry, naming the place and the size.

Strict where `ratchet.plain` is lossy: what a task returns is either delivered exactly or not at all.
"""

import json
import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, cast

import msgpack

from ratchet.errors import InvalidOutputError

DEPTH_MAX = 100
_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**64 - 1
_ITEMS_LOOKED_AT = 10_000


def check_output(value: Any, bytes_max: int) -> int:
    """Check an output of JSON types; returns its size as JSON in bytes.

    Raises:
        InvalidOutputError: Something in it is not JSON, it is too deep, or it is larger than `bytes_max`.
    """
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())
        if size > bytes_max:
            raise _too_large(f"{size} bytes of JSON", size, bytes_max)
        _check_depth(value)
        msgpack.packb(value, use_bin_type=True)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        _Walk().check(value)  # slower, and able to say where it is
        raise InvalidOutputError(f"the output cannot be made JSON: {error}") from error
    return size


def _check_depth(value: object) -> None:
    level: list[object] = [value]
    for _ in range(DEPTH_MAX + 1):
        containers = cast(
            "list[dict[object, object] | list[object]]", [x for x in level if isinstance(x, (dict, list))]
        )
        level = [item for container in containers for item in _values(container)]
        if not level:
            return
    raise ValueError(f"it is nested deeper than {DEPTH_MAX} levels")


def refuse_huge(result: object, bytes_max: int) -> None:
    """Look at the texts in the plain containers of a raw result, without copying anything.

    A hint, not a check: it sees enough to refuse 100 MB of text before it is copied several times.

    Raises:
        InvalidOutputError: They alone are more than `bytes_max`.
    """
    total = 0
    pending = [result]
    for _ in range(_ITEMS_LOOKED_AT):
        if not pending:
            return
        item = pending.pop()
        if isinstance(item, (str, bytes, bytearray)):
            total += len(item)
        elif isinstance(item, (dict, list, tuple)):
            pending.extend(islice(_values(cast("dict[object, object] | Sequence[object]", item)), _ITEMS_LOOKED_AT))
        if total > bytes_max:
            raise _too_large(f"more than {total} bytes of JSON", total, bytes_max)


def _values(container: "dict[object, object] | Sequence[object]") -> Iterable[object]:
    return container.values() if isinstance(container, dict) else container


def find_unserializable(value: object) -> str | None:
    """Where in a raw result something sits that no JSON type can hold, or None where it cannot be told."""
    try:
        _Walk().check(value)
    except InvalidOutputError as error:
        return error.message
    return None


class _Walk:
    """Looks for the first thing in an output that cannot be carried, and knows where it is."""

    def __init__(self) -> None:
        self._path: list[str | int] = []
        self._open: set[int] = set()

    def check(self, value: object) -> None:
        """Refuse what is not JSON at and below `value`."""
        if isinstance(value, str):
            self._check_text(value)
        elif value is None or isinstance(value, bool):
            return
        elif isinstance(value, int):
            if not _INTEGER_MIN <= value <= _INTEGER_MAX:
                raise self._error("an integer of more than 64 bits; return it as a string")
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise self._error(f"{value!r}, which JSON has no number for; return None or a string")
        elif isinstance(value, (dict, list, tuple)):
            self._check_container(cast("dict[object, object] | list[object] | tuple[object, ...]", value))
        else:
            raise self._error(f"a {type(value).__module__}.{type(value).__qualname__}, which is not JSON")

    def _check_container(self, value: "dict[object, object] | list[object] | tuple[object, ...]") -> None:
        if id(value) in self._open:
            raise self._error("a container that contains itself")
        if len(self._open) >= DEPTH_MAX:
            raise self._error(f"nested deeper than {DEPTH_MAX} levels")
        self._open.add(id(value))
        if isinstance(value, dict):
            for key, item in value.items():
                self._check_key(key)
                self._step(cast("str", key), item)
        else:
            for index, item in enumerate(value):
                self._step(index, item)
        self._open.discard(id(value))

    def _step(self, key: str | int, item: object) -> None:
        self._path.append(key)
        self.check(item)
        self._path.pop()

    def _check_key(self, key: object) -> None:
        if not isinstance(key, str):
            raise self._error(f"an object with the key {key!r}; keys must be strings")
        self._check_text(key)

    def _check_text(self, value: str) -> None:
        if value.isascii():
            return
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise self._error(f"text that is not Unicode (a lone surrogate at {error.start})") from None

    def _error(self, problem: str) -> InvalidOutputError:
        path = format_path(self._path)
        return InvalidOutputError(f"{path or 'the output'} is {problem}", details={"path": path})


def _too_large(what: str, size: int, bytes_max: int) -> InvalidOutputError:
    return InvalidOutputError(
        f"the output is {what}; {bytes_max} are allowed. Return less, or write a file and return its path",
        details={"bytes": size, "bytes_max": bytes_max},
    )


def format_path(path: "list[str | int] | tuple[str | int, ...]") -> str:
    """`("rows", 3, "name")` as `rows[3].name`; the empty path is ""."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text
