"""Times as agents write and read them."""

from datetime import UTC, datetime

import pytest

from actors.mcp_front.tools.moments import iso, parse_moment
from ratchet.errors import RequestError

NOW = datetime(2026, 7, 28, 9, 30, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000
HOUR_NS = 3600 * 1_000_000_000


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert iso(NOW_NS + 125_999_999) == "2026-07-28T09:30:00.125Z"
    assert iso(None) is None


@pytest.mark.parametrize(
    ("given", "at_ns"),
    [
        ("2026-07-28T09:30:00Z", NOW_NS),
        ("2026-07-28T09:30:00.000Z", NOW_NS),
        ("2026-07-28T11:30:00+02:00", NOW_NS),
        ("2026-07-28T09:30:00", NOW_NS),
        ("2026-07-28", NOW_NS - HOUR_NS * 19 // 2),
        (NOW_NS // 1_000_000, NOW_NS),
        (NOW_NS / 1_000_000, NOW_NS),
        (str(NOW_NS // 1_000_000), NOW_NS),
        ("1h", NOW_NS - HOUR_NS),
        ("90m ago", NOW_NS - HOUR_NS * 3 // 2),
        (" 2 D ", NOW_NS - 48 * HOUR_NS),
    ],
)
def test_times_are_read_in_every_form_that_agents_use(given: str | float, at_ns: int) -> None:
    assert parse_moment(given, field="since", now_ns=NOW_NS) == at_ns


def test_what_is_written_can_be_read() -> None:
    assert parse_moment(str(iso(NOW_NS)), field="since", now_ns=0) == NOW_NS


@pytest.mark.parametrize(
    "given", ["", "yesterday", "2026-13-01", -5, 1e20, float("inf"), float("nan"), "99999999999999999"]
)
def test_anything_else_is_refused_with_the_forms_that_work(given: str | float) -> None:
    with pytest.raises(RequestError, match=r"since is .*ISO 8601") as caught:
        parse_moment(given, field="since", now_ns=NOW_NS)
    assert caught.value.details["problems"][0]["path"] == "since"


@pytest.mark.parametrize(
    "given", ["999999w", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31", 253_402_300_799_999]
)
def test_any_time_that_is_read_can_be_written(given: str | int) -> None:
    at_ns = parse_moment(given, field="since", now_ns=NOW_NS)
    assert iso(at_ns) in {"1970-01-01T00:00:00.000Z", "9999-12-31T00:00:00.000Z", "9999-12-31T23:59:59.999Z"}
