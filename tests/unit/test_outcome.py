"""An attempt's end in words: what the child said, how it died, and who stopped it."""

import signal

import pytest

from actors.worker.outcome import Died, Done, Identity, Stopping, ZygoteDied, report
from actors.worker.zygote import ChildExit
from ratchet.models import Category, Failure, ProcessEnd

IDENTITY = Identity(execution_id="exec_1", fence=1, pid=42, started_ns=0)


def died(code: int | None = None, number: int | None = None) -> Died:
    return Died(ChildExit(pid=42, exit_code=code, signal=number, cpu_seconds=0.1, memory_bytes_max=2**20), ("last",))


def failure_of(outcome: Done | Died | ZygoteDied, stopping: Stopping | None = None) -> Failure:
    failure = report(IDENTITY, outcome, stopping).failure
    assert failure is not None
    return failure


def test_an_output_is_reported_as_it_is():
    ended = report(IDENTITY, Done({"output": {"rows": 3}, "reusable": True}), None)
    assert ended.output == {"rows": 3}
    assert ended.failure is None
    assert ended.stopped_by is None


def test_a_task_that_completes_although_it_was_asked_to_stop_has_completed():
    ended = report(IDENTITY, Done({"output": 1}), Stopping(Category.CANCELLED, "enough"))
    assert ended.failure is None
    assert ended.stopped_by is None


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (died(code=3), "exited with code 3"),
        (died(number=signal.SIGSEGV), "killed by SIGSEGV"),
        (died(number=signal.SIGKILL), "not by Ratchet"),
    ],
)
def test_a_death_names_its_cause(outcome: Died, words: str):
    failure = failure_of(outcome)
    assert failure.category is Category.CRASHED
    assert words in failure.message
    assert failure.process is not None
    assert failure.process.last_lines == ["last"]


def test_used_up_cpu_time_is_a_limit_not_a_crash():
    assert failure_of(died(number=signal.SIGXCPU)).category is Category.LIMIT


def test_a_death_on_our_own_ladder_names_the_rung_and_the_reason():
    ended = report(IDENTITY, died(number=signal.SIGKILL), Stopping(Category.TIMEOUT, "too slow", "kill"))
    assert ended.stopped_by == "kill"
    assert ended.failure is not None
    assert ended.failure.category is Category.TIMEOUT
    assert ended.failure.process is not None
    assert ended.failure.process.sent_by == "kill"
    assert "too slow" in ended.failure.message


def test_a_dead_zygote_is_a_lost_worker_that_names_process_and_signal():
    failure = failure_of(ZygoteDied(ProcessEnd(process="zygote", pid=7, signal=9, signal_name="SIGKILL")))
    assert failure.category is Category.WORKER_LOST
    assert "zygote (pid 7)" in failure.message
    assert "SIGKILL" in failure.message


def test_a_forged_report_is_a_failure_of_the_task_and_no_more():
    failure = failure_of(Done({"failure": {"category": "nonsense", "x": 1}}))
    assert failure.type == "MalformedReport"
