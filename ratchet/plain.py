"""Any Python value as bounded JSON, for logs and spans. Lossy on purpose and never fails.

Outputs are not for this module: `ratchet.output` refuses what it cannot carry.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

TEXT_CHARACTERS_MAX = 64 * 1024
_VALUE_CHARACTERS_MAX = 8 * 1024
_NOTE_CHARACTERS = 48
_ITEMS_MAX = 100
_DEPTH_MAX = 6
_VALUES_MAX = 1000
_INTEGER_MAX = 2**63 - 1


def plain(value: object) -> Any:
    """`value` as JSON types: cut where it is large or deep, `repr` where it is something else."""
    return _plain(value, 0, [_VALUES_MAX])


def plain_mapping(values: Mapping[str, object]) -> dict[str, Any]:
    """Every value of a mapping made plain; keys become text."""
    return cast("dict[str, Any]", _plain(dict(values), 0, [_VALUES_MAX]))


def text(value: object, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """`str(value)` that never fails, holds no lone surrogate, and says so where it was cut."""
    return cut(_encodable(value if isinstance(value, str) else _safely(str, value)), characters_max)


def cut(line: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """The beginning of a long text and a note of how much is missing, together at most `characters_max`."""
    if len(line) <= characters_max:
        return line
    kept = max(0, characters_max - _NOTE_CHARACTERS)
    return f"{line[:kept]}… [cut: {len(line) - kept} more characters]"


def _encodable(line: str) -> str:
    if line.isascii():
        return line
    return line.encode("utf-8", "backslashreplace").decode("utf-8")


def _safely(render: type[str] | Any, value: object) -> str:
    try:
        return str(render(value))
    except Exception as error:  # noqa: BLE001 - the author's __str__ or __repr__ may raise anything
        return f"<{type(value).__name__} that cannot be printed: {type(error).__name__}>"


def _plain(value: object, depth: int, budget: list[int]) -> Any:
    budget[0] -= 1
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(value, _VALUE_CHARACTERS_MAX)
    if isinstance(value, int):
        return int(value) if -_INTEGER_MAX <= value <= _INTEGER_MAX else text(_integer(value), _VALUE_CHARACTERS_MAX)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if depth < _DEPTH_MAX and budget[0] > 0:
        if isinstance(value, Mapping):
            return _plain_items(cast("Mapping[object, object]", value), depth, budget)
        if isinstance(value, (list, tuple, set, frozenset)):
            return _plain_list(cast("list[object]", value), depth, budget)
    return cut(_encodable(_safely(repr, value)), _VALUE_CHARACTERS_MAX)


def _integer(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # more digits than Python converts by default
        return hex(value)


def _plain_items(mapping: Mapping[object, object], depth: int, budget: list[int]) -> Any:
    try:
        items = list(mapping.items())
    except Exception:  # noqa: BLE001 - the author's own mapping type
        return _safely(repr, mapping)
    result = {text(key, 256): _plain(item, depth + 1, budget) for key, item in items[:_ITEMS_MAX] if budget[0] > 0}
    if len(result) < len(items):
        result["…"] = f"{len(items) - len(result)} more"
    return result


def _plain_list(values: list[object], depth: int, budget: list[int]) -> list[Any]:
    items = list(values)
    result = [_plain(item, depth + 1, budget) for item in items[:_ITEMS_MAX] if budget[0] > 0]
    if len(result) < len(items):
        result.append(f"… {len(items) - len(result)} more")
    return result
