"""Whatever happens to an execution, in whatever order, its life keeps its promises."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ratchet.lifecycle import (
    LOSSES_MAX,
    Asked,
    CancelRequested,
    Effect,
    Ended,
    Event,
    Finish,
    Order,
    Placed,
    Refuse,
    Requeue,
    Resume,
    Settled,
    State,
    Stop,
    Suspend,
    Undelivered,
    Unrunnable,
    step,
)
from ratchet.models import Category, Failure, Status

FAILURES = st.builds(
    Failure, category=st.sampled_from(list(Category)), type=st.just("SomeError"), message=st.just("it failed")
)
FENCES = st.integers(min_value=0, max_value=5)
KEYS = st.sampled_from(["first", "second", "third"])
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.just(Placed()),
    st.builds(Undelivered, fence=FENCES),
    st.builds(Ended, fence=FENCES, failure=st.none() | FAILURES),
    st.builds(Unrunnable, failure=FAILURES),
    st.just(CancelRequested()),
    st.builds(Asked, fence=FENCES, key=KEYS),
    st.builds(Settled, fence=FENCES, key=KEYS),
)


class ExecutionLife(RuleBasedStateMachine):
    """Drives one execution through true and stale events and keeps the books that the runner must be able to keep."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.finishes: list[Finish] = []
        self.ordered: list[int] = []
        self.lost = 0

    @rule(idempotent=st.booleans())
    @precondition(lambda self: not self.ordered and not self.finishes)
    def declare(self, idempotent: bool) -> None:
        self.state = State(idempotent=idempotent, cancel_requested=self.state.cancel_requested)

    @rule(event=EVENTS)
    def anything(self, event: Event) -> None:
        self.take(event)

    @rule(failure=st.none() | FAILURES)
    def the_current_attempt_ends(self, failure: Failure | None) -> None:
        self.take(Ended(self.state.fence, failure))

    @rule()
    def the_current_order_does_not_arrive(self) -> None:
        self.take(Undelivered(self.state.fence))

    @rule(key=KEYS)
    def its_task_asks_the_caller(self, key: str) -> None:
        self.take(Asked(self.state.fence, key))

    @rule(key=KEYS)
    def the_caller_answers(self, key: str) -> None:
        self.take(Settled(self.state.fence, key))

    def take(self, event: Event) -> None:
        before = self.state
        self.state, effect = step(before, event)
        self.check(before, event, effect)

    def check(self, before: State, event: Event, effect: Effect) -> None:
        match effect:
            case Refuse():
                assert self.state == before
            case Finish():
                self.finishes.append(effect)
                assert self.state.status is effect.status
                assert effect.status.terminal
            case Order(fence=fence):
                assert fence == before.fence + 1
                self.ordered.append(fence)
            case Requeue(fence=fence):
                assert fence == before.fence
                assert self.state.status is Status.QUEUED
                if effect.failure is not None:
                    assert before.idempotent
            case Stop(fence=fence):
                assert fence == before.fence
                assert before.status.active
            case Suspend(fence=fence, key=key):
                assert fence == before.fence
                assert key not in before.asks
                assert before.status.active
            case Resume(fence=fence, key=key):
                assert fence == before.fence
                assert key in before.asks
        if isinstance(event, Ended | Undelivered | Asked | Settled) and event.fence != before.fence:
            assert isinstance(effect, Refuse)

    @invariant()
    def it_ends_at_most_once(self) -> None:
        assert len(self.finishes) <= 1
        assert self.state.status.terminal == bool(self.finishes)

    @invariant()
    def no_fence_is_ordered_twice(self) -> None:
        assert self.ordered == sorted(set(self.ordered))
        assert self.state.fence == (self.ordered[-1] if self.ordered else 0)

    @invariant()
    def it_requires_input_exactly_while_something_is_asked(self) -> None:
        assert (self.state.status is Status.INPUT_REQUIRED) == bool(self.state.asks)

    @invariant()
    def it_gives_up_after_enough_losses(self) -> None:
        assert self.state.losses <= LOSSES_MAX
        if self.state.losses == LOSSES_MAX:
            assert self.state.status is Status.FAILED


TestExecutionLife = ExecutionLife.TestCase


@given(failure=FAILURES)
def test_a_lost_attempt_of_a_task_that_is_not_idempotent_never_runs_again(failure: Failure):
    running, _ = step(State(idempotent=False), Placed())
    ended, effect = step(running, Ended(running.fence, failure))
    assert ended.status is Status.FAILED
    assert effect == Finish(Status.FAILED, failure)


@given(failure=FAILURES)
def test_a_cancelled_execution_is_cancelled_only_if_the_cancel_is_what_ended_it(failure: Failure):
    running, _ = step(State(), Placed())
    asked, _ = step(running, CancelRequested())
    ended, _ = step(asked, Ended(asked.fence, failure))
    stopped = failure.category in (Category.CANCELLED, Category.WORKER_LOST, Category.SHUTDOWN)
    assert ended.status is (Status.CANCELLED if stopped else Status.FAILED)


def test_an_execution_that_completes_although_a_cancel_was_requested_is_completed():
    running, _ = step(State(), Placed())
    asked, effect = step(running, CancelRequested())
    assert effect == Stop(1)
    assert step(asked, Ended(1, None))[0].status is Status.COMPLETED
