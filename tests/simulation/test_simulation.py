"""Whole Ratchets under seeded trouble, in virtual time. `make sim` plays many more, and longer ones."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ipc.errors import IpcError
from ratchet import messages, rpc
from ratchet.bodies.executions import CancelExecution, GetExecution, Submit
from ratchet.models import Category, Execution, Source, Status
from tests.simulation.check import leftovers, violations
from tests.simulation.play import play
from tests.simulation.tasks import PLAIN, TOUGH, TRIED
from tests.simulation.world import ACTORS, RUNNER, World

SHORT_STEPS = 6


@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_whatever_goes_wrong_each_execution_has_one_true_end(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 250):
        played = play(seed, tmp_path, steps=SHORT_STEPS)
        assert not played.violated, (
            f"make sim N=1 SEED={seed} ARGS='--steps {SHORT_STEPS} --verbose' replays:\n"
            + "\n".join([*played.violated, *played.trail])
        )


def test_a_seed_is_played_the_same_way_each_time(tmp_path: Path) -> None:
    digests = [play(seed, tmp_path, steps=SHORT_STEPS).digest for seed in (11, 12, 13)]
    assert [play(seed, tmp_path, steps=SHORT_STEPS).digest for seed in (11, 12, 13)] == digests


def _submission(key: str, *steps: list[object], idempotency_key: str | None = None) -> Submit:
    return Submit(
        execution_id=key,
        task_id=PLAIN,
        input={"steps": [["effect", 1], *steps]},
        source=Source(kind="cli"),
        idempotency_key=idempotency_key,
        wait_seconds=30,
    )


async def _submit(world: World, body: Submit) -> Execution:
    assert world.link is not None
    return await rpc.call(world.link, messages.SUBMIT, body, timeout_seconds=60)


async def _get(world: World, key: str) -> Execution:
    assert world.link is not None
    return await rpc.call(world.link, messages.GET_EXECUTION, GetExecution(execution_id=key), timeout_seconds=60)


def _tell(story: Callable[[World], Awaitable[None]], folder: Path) -> World:
    """Play one story in a world where nothing goes wrong but what it does, and check every invariant."""
    world = World(1, folder)

    async def begin() -> None:
        for name in ACTORS:
            world.start(name)
        await asyncio.sleep(1)
        await story(world)
        await asyncio.sleep(60)
        assert leftovers(world) == []

    world.loop.run(begin())
    assert violations(world) == []
    return world


def test_one_id_that_is_submitted_twice_at_once_is_one_execution(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.disk.slow.add("executions")
        body = _submission("e", idempotency_key="k")
        ends = await asyncio.gather(*(_submit(world, body) for _ in range(4)))
        assert {end.status for end in ends} == {Status.COMPLETED}

    assert _tell(story, tmp_path).truth.effects["e"] == 1


def test_an_execution_that_ended_is_never_seen_running_again_while_its_id_is_submitted_anew(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        body = _submission("e")
        await _submit(world, body)
        world.disk.slow.add("executions")
        again = asyncio.create_task(_submit(world, body))
        await asyncio.sleep(0.01)  # it is there, and about to be recorded
        for _ in range(20):
            assert (await _get(world, "e")).status is Status.COMPLETED
        assert (await again).status is Status.COMPLETED

    _tell(story, tmp_path)


def test_a_cancel_whose_caller_gives_up_while_it_is_recorded_is_known_as_soon_as_it_is_recorded(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        body = _submission("e", ["sleep", 20]).model_copy(update={"wait_seconds": 0})
        await _submit(world, body)
        world.truth.cancelled.add("e")
        world.disk.slow.add("executions")
        assert world.link is not None
        cancel = CancelExecution(execution_id="e", reason="asked")
        with pytest.raises(IpcError):
            await rpc.call(world.link, messages.CANCEL_EXECUTION, cancel, timeout_seconds=0.01)
        await asyncio.sleep(10)
        assert (await _get(world, "e")).status is Status.CANCELLED

    _tell(story, tmp_path)


def test_a_worker_that_says_who_it_is_while_it_takes_an_order_is_not_thought_to_lack_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.disk.slow.add("executions")
        submitted = [asyncio.create_task(_submit(world, _submission(f"e{number}"))) for number in range(4)]
        assert world.runner is not None
        for _ in range(400):  # over the commit, the order and the fork
            await asyncio.sleep(0.01)
            for worker in world.workers.values():
                worker._reregister()  # pyright: ignore[reportPrivateUsage] - as on any new session
        assert {(await one).status for one in submitted} == {Status.COMPLETED}

    assert set(_tell(story, tmp_path).truth.effects.values()) == {1}


def test_a_runner_that_dies_between_commit_and_order_loses_nothing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        submitted = asyncio.create_task(_submit(world, _submission("e")))
        await asyncio.sleep(0.004)
        world.kill(RUNNER)
        assert (await submitted).status is Status.COMPLETED

    assert _tell(story, tmp_path).truth.effects["e"] == 1


def test_an_attempt_that_waits_is_neither_forgotten_nor_hurried_by_a_runner_that_dies(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        body = _submission("e", ["flaky", 2]).model_copy(update={"task_id": TRIED})
        submitted = asyncio.create_task(_submit(world, body))
        for _ in range(2):
            await asyncio.sleep(0.8)  # it wants a second's pause after each attempt that fails
            world.kill(RUNNER)
        ended = await submitted
        assert (ended.status, [one.number for one in ended.attempts]) == (Status.COMPLETED, [1, 2, 3])

    assert _tell(story, tmp_path).truth.effects["e"] == 3


def test_what_kills_one_process_after_the_other_is_poison(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        body = _submission("e", ["exit", 3]).model_copy(update={"task_id": TOUGH})
        ended = await _submit(world, body)
        assert ended.failure is not None
        assert ended.failure.category is Category.POISON

    assert _tell(story, tmp_path).truth.effects["e"] == 3
