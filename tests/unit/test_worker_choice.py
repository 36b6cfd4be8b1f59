"""Which worker takes an attempt."""

from actors.task_runner.workers import Workers, stood_still


def test_a_worker_that_ran_the_version_lately_is_preferred_over_an_emptier_one():
    workers = Workers()
    workers.register("worker:1", "a", pid=1, slots=4, now=0.0).assign("x", 1, "v1")
    workers.register("worker:2", "b", pid=2, slots=4, now=0.0)
    chosen = workers.choose("v1", now=0.0)
    assert chosen is not None
    assert chosen.name == "worker:1"
    other = workers.choose("v2", now=0.0)
    assert other is not None
    assert other.name == "worker:2"


def test_full_draining_and_unavailable_workers_get_nothing():
    workers = Workers()
    workers.register("worker:1", "a", pid=1, slots=1, now=0.0).assign("x", 1, "v")
    workers.register("worker:2", "b", pid=2, slots=0, now=0.0)
    workers.register("worker:3", "c", pid=3, slots=2, now=0.0).unavailable_until = 10.0
    assert workers.choose("v", now=9.0) is None
    chosen = workers.choose("v", now=10.0)
    assert chosen is not None
    assert chosen.name == "worker:3"


def test_a_nodes_worker_gets_only_versions_that_its_node_has():
    workers = Workers(lambda node, version: (node, version) == ("gpu", "v1"))
    workers.register("worker:gpu.1", "a", pid=1, slots=2, now=0.0)
    chosen = workers.choose("v1", now=0.0)
    assert chosen is not None
    assert chosen.name == "worker:gpu.1"
    assert workers.choose("v2", now=0.0) is None
    assert (workers.slots_for("v1"), workers.slots_for("v2"), workers.local_slots) == (2, 0, 0)
    workers.register("worker:1", "b", pid=2, slots=1, now=0.0)
    local = workers.choose("v2", now=0.0)
    assert local is not None
    assert local.name == "worker:1"


def test_task_files_are_described_on_this_machine_also_by_a_worker_without_slots():
    workers = Workers()
    workers.register("worker:gpu.1", "a", pid=1, slots=2, now=0.0)
    assert workers.describer(now=0.0) is None
    workers.register("worker:1", "b", pid=2, slots=0, now=0.0)
    describer = workers.describer(now=0.0)
    assert describer is not None
    assert describer.name == "worker:1"
    workers.register("worker:1", "b", pid=2, slots=0, now=0.0, describes=False)
    assert workers.describer(now=0.0) is None


def test_only_the_holder_of_the_fence_is_released():
    worker = Workers().register("worker:1", "a", pid=1, slots=1, now=0.0)
    worker.assign("x", 2, "v")
    worker.release("x", 1)
    assert worker.free == 0
    worker.release("x", 2)
    assert worker.free == 1


def test_a_new_incarnation_starts_empty_and_the_old_ones_end_does_not_remove_it():
    workers = Workers()
    workers.register("worker:1", "old", pid=1, slots=1, now=0.0).assign("x", 1, "v")
    assert workers.register("worker:1", "new", pid=2, slots=1, now=0.0).free == 1
    workers.remove("worker:1", "old")
    assert workers["worker:1"].incarnation == "new"


def test_the_slot_of_an_attempt_that_waits_for_another_is_free_until_it_goes_on():
    workers = Workers()
    worker = workers.register("worker:1", "a", pid=1, slots=1, now=0.0)
    worker.assign("parent", 1, "v")
    assert workers.choose("v", now=0.0) is None
    workers.waiting.add("parent")
    assert workers.choose("v", now=0.0) is worker
    worker.assign("child", 1, "v")
    assert (worker.free, workers.busy) == (0, 1)
    workers.waiting.discard("parent")
    assert (worker.free, workers.busy) == (0, 2)
    worker.release("child", 1)
    assert (worker.free, workers.busy) == (0, 1)


def test_a_runner_that_stood_still_itself_knows_for_how_long_and_a_little_late_is_not_that():
    assert stood_still(1.2, planned_seconds=1.0) == 0.0
    assert stood_still(33.0, planned_seconds=1.0) == 32.0
