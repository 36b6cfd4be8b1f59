"""What a pass of the housekeeper decides."""

import pytest

from ratchet.retention.limits import before

_NOW_NS = 1_800_000_000 * 10**9


@pytest.mark.parametrize(
    ("age_seconds", "moment_ns"),
    [(0, 0), (1, _NOW_NS - 10**9), (_NOW_NS / 1e9, 0), (1e300, 0), (1e308, 0)],
)
def test_nothing_is_older_than_time(age_seconds: float, moment_ns: int) -> None:
    assert before(age_seconds, now_ns=_NOW_NS) == moment_ns
