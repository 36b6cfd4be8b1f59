"""Whatever happens to an execution, in whatever order, its life keeps its promises."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ratchet.lifecycle import (
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
from ratchet.models import Category, Failure, RetryPolicy, Status
from ratchet.next_attempt import DEATHS_MAX, NOT_DELIVERED, Past, is_death

# What attempts end with; an execution is called poison, no attempt is.
CATEGORIES = [one for one in Category if one is not Category.POISON]
FAILURES = st.builds(
    Failure,
    category=st.sampled_from(CATEGORIES),
    type=st.sampled_from(["SomeError", NOT_DELIVERED]),
    message=st.just("it failed"),
    retryable=st.sampled_from([None, True, False]),
    retry_after_seconds=st.none() | st.floats(min_value=0, max_value=10**6),
)
DEATHS = st.builds(
    Failure,
    category=st.sampled_from([Category.CRASHED, Category.WORKER_LOST]),
    type=st.just("Died"),
    message=st.just("it died"),
)
POLICIES = st.builds(
    RetryPolicy,
    max_attempts=st.integers(min_value=1, max_value=5),
    waits_seconds=st.lists(st.floats(min_value=0, max_value=100), min_size=1, max_size=4),
    jitter=st.floats(min_value=0, max_value=1),
    timeouts=st.booleans(),
)
LEFT = st.none() | st.floats(min_value=-1, max_value=1000)
CHANCES = st.floats(min_value=0, max_value=1)
DAY_SECONDS = 86_400
FENCES = st.integers(min_value=0, max_value=5)
KEYS = st.sampled_from(["first", "second", "third"])
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.just(Placed()),
    st.builds(Undelivered, fence=FENCES),
    st.builds(Ended, fence=FENCES, failure=st.none() | FAILURES, left_seconds=LEFT, chance=CHANCES),
    st.builds(Unrunnable, failure=FAILURES),
    st.just(CancelRequested()),
    st.builds(Asked, fence=FENCES, key=KEYS),
    st.builds(Settled, fence=FENCES, key=KEYS),
)


class ExecutionLife(RuleBasedStateMachine):
    """Drives one execution through true and stale events and keeps the books that the runner must be able to keep.

    Beside the lifecycle it has what surrounds it: the lease of the one worker that has the current attempt, the books
    of what ended, and at any moment another runner that takes over with nothing but those.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.finishes: list[Finish] = []
        self.ordered: list[int] = []
        self.ended: list[tuple[int, Failure]] = []  # what the store has of attempts that are over
        self.leased: int | None = None  # the fence that a worker holds

    @rule(idempotent=st.booleans(), retry=st.none() | POLICIES)
    @precondition(lambda self: not self.ordered and not self.finishes)
    def declare(self, idempotent: bool, retry: RetryPolicy | None) -> None:
        self.state = State(idempotent=idempotent, retry=retry, cancel_requested=self.state.cancel_requested)

    @rule(event=EVENTS)
    def anything(self, event: Event) -> None:
        self.take(event)

    @rule()
    def a_worker_has_a_slot(self) -> None:
        self.take(Placed())

    @rule(failure=st.none() | FAILURES, left=LEFT, chance=CHANCES)
    def the_current_attempt_ends(self, failure: Failure | None, left: float | None, chance: float) -> None:
        self.take(Ended(self.state.fence, failure, left, chance))

    @rule(failure=DEATHS)
    def its_process_dies(self, failure: Failure) -> None:
        self.take(Ended(self.state.fence, failure))

    @rule()
    @precondition(lambda self: self.leased is not None)
    def the_lease_of_its_worker_runs_out(self) -> None:
        silent = Failure(category=Category.WORKER_LOST, type="LeaseExpired", message="not heard of")
        self.take(Ended(self.state.fence, silent))
        assert self.leased is None

    @rule(failure=st.none() | FAILURES)
    @precondition(lambda self: self.state.fence > 1)
    def the_end_of_an_attempt_that_was_given_up_comes_late(self, failure: Failure | None) -> None:
        before = self.state
        self.take(Ended(self.state.fence - 1, failure))
        assert self.state == before

    @rule()
    def the_current_order_does_not_arrive(self) -> None:
        self.take(Undelivered(self.state.fence))

    @rule(key=KEYS)
    def its_task_asks_the_caller(self, key: str) -> None:
        self.take(Asked(self.state.fence, key))

    @rule(key=KEYS)
    def the_caller_answers(self, key: str) -> None:
        self.take(Settled(self.state.fence, key))

    @rule()
    def its_time_is_up_while_it_waits(self) -> None:
        waits = self.state.status is Status.QUEUED
        self.take(Unrunnable(Failure(category=Category.TIMEOUT, type="Timeout", message="its time was up")))
        assert not waits or self.state.status is Status.FAILED

    @rule()
    def another_runner_takes_over(self) -> None:
        """It knows what is in the store, and decides as the one before it would have."""
        past = Past()
        for fence, failure in self.ended:
            past = past.after(fence, failure)
        assert self.state.status.terminal or past == self.state.past

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
                self.leased = None
                assert self.state.status is effect.status
                assert effect.status.terminal
                self.check_end(before, event, effect)
            case Order(fence=fence):
                assert fence == before.fence + 1
                assert self.leased is None, "no two workers have it"
                self.ordered.append(fence)
                self.leased = fence
            case Requeue(fence=fence):
                assert fence == before.fence
                assert self.state.status is Status.QUEUED
                self.leased = None
                self.check_requeue(before, event, effect)
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

    def check_requeue(self, before: State, event: Event, effect: Requeue) -> None:
        """Another attempt follows only where it may, and in time."""
        assert not before.cancel_requested
        if effect.failure is None:
            assert isinstance(event, Undelivered)
            return
        assert isinstance(event, Ended)
        self.ended.append((effect.fence, effect.failure))
        failure, retry = effect.failure, before.retry
        assert before.idempotent or failure.category in (Category.EXCEPTION, Category.LIMIT)
        assert 0 <= effect.delay_seconds <= DAY_SECONDS
        assert event.left_seconds is None or effect.delay_seconds < event.left_seconds
        if failure.category not in (Category.WORKER_LOST, Category.SHUTDOWN):
            assert retry is not None
            assert self.state.past.failures < retry.max_attempts or is_death(failure)
            if failure.retry_after_seconds is None:
                longest = max(retry.waits_seconds)
                assert min(retry.waits_seconds) * (1 - retry.jitter) <= effect.delay_seconds <= longest
        if failure.category is Category.EXCEPTION:
            assert failure.retryable

    def check_end(self, before: State, event: Event, effect: Finish) -> None:
        """What it ends with is what ended it, or the report of what its attempts killed."""
        if not isinstance(event, Ended) or event.failure is None:
            return
        assert effect.failure is not None
        if effect.failure.category is Category.POISON:
            assert before.idempotent
            assert is_death(event.failure)
            assert len(effect.failure.details["deaths"]) == len(self.state.past.deaths) == DEATHS_MAX
        else:
            assert effect.failure.model_copy(update={"gave_up": None}) == event.failure
            assert effect.failure.gave_up is None or before.retry is not None

    @invariant()
    def it_ends_at_most_once(self) -> None:
        assert len(self.finishes) <= 1
        assert self.state.status.terminal == bool(self.finishes)

    @invariant()
    def no_fence_is_ordered_twice(self) -> None:
        assert self.ordered == sorted(set(self.ordered))
        assert self.state.fence == (self.ordered[-1] if self.ordered else 0)

    @invariant()
    def a_worker_holds_it_exactly_while_it_is_active(self) -> None:
        assert self.state.status.active == (self.leased is not None)
        assert self.leased in (None, self.state.fence)

    @invariant()
    def it_requires_input_exactly_while_something_is_asked(self) -> None:
        assert (self.state.status is Status.INPUT_REQUIRED) == bool(self.state.asks)

    @invariant()
    def it_gives_up_after_enough_deaths(self) -> None:
        deaths = self.state.past.deaths
        assert len(deaths) <= DEATHS_MAX
        assert len({one.attempt for one in deaths}) == len(deaths)
        if len(deaths) == DEATHS_MAX:
            assert self.state.status is Status.FAILED

    @invariant()
    def it_fails_as_often_as_it_may_and_no_more(self) -> None:
        allowed = self.state.retry.max_attempts if self.state.retry is not None else 1
        assert self.state.past.failures <= allowed


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
