"""Attempts that are still to be proven or noted."""

from actors.task_runner.attempt_table import AttemptTable
from ratchet.models import Attempt


def _attempt(fence: int) -> Attempt:
    return Attempt(number=fence, fence=fence, worker="worker:1", worker_incarnation="1", started_ns=fence)


def test_attempts_of_one_execution_are_apart_and_it_is_there_until_the_last_is_gone() -> None:
    table = AttemptTable()
    table.put("a", _attempt(1))
    table.put("a", _attempt(2))
    table.put("b", _attempt(1))

    assert dict(table.of("a")) == {1: _attempt(1), 2: _attempt(2)}
    assert table.pop("a", 1) == _attempt(1)
    assert table.pop("a", 1) is None
    assert "a" in table
    assert table.pop("a", 2) == _attempt(2)
    assert "a" not in table
    assert not table.of("a")
    assert len(table) == 1
    assert table.all() == [("b", _attempt(1))]
    table.pop("b", 1)
    assert not table
