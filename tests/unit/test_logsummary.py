"""Long logs made short."""

import time

import pytest

from ratchet.logsummary import collapse, summarise, template
from ratchet.models import LogRecord


def record(message: str, level: str = "info", *, sequence: int = 0, logger: str = "ctx") -> LogRecord:
    fields = {"sequence": sequence, "at_ns": sequence, "level": level, "logger": logger, "message": message}
    return LogRecord.model_validate(fields)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("took 3 ms", "took <number> ms"),
        ("took 1,234.5ms", "took <number>ms"),
        ("offset -3.5e10 at row42", "offset <number> at row<number>"),
        ("GET https://a.example/x?id=1&y=2 200", "GET <url> <number>"),
        ("mail to bob.b+x@mail.example.com sent", "mail to <email> sent"),
        ("id 123e4567-e89b-12d3-a456-426614174000 done", "id <uuid> done"),
        ("2024-01-02T03:04:05.678Z start", "<time> start"),
        ("2024-01-02 03:04:05,678 start", "<time> start"),
        ("at 12:30:01 o'clock", "at <time> o'clock"),
        ("from 10.0.0.1:8080 and fe80:0:0:0:1", "from <ip> and <ip>"),
        ("<Thing at 0x7f3ab2>", "<Thing at <hex>>"),
        ("commit 3f2a91c deadbeef1", "commit <hex> <hex>"),
        ("open /var/lib/x.csv and ~/a/b failed", "open <path> and <path> failed"),
        ("open C:\\data\\x.csv", "open <path>"),
        ("key 'a b' is not in \"c\" or `d`", "key <quoted> is not in <quoted> or <quoted>"),
        ("don't facade and/or deadline", "don't facade and/or deadline"),
        ("nothing varies here", "nothing varies here"),
        ("", ""),
    ],
)
def test_a_template_names_the_kind_of_what_varies(message: str, expected: str):
    assert template(message) == expected


@pytest.mark.parametrize(
    "part", ["a", "1", "a.b@", "0:", "'", '"', "/a", "1.1.1.", "a-", "a+://", "::", "-", "é", " 1"]
)
def test_no_message_takes_long_to_normalise(part: str):
    started = time.perf_counter()
    for _ in range(20):
        template(part * 100_000)

    assert time.perf_counter() - started < 2


def test_lines_that_differ_in_nothing_but_values_are_one_where_the_first_was():
    records = [
        record("start"),
        *(record(f"row {number} ok", sequence=number) for number in range(1_000)),
        record("end"),
    ]

    lines = collapse(records)

    assert [(line.template, line.count) for line in lines] == [("start", 1), ("row <number> ok", 1_000), ("end", 1)]
    assert (lines[1].first.message, lines[1].last.message) == ("row 0 ok", "row 999 ok")


def test_a_line_that_came_once_keeps_its_values():
    assert [line.template for line in collapse([record("row 7 ok"), record("col 7 ok")])] == ["row 7 ok", "col 7 ok"]


def test_the_same_words_at_another_level_or_from_another_logger_are_another_line():
    records = [record("row 1"), record("row 2", "error"), record("row 3", logger="stdout"), record("row 4")]

    assert [line.count for line in collapse(records)] == [2, 1, 1]


def test_a_summary_has_the_first_error_and_what_led_to_it():
    records = [record(f"step {number}", sequence=number) for number in range(10)]
    records[6] = record("first", "error", sequence=6)
    records[8] = record("second", "error", sequence=8)

    summary = summarise(records, preceding=2)

    assert summary.first_error == records[6]
    assert summary.preceding == records[4:6]
    assert summary.counts == {"trace": 0, "debug": 0, "info": 8, "warn": 0, "error": 2}


def test_an_error_at_the_very_start_has_nothing_before_it():
    assert summarise([record("bad", "error"), record("later")]).preceding == []


def test_a_log_without_errors_has_no_first_error():
    summary = summarise([record("fine"), record("careful", "warn")])

    assert (summary.first_error, summary.preceding, summary.repeated) == (None, [], [])


def test_what_came_most_often_is_named_first():
    records = [record("rare 1"), *[record("tick 5")] * 3, *[record("tock 5")] * 9, record("rare 2"), record("once")]

    summary = summarise(records, repeated=2)

    assert [(line.template, line.count) for line in summary.repeated] == [("tock <number>", 9), ("tick <number>", 3)]


def test_an_empty_log_has_an_empty_summary():
    summary = summarise(list[LogRecord]())

    assert (set(summary.counts.values()), summary.first_error, summary.repeated) == ({0}, None, [])
