"""Ids of executions."""

from ratchet.execution_ids import new_execution_id


def test_ids_differ_and_sort_by_the_time_they_were_made():
    ids = [new_execution_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [one[:17] for one in ids] == sorted(one[:17] for one in ids)
    assert all(one.startswith("exec_") and len(one) == 37 for one in ids)
