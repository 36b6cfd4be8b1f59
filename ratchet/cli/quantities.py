"""How durations, moments and sizes are written for people, and how they are read from a command line."""

import re
from datetime import UTC, datetime, timedelta

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_NUMBER = r"\d+(?:\.\d+)?"
_PART = re.compile(rf"({_NUMBER})\s*(ms|s|m|h|d|w)", re.IGNORECASE)
_WHOLE = re.compile(rf"(?:{_NUMBER}\s*(?:ms|s|m|h|d|w)\s*)+", re.IGNORECASE)
_KIB = 1024.0


def duration(milliseconds: float | None) -> str:
    """Two significant units at most: `840 µs`, `12.3 ms`, `4.20 s`, `3 m 05 s`, `2 h 07 m`, `3 d 4 h`."""
    if milliseconds is None:
        return "-"
    if milliseconds < 1:
        return f"{milliseconds * 1000:.0f} µs"
    if milliseconds < 1000:
        return f"{milliseconds:.1f} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.2f} s"
    return _long_duration(int(seconds))


def _long_duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} m"
    return f"{minutes} m {seconds:02d} s"


def moment(at_ns: int | None, *, now_ns: int) -> str:
    """Local time of day; with the date unless it is less than half a day from now."""
    if at_ns is None:
        return "-"
    local = datetime.fromtimestamp(at_ns / 1e9, tz=UTC).astimezone()
    near = abs(now_ns - at_ns) < 12 * 3600 * 1e9
    return local.strftime("%H:%M:%S" if near else "%Y-%m-%d %H:%M:%S")


def clock(at_ns: int) -> str:
    """Local time of day with milliseconds, for log lines."""
    local = datetime.fromtimestamp(at_ns / 1e9, tz=UTC).astimezone()
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"


def size(count: int | None) -> str:
    """Binary units with one decimal: `512 B`, `4.0 KiB`, `1.5 GiB`."""
    if count is None:
        return "-"
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < _KIB:
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KIB
    return f"{amount:.1f} TiB"


def parse_duration(text: str) -> float | None:
    """Seconds of `90`, `90s`, `15m`, `1h30m`, `2d`; None where `text` is no duration."""
    stripped = text.strip()
    if re.fullmatch(_NUMBER, stripped):
        return float(stripped)
    if not _WHOLE.fullmatch(stripped):
        return None
    return sum(float(part[1]) * _UNIT_SECONDS[part[2].lower()] for part in _PART.finditer(stripped))


def parse_since(text: str, *, now: datetime) -> int | None:
    """Nanoseconds since the epoch of `1h` (that long ago) or an ISO date or time; None where it is neither.

    A time without a zone is local time.
    """
    seconds = parse_duration(text)
    if seconds is not None:
        return int((now - timedelta(seconds=seconds)).timestamp() * 1e9)
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return int(at.astimezone().timestamp() * 1e9) if at.tzinfo is None else int(at.timestamp() * 1e9)
