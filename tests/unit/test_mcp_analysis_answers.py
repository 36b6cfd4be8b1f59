"""Analyses as answers: bounded, and without what the reader may not use."""

import json
from dataclasses import replace

import pytest

from actors.mcp_front.answers import analysis_answers
from actors.mcp_front.answers.analysis_answers import Gathered
from actors.mcp_front.answers.answer import Answer
from ratchet.models import Attempt, Category, JsonObject, Status, Task
from tests.unit.mcp_examples import START_NS, WORDING, execution, failure, record


def made(given: JsonObject, *, withheld: tuple[str, ...] = (), category: Category = Category.WORKER_LOST) -> Answer:
    failed = execution(
        Status.FAILED, failure=failure(category, message="m" * 9_000, chain=[], stack_trace=None), input=given
    )
    task = Task(
        task_id=failed.task_id,
        function="validate",
        path="/tasks/csv.py",
        version=failed.version,
        input_schema={"type": "object"},
        idempotent=True,
    )
    records = [record(number, "line " * 100) for number in range(20)]
    wording = replace(WORDING, names=replace(WORDING.names, withheld=frozenset(withheld)))
    return analysis_answers.analysis(Gathered(failed, task, log_tail=records), wording, include_suggestions=True)


@pytest.mark.parametrize("characters", [1, 1_500, 50_000])
def test_both_forms_of_an_answer_stay_within_the_budget(characters: int) -> None:
    result = made({"text": "ü" * characters}).result()
    [content] = result.content
    assert content.type == "text"
    assert len(content.text) <= 8_000
    assert len(json.dumps(result.structured_content, ensure_ascii=False)) <= 8_000


@pytest.mark.parametrize("given", [{"a": 1}, {"text": "x" * 50_000}])
def test_a_client_that_may_run_nothing_is_not_told_to(given: JsonObject) -> None:
    assert made(given).structured["next_call"] is not None
    answer = made(given, withheld=("execute_task",))
    assert answer.structured["next_call"] is None
    assert answer.structured["next"] is None


def test_a_failed_attempt_of_an_execution_that_goes_on_can_be_analysed() -> None:
    attempt = Attempt(number=1, fence=1, started_ns=START_NS, failure=failure())
    assert analysis_answers.has_failed(execution(Status.RUNNING, attempts=[attempt]))
    assert not analysis_answers.has_failed(execution(Status.COMPLETED, attempts=[attempt]))
    assert not analysis_answers.has_failed(execution(Status.QUEUED, attempts=[]))
