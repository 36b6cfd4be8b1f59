"""The queue: priority first, then age, and nothing twice."""

from hypothesis import given
from hypothesis import strategies as st

from actors.task_runner.queue import ReadyQueue


def test_the_highest_priority_goes_first_and_the_oldest_within_one():
    queue = ReadyQueue()
    queue.push("old", priority=0, created_ns=1)
    queue.push("urgent", priority=5, created_ns=3)
    queue.push("young", priority=0, created_ns=2)
    assert list(queue) == ["urgent", "old", "young"]
    assert [queue.pop() for _ in range(4)] == ["urgent", "old", "young", None]


def test_what_is_discarded_is_not_popped():
    queue = ReadyQueue()
    queue.push("gone", priority=9, created_ns=1)
    queue.push("stays", priority=0, created_ns=2)
    queue.discard("gone")
    assert len(queue) == 1
    assert queue.pop() == "stays"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100)), max_size=40))
def test_everything_that_was_pushed_is_popped_once_in_order(entries: list[tuple[int, int]]):
    queue = ReadyQueue()
    for number, (priority, created_ns) in enumerate(entries):
        queue.push(str(number), priority=priority, created_ns=created_ns)
        queue.push(str(number), priority=priority, created_ns=created_ns)
    popped = [queue.pop() for _ in entries]
    keys = [(-entries[int(one or "")][0], entries[int(one or "")][1]) for one in popped]
    assert keys == sorted(keys)
    assert queue.pop() is None


def test_what_a_task_called_comes_before_all_that_clients_wait_for_the_deepest_first():
    queue = ReadyQueue()
    queue.push("urgent", priority=9, created_ns=1)
    queue.push("child", priority=0, created_ns=2, depth=1)
    queue.push("grandchild", priority=0, created_ns=3, depth=2)
    assert list(queue) == ["grandchild", "child", "urgent"]
    assert [queue.pop() for _ in range(3)] == ["grandchild", "child", "urgent"]
