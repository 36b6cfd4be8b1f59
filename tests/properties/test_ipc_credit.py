"""The credit of a stream: whatever the sizes and the pace, bounded, in order, and never at a standstill."""

import random
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ipc.credit import ITEM_BYTES_MAX, WINDOW_BYTES, WINDOW_ITEMS, ReceiveCredit, SendCredit
from ipc.errors import MalformedError

SIZES = st.one_of(
    st.integers(0, 100), st.integers(1, WINDOW_BYTES), st.just(WINDOW_BYTES), st.integers(1, ITEM_BYTES_MAX)
)


class TwoSides(RuleBasedStateMachine):
    """A callee, a caller, and a way between them on which credit is late, lost, and comes twice."""

    def __init__(self) -> None:
        super().__init__()
        self.callee, self.caller = SendCredit(), ReceiveCredit()
        self.on_the_way: deque[tuple[int, int]] = deque()
        self.buffer: deque[int] = deque()
        self.credit: list[int] = []

    @precondition(lambda self: self.callee.open)
    @rule(size=SIZES)
    def send(self, size: int) -> None:
        self.on_the_way.append((self.callee.spend(size), size))

    @precondition(lambda self: self.on_the_way)
    @rule()
    def arrive(self) -> None:
        number, size = self.on_the_way.popleft()
        self.caller.receive(number, size)  # whatever was sent with credit may arrive
        self.buffer.append(size)

    @precondition(lambda self: self.buffer)
    @rule()
    def take(self) -> None:
        if self.caller.take(self.buffer.popleft()):
            self.credit.append(self.caller.taken)

    @rule()
    def say_it_again(self) -> None:
        self.credit.append(self.caller.give_back())

    @precondition(lambda self: self.credit)
    @rule(chance=st.randoms(use_true_random=False), lost=st.booleans(), twice=st.booleans())
    def credit_comes(self, chance: random.Random, lost: bool, twice: bool) -> None:
        taken = self.credit.pop(chance.randrange(len(self.credit)))
        for _ in range(0 if lost else 1 + twice):
            self.callee.give(taken)

    @invariant()
    def what_is_outstanding_is_bounded(self) -> None:
        waiting = [*self.buffer, *(size for _, size in self.on_the_way)]
        assert len(waiting) <= WINDOW_ITEMS
        assert sum(waiting[:-1]) < WINDOW_BYTES
        assert sum(waiting) <= self.callee.bytes_outstanding
        assert 0 <= self.callee.bytes_outstanding < WINDOW_BYTES + ITEM_BYTES_MAX


TestTwoSides = TwoSides.TestCase
TestTwoSides.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)


@given(st.lists(SIZES, max_size=300), st.integers(1, WINDOW_ITEMS))
@settings(max_examples=100, deadline=None)
def test_a_reader_that_took_everything_leaves_room_for_the_next_item(sizes: list[int], window: int) -> None:
    callee, caller = SendCredit(window), ReceiveCredit(window)
    for size in sizes:
        assert callee.open
        caller.receive(callee.spend(size), size)
        if caller.take(size):
            callee.give(caller.taken)


def test_credit_goes_back_at_half_a_window() -> None:
    callee, caller = SendCredit(), ReceiveCredit()
    for _ in range(WINDOW_ITEMS):
        caller.receive(callee.spend(10), 10)
    assert not callee.open
    assert [caller.take(10) for _ in range(WINDOW_ITEMS)] == ([False] * 31 + [True]) * 2
    large = ReceiveCredit()
    for number in range(1, 5):
        large.receive(number, WINDOW_BYTES // 4)
    assert [large.take(WINDOW_BYTES // 4) for _ in range(4)] == [False, True, False, True]


def test_what_comes_out_of_order_without_credit_or_for_nothing_is_refused() -> None:
    caller = ReceiveCredit()
    caller.receive(1, WINDOW_BYTES)
    with pytest.raises(MalformedError, match="item 3 of a stream came where 2 was due"):
        caller.receive(3, 1)
    with pytest.raises(MalformedError, match="without credit"):
        caller.receive(2, 1)
    callee = SendCredit()
    callee.spend(1)
    with pytest.raises(MalformedError, match="credit for 2 items of a stream of 1"):
        callee.give(2)
