"""Times as agents write and read them: ISO 8601 in UTC out; ISO 8601, epoch milliseconds or "1h" (ago) in."""

import re
from datetime import UTC, datetime

from ratchet.errors import RequestError

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d{1,6})\s*([smhdw])(?:\s+ago)?", re.IGNORECASE)
_EPOCH_MS = re.compile(r"\d{10,16}")
_NS_PER_MS = 1_000_000
_EPOCH_MS_MAX = 253_402_300_799_999  # the last millisecond of the year 9999
_LATEST_NS = _EPOCH_MS_MAX * _NS_PER_MS


def iso(at_ns: int | None) -> str | None:
    """`2026-07-28T09:30:00.125Z`; None stays None."""
    if at_ns is None:
        return None
    seconds, rest = divmod(at_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // _NS_PER_MS:03d}Z"


def parse_moment(given: str | float, *, field: str, now_ns: int) -> int:
    """Nanoseconds since the epoch, from it to the end of the year 9999. A time without a zone is UTC.

    Raises:
        RequestError: It is none of the forms that are understood.
    """
    if isinstance(given, int | float):
        return _from_epoch_ms(float(given), given, field)
    text = given.strip()
    if _EPOCH_MS.fullmatch(text):
        return _from_epoch_ms(float(text), given, field)
    if ago := _AGO.fullmatch(text):
        return max(0, now_ns - int(ago[1]) * _UNIT_SECONDS[ago[2].lower()] * 1_000_000_000)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _unusable(given, field) from None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max(0, int(at.timestamp() * 1000) * _NS_PER_MS), _LATEST_NS)


def _from_epoch_ms(milliseconds: float, given: str | float, field: str) -> int:
    if not 0 <= milliseconds <= _EPOCH_MS_MAX:
        raise _unusable(given, field)
    return int(milliseconds) * _NS_PER_MS


def _unusable(given: str | float, field: str) -> RequestError:
    return RequestError(
        f"{field} is {str(given)[:80]!r}: give an ISO 8601 time such as 2026-07-28T09:30:00Z, milliseconds since 1970, "
        "or a time ago such as 1h or 30m",
        details={"problems": [{"path": field, "message": "is not a time", "given": str(given)[:80]}]},
    )
