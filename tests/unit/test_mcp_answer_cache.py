"""Answers that are kept for a while."""

from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.answers.answer_cache import ENTRIES_MAX, AnswerCache

ANSWER = Answer({}, "text")


def test_an_answer_is_given_again_until_its_time_is_over() -> None:
    now = [100.0]
    cache = AnswerCache(5, lambda: now[0])
    cache.put("a", ANSWER)

    now[0] = 104.9
    assert cache.get("a") is ANSWER
    assert cache.get("b") is None
    now[0] = 105.0
    assert cache.get("a") is None


def test_a_cache_without_time_keeps_nothing() -> None:
    cache = AnswerCache(0, lambda: 0.0)
    cache.put("a", ANSWER)

    assert cache.get("a") is None


def test_the_oldest_makes_room() -> None:
    cache = AnswerCache(5, lambda: 0.0)
    for number in range(ENTRIES_MAX + 1):
        cache.put(number, ANSWER)

    assert cache.get(0) is None
    assert cache.get(1) is ANSWER
    assert cache.get(ENTRIES_MAX) is ANSWER
