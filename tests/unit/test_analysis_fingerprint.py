"""What "failed in the same way" means."""

import re
from pathlib import Path

from ratchet.analysis import fingerprint
from ratchet.models import Category, ProcessEnd
from tests.unit.failing import TaskFile, raised

SOURCE = """
def find(orders, order):
    return orders[order]

def f(order):
    return find({}, order)

def deep(left):
    if left == 0:
        raise ValueError("too deep")
    return deep(left - 1)

def other(order):
    return {}[order]
"""


def died(signal: int | None = None, exit_code: int | None = None, pid: int = 7):
    end = ProcessEnd(process="child", pid=pid, signal=signal, exit_code=exit_code)
    return raised(f"pid {pid} died", "ProcessDied", Category.CRASHED, process=end)


def test_a_fingerprint_says_its_version():
    assert re.fullmatch(r"v1:[0-9a-f]{16}", fingerprint(raised("bad")))


def test_the_same_bug_with_another_id_is_the_same(tmp_path: Path):
    file = TaskFile(tmp_path, SOURCE)

    assert fingerprint(file.failure("f", order="A-1")) == fingerprint(file.failure("f", order="B-22"))


def test_another_line_is_another_bug(tmp_path: Path):
    file = TaskFile(tmp_path, SOURCE)

    assert fingerprint(file.failure("f", order="A-1")) != fingerprint(file.failure("other", order="A-1"))


def test_code_that_only_moved_is_the_same_bug(tmp_path: Path):
    before = TaskFile(tmp_path, SOURCE).failure("f", order="A-1")
    after = TaskFile(tmp_path, "# a new comment\n\n\n" + SOURCE).failure("f", order="A-1")

    assert fingerprint(before) == fingerprint(after)


def test_the_folder_of_the_project_does_not_matter(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (TaskFile(tmp_path / name, SOURCE).failure("f", order="A-1") for name in "ab")

    assert fingerprint(first) == fingerprint(second)


def test_recursion_counts_once_however_deep_it_went(tmp_path: Path):
    file = TaskFile(tmp_path, SOURCE)

    assert fingerprint(file.failure("deep", left=3)) == fingerprint(file.failure("deep", left=200))


def test_without_frames_the_message_decides_without_its_variable_parts():
    assert fingerprint(raised("order 17 of 'ada' is gone")) == fingerprint(raised("order 4711 of 'grace' is gone"))
    assert fingerprint(raised("order 17 is gone")) != fingerprint(raised("order 17 is late"))


def test_a_death_is_told_by_its_signal_or_exit_code():
    assert fingerprint(died(signal=9, pid=1)) == fingerprint(died(signal=9, pid=2))
    assert len({fingerprint(one) for one in (died(signal=9), died(signal=11), died(exit_code=9))}) == 3


def test_where_a_task_was_when_its_time_was_up_is_chance(tmp_path: Path):
    file = TaskFile(tmp_path, SOURCE)
    stopped = [file.failure(name, order="A-1") for name in ("f", "other")]

    marks = {fingerprint(one.model_copy(update={"category": Category.TIMEOUT})) for one in stopped}

    assert len(marks) == 1
