"""Whatever happens to an actor, in whatever order: one process at most, none after the end, and never a dead end."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from ratchet.supervision.restart import DELAY_SECONDS_MAX, RestartPolicy
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
    Replace,
    Start,
    StartFailed,
    State,
    step,
)

POLICY = RestartPolicy(intensity=5, period_seconds=60, start_seconds=5)
STEADY = (State.RUNNING, State.STOPPED, State.FAILED, State.KILLING)
KILLED = (State.STARTING, State.REPLACING)  # where it may be and wait for the exit


class SupervisedChild(RuleBasedStateMachine):
    """A model of the shell: it has a process where it was told to fork, until that process ends."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.alive = False
        self.killed = False
        self.forks = 0
        self.ending = False
        self.draw = 0.0
        self.child = Child(Restart.PERMANENT)

    def tell(self, event: Event) -> None:
        before = self.child
        self.child, effects = step(self.child, event, policy=POLICY, now=self.now, random=lambda: self.draw)
        for effect in effects:
            match effect:
                case Effect.FORK:
                    assert not self.alive, "a second process of the same actor"
                    assert not self.ending, "a process for an actor that shall end"
                    self.alive, self.killed = True, False
                    self.forks += 1
                case Effect.ASK_TO_DRAIN:
                    assert self.alive
                case Effect.KILL:
                    assert self.alive
                    self.killed = True
                case Effect.COUNT_RESTART:
                    assert before.state is State.RUNNING, "only the end of a running actor is a crash"
                case Effect.GIVE_UP:
                    assert self.child.error is not None, "giving up needs a reason"

    @initialize(restart=st.sampled_from(Restart))
    def want(self, restart: Restart) -> None:
        self.child = Child(restart)
        self.tell(Start())

    @rule(seconds=st.floats(0.01, 40), draw=st.floats(0, 0.999))
    def time_passes(self, seconds: float, draw: float) -> None:
        self.draw = draw
        self.now += seconds
        if self.child.due is not None and self.child.due <= self.now:
            self.tell(Due())

    @precondition(lambda self: self.alive)
    @rule()
    def process_gets_ready(self) -> None:
        self.tell(Ready())

    @precondition(lambda self: self.alive)
    @rule()
    def process_cannot_start(self) -> None:
        self.tell(StartFailed({"code": "startup_failed", "message": "no disk"}))

    @precondition(lambda self: self.alive)
    @rule(abnormal=st.booleans())
    def process_ends(self, abnormal: bool) -> None:
        self.alive = False
        self.tell(Exited(abnormal or self.killed, "SIGKILL" if self.killed else "exit code"))

    @rule(grace_seconds=st.floats(0, 10))
    def supervisor_drains(self, grace_seconds: float) -> None:
        self.ending = True
        self.tell(Drain(grace_seconds))

    @rule(grace_seconds=st.floats(0, 10))
    def supervisor_replaces(self, grace_seconds: float) -> None:
        self.tell(Replace(grace_seconds))

    @rule()
    def supervisor_kills(self) -> None:
        self.ending = True
        self.tell(KillNow())

    @rule()
    def timer_fires_too_early(self) -> None:
        before = self.child
        if before.due is not None and before.due > self.now:
            self.tell(Due())
            assert self.child == before

    @invariant()
    def state_says_whether_there_is_a_process(self) -> None:
        assert self.child.state.has_process == self.alive

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        if self.child.state not in STEADY and not (self.child.state in KILLED and self.killed):
            assert self.child.due is not None
            assert self.child.due <= self.now + max(DELAY_SECONDS_MAX, POLICY.start_seconds, 10)

    @invariant()
    def temporary_actors_have_one_process_ever(self) -> None:
        if self.child.restart is Restart.TEMPORARY:
            assert self.forks <= 1

    @invariant()
    def a_running_actor_has_no_error(self) -> None:
        if self.child.state is State.RUNNING:
            assert self.child.error is None
            assert self.child.failures == 0

    @override
    def teardown(self) -> None:
        """From anywhere, an end is reached: told to end, the actor needs no more than one exit."""
        self.ending = True
        self.tell(KillNow())
        if self.alive:
            self.process_ends(abnormal=True)
        assert self.child.state.over


TestSupervisedChild = SupervisedChild.TestCase
TestSupervisedChild.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
