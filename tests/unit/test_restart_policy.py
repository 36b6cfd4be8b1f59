"""How soon an actor is started again, and when the supervisor gives up."""

import pytest

from ratchet.supervision.restart import DELAY_SECONDS_MAX, DELAY_SECONDS_MIN, RestartHistory, RestartPolicy
from ratchet.supervision.spec import Restart
from ratchet.supervision.states import (
    Child,
    Drain,
    Due,
    Effect,
    Event,
    Exited,
    KillNow,
    Ready,
    Start,
    StartFailed,
    State,
    step,
)

POLICY = RestartPolicy(intensity=10, period_seconds=60, start_seconds=5)


def longest() -> float:
    return 1.0


def walk(child: Child, *events: tuple[float, Event], policy: RestartPolicy = POLICY) -> tuple[Child, list[Effect]]:
    """The child after these events, each at its time, and every effect on the way."""
    effects: list[Effect] = []
    for now, event in events:
        child, new = step(child, event, policy=policy, now=now, random=longest)
        effects += new
    return child, effects


def crash() -> Exited:
    return Exited(abnormal=True, cause="SIGKILL")


def test_the_first_restart_after_a_stable_time_comes_within_the_shortest_delay() -> None:
    child, _ = walk(Child(Restart.PERMANENT), (0, Start()), (1, Ready()), (12, crash()))
    assert child.state is State.BACKOFF
    assert child.due == pytest.approx(12 + DELAY_SECONDS_MIN)


def test_delays_grow_up_to_their_limit_as_the_intensity_is_used_up() -> None:
    delays = [POLICY.crash_delay(crashes, longest) for crashes in range(1, 13)]
    assert delays[0] == pytest.approx(DELAY_SECONDS_MIN)
    assert delays == sorted(delays)
    assert delays[10] == pytest.approx(DELAY_SECONDS_MAX)
    assert delays[11] == pytest.approx(DELAY_SECONDS_MAX)


def test_who_bears_many_restarts_gets_them_soon() -> None:
    tolerant = RestartPolicy(intensity=1000, period_seconds=60)
    assert tolerant.crash_delay(20, longest) < 0.3


def test_jitter_spreads_over_the_whole_delay() -> None:
    assert POLICY.crash_delay(5, lambda: 0.0) == 0
    assert POLICY.start_delay(5, lambda: 0.5) == pytest.approx(POLICY.start_delay(5, longest) / 2)


def test_a_stable_time_makes_crashes_forgotten() -> None:
    child = Child(Restart.PERMANENT)
    child, _ = walk(child, (0, Start()), (0, Ready()), (1, crash()), (3, Due()), (3, Ready()), (4, crash()))
    assert child.crashes == 2
    child, _ = walk(child, (9, Due()), (9, Ready()), (19, crash()))
    assert child.crashes == 1


def test_one_more_restart_than_the_intensity_within_the_period_is_too_many() -> None:
    history = RestartHistory()
    for second in range(10):
        history.add(second)
    assert not POLICY.exceeded(history, now=10)
    history.add(10)
    assert POLICY.exceeded(history, now=10)
    assert not POLICY.exceeded(history, now=60.5), "restarts older than the period do not count"


def test_a_failed_start_is_no_crash_and_is_given_up_after_three_where_nothing_ever_ran() -> None:
    child, effects = Child(Restart.PERMANENT), list[Effect]()
    now = 0.0
    child, _ = walk(child, (now, Start()))
    while child.state is not State.FAILED:
        child, new = walk(child, (now, StartFailed({"code": "x", "message": "no disk"})), (now, crash()))
        effects += new
        if child.due is not None:
            now = child.due
            child, new = walk(child, (now, Due()))
            effects += new
    assert effects.count(Effect.FORK) == 2
    assert effects[-1] is Effect.GIVE_UP
    assert Effect.COUNT_RESTART not in effects
    assert child.reason == "no disk"


def test_an_actor_that_ran_before_gets_more_tries() -> None:
    child, _ = walk(Child(Restart.PERMANENT), (0, Start()), (0, Ready()), (1, crash()))
    tries, now = 0, 100.0
    while child.state is not State.FAILED:
        child, _ = walk(child, (now, Due()), (now, crash()))
        tries += 1
        now += 100
    assert tries == 10


def test_an_actor_that_never_gets_ready_is_killed_and_counts_as_a_failed_start() -> None:
    child, effects = walk(Child(Restart.PERMANENT), (0, Start()), (5, Due()))
    assert effects == [Effect.FORK, Effect.KILL]
    child, _ = walk(child, (5.1, crash()))
    assert child.state is State.BACKOFF
    assert "not ready after 5 seconds" in child.reason


def test_a_transient_actor_is_restarted_only_after_an_abnormal_end() -> None:
    start = [(0.0, Start()), (0.0, Ready())]
    done, _ = walk(Child(Restart.TRANSIENT), *start, (1, Exited(abnormal=False, cause="exit code 0")))
    assert done.state is State.STOPPED
    again, _ = walk(Child(Restart.TRANSIENT), *start, (1, crash()))
    assert again.state is State.BACKOFF


def test_a_permanent_actor_is_restarted_after_any_end_and_a_temporary_one_after_none() -> None:
    start = [(0.0, Start()), (0.0, Ready())]
    again, _ = walk(Child(Restart.PERMANENT), *start, (1, Exited(abnormal=False, cause="exit code 0")))
    assert again.state is State.BACKOFF
    done, effects = walk(Child(Restart.TEMPORARY), *start, (1, crash()))
    assert done.state is State.STOPPED
    assert Effect.COUNT_RESTART not in effects


def test_draining_ends_in_a_kill_when_the_grace_is_over() -> None:
    child, effects = walk(Child(Restart.PERMANENT), (0, Start()), (0, Ready()), (1, Drain(3)), (2, Due()))
    assert child.state is State.DRAINING, "it is not due yet"
    child, more = walk(child, (4, Due()))
    assert child.state is State.KILLING
    assert [*effects, *more] == [Effect.FORK, Effect.ASK_TO_DRAIN, Effect.KILL]
    child, _ = walk(child, (4, crash()))
    assert child.state is State.STOPPED


def test_a_drained_actor_is_not_restarted_and_one_in_backoff_neither() -> None:
    child, _ = walk(Child(Restart.PERMANENT), (0, Start()), (0, Ready()), (1, crash()), (1, Drain(3)))
    assert child.state is State.STOPPED
    child, effects = walk(child, (99, Due()), (99, KillNow()))
    assert child.state is State.STOPPED
    assert effects == []
