"""Amounts as people write them: bytes (`512 MiB`), seconds (`5m`), counts. One pydantic type each."""

import re
from typing import Annotated, Final

from pydantic import AllowInfNan, BeforeValidator, Field

_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", re.ASCII)
_BYTES: Final = {
    "": 1,
    "b": 1,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
}
_SECONDS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

BYTES_MAX: Final = 2**50
SECONDS_MAX: Final = 30 * 86400.0
AGE_SECONDS_MAX: Final = 3650 * 86400.0
COUNT_MAX: Final = 1_000_000


def parse_bytes(value: object) -> object:
    """Bytes of a number or of text such as `512 MiB`, `1GiB`, `10 MB` (binary and decimal units as written).

    Raises:
        ValueError: The text is no amount of bytes.
    """
    if not isinstance(value, str):
        return _number(value)
    amount, unit = _split(value, tuple(_BYTES), "a number of bytes such as 1048576, or an amount such as 512 MiB")
    size = amount * _BYTES[unit]
    if size != int(size):
        raise ValueError("must come to whole bytes")
    return int(size)


def parse_seconds(value: object) -> object:
    """Seconds of a number or of text such as `250ms`, `30s`, `5m`, `1h`.

    Raises:
        ValueError: The text is no duration.
    """
    if not isinstance(value, str):
        return _number(value)
    amount, unit = _split(value, tuple(_SECONDS), "a number of seconds such as 30, or a duration such as 30s, 5m, 1h")
    return amount * _SECONDS[unit]


def _number(value: object) -> object:
    # A bool is an int to Python, and to pydantic unless told otherwise; "yes" is no number to whoever wrote it.
    if isinstance(value, bool):
        raise ValueError("must be a number, not yes or no")  # noqa: TRY004 - pydantic collects ValueError only
    return value


def _split(text: str, units: tuple[str, ...], wanted: str) -> tuple[float, str]:
    match = _AMOUNT.fullmatch(text)
    unit = "" if match is None else match[2].lower()
    if match is None or unit not in units:
        raise ValueError(f"must be {wanted}")
    return float(match[1]), unit


Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(ge=1, le=BYTES_MAX)]
"""Whole bytes, at least one."""

Seconds = Annotated[
    float, BeforeValidator(parse_seconds), Field(ge=0, le=SECONDS_MAX), AllowInfNan(allow_inf_nan=False)
]
"""Seconds from zero to thirty days; a field may bound it further."""

Age = Annotated[
    float, BeforeValidator(parse_seconds), Field(ge=0, le=AGE_SECONDS_MAX), AllowInfNan(allow_inf_nan=False)
]
"""Seconds up to ten years, for what is kept."""

Count = Annotated[int, BeforeValidator(_number), Field(ge=0, le=COUNT_MAX)]
"""A whole number of things."""
