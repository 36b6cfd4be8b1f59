"""A page is bounded in rows and in bytes, and always makes progress."""

import pytest

from ipc.envelope import BODY_BYTES_MAX
from ratchet.bodies.telemetry import LogPage, StoredLogRecord
from ratchet.stores.bounds import PAGE_BYTES_MAX, take


def test_a_limit_is_kept_and_what_is_left_is_told():
    rows = [(number,) for number in range(5)]

    assert take(rows, 5) == (rows, False)
    assert take(rows, 4) == (rows[:4], True)
    assert take([], 4) == ([], False)


def test_a_row_that_is_too_large_comes_alone():
    rows = [("x" * PAGE_BYTES_MAX * 2,), ("small",)]

    assert take(rows, 10) == (rows[:1], True)
    assert take(rows[1:], 10) == (rows[1:], False)


@pytest.mark.parametrize("character", ["x", "é", "☃", "🙂", "\x00", '"'])
def test_a_full_page_fits_into_a_message_whatever_its_characters(character: str):
    rows, more = take(((character * 5_000,) for _ in range(1_000)), 1_000)

    records = [
        StoredLogRecord(attempt=1, sequence=1, at_ns=1, level="info", logger="ctx", message=message)
        for (message,) in rows
    ]

    assert more
    assert len(LogPage(records=records, counts={}).model_dump_json().encode()) < BODY_BYTES_MAX
