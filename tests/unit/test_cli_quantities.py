"""How durations, moments and sizes are written and read."""

from datetime import UTC, datetime

import pytest

from ratchet.cli.quantities import duration, moment, parse_duration, parse_since, size


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "-"),
        (0.5, "500 µs"),
        (12.34, "12.3 ms"),
        (4200, "4.20 s"),
        (185_000, "3 m 05 s"),
        (2 * 3_600_000 + 7 * 60_000, "2 h 07 m"),
        (3 * 86_400_000 + 4 * 3_600_000, "3 d 4 h"),
    ],
)
def test_a_duration_has_two_units_at_most(milliseconds: float | None, text: str) -> None:
    assert duration(milliseconds) == text


@pytest.mark.parametrize(("count", "text"), [(None, "-"), (512, "512 B"), (4096, "4.0 KiB"), (3 * 2**29, "1.5 GiB")])
def test_a_size_has_binary_units(count: int | None, text: str) -> None:
    assert size(count) == text


def test_a_moment_long_ago_has_its_date() -> None:
    now = 1_780_000_000 * 10**9
    assert len(moment(now - 60 * 10**9, now_ns=now)) == len("12:34:56")
    assert len(moment(now - 86_400 * 10**9, now_ns=now)) == len("2026-05-01 12:34:56")
    assert moment(None, now_ns=now) == "-"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5h", 5400), ("1h30m", 5400), ("2d", 172_800), (" 250 ms ", 0.25), ("1W", 604_800)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "soon", "1x", "1h later", "-5s", "1..5s"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert parse_duration(text) is None


def test_since_is_a_time_ago_or_an_iso_time() -> None:
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert parse_since("1h", now=now) == int(datetime(2026, 5, 1, 11, tzinfo=UTC).timestamp() * 1e9)
    assert parse_since("2026-05-01T10:00:00+00:00", now=now) == int(
        datetime(2026, 5, 1, 10, tzinfo=UTC).timestamp() * 1e9
    )
    local = datetime.fromisoformat("2026-05-01").astimezone()
    assert parse_since("2026-05-01", now=now) == int(local.timestamp() * 1e9)
    assert parse_since("yesterday", now=now) is None
