"""After an error of a route: again, elsewhere, or not at all."""

import pytest

from ratchet.errors import (
    LlmAnswerError,
    LlmBudgetError,
    LlmCutError,
    LlmError,
    LlmRateLimitedError,
    LlmRefusedError,
    LlmTimeoutError,
    LlmUnavailableError,
)
from ratchet.llm.retry import delay_before_retry, falls_back
from ratchet.llm.script import Rule, Script


def delay(error: LlmError, tries: int = 1, *, left_seconds: float = 100.0) -> float | None:
    return delay_before_retry(error, tries, retries=3, left_seconds=left_seconds, chance=1.0)


@pytest.mark.parametrize("kind", [LlmUnavailableError, LlmCutError, LlmRateLimitedError])
def test_what_may_pass_is_tried_again_ever_later_but_not_for_ever(kind: type[LlmError]) -> None:
    assert [delay(kind("x"), tries) for tries in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, None]


@pytest.mark.parametrize("kind", [LlmRefusedError, LlmTimeoutError, LlmAnswerError, LlmBudgetError])
def test_what_would_end_the_same_way_is_not_tried_again(kind: type[LlmError]) -> None:
    assert delay(kind("x")) is None


def test_a_provider_is_taken_at_its_word_unless_nobody_would_wait_for_it() -> None:
    def limited(seconds: float) -> LlmError:
        return LlmRateLimitedError("x", details={"retry_after_seconds": seconds})

    assert delay(limited(7)) == 7
    assert delay(limited(7), left_seconds=5) is None
    assert delay(limited(3600)) is None


@pytest.mark.parametrize(
    ("error", "elsewhere"),
    [
        (LlmRateLimitedError("x"), True),
        (LlmTimeoutError("x"), True),
        (LlmAnswerError("x"), True),
        (LlmRefusedError("x", details={"status": 401}), True),
        (LlmRefusedError("x", details={"status": 400}), False),
        (LlmRefusedError("x"), False),
        (LlmBudgetError("x"), False),
    ],
)
def test_another_route_is_asked_unless_the_question_was_refused(error: LlmError, elsewhere: bool) -> None:
    assert falls_back(error) is elsewhere


def test_a_script_fails_and_answers_in_the_order_of_its_rules() -> None:
    script = Script(
        [
            Rule(pattern="sum", error="unavailable", times=2),
            Rule(pattern=r"sum of (\d+) and (\d+)", answer=r"\1+\2"),
            Rule(answer="anything"),
        ]
    )

    for _ in range(2):
        with pytest.raises(LlmUnavailableError):
            script.answer("the sum of 1 and 2")
    assert script.answer("the sum of 1 and 2") == "1+2"
    assert script.answer("else") == "anything"
    with pytest.raises(LlmRefusedError, match="no scripted answer fits"):
        Script([Rule(pattern="x", answer="y")]).answer("z")
