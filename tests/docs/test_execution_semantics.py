"""What is said to follow an attempt that failed is what the decision does."""

import re

from ratchet.models import Category, Failure, RetryPolicy
from ratchet.next_attempt import DEATHS_MAX, Again, Past, next_attempt
from tests.docs.documents import read, section

PAGE = "docs/explanation/execution-semantics.md"
POLICY = RetryPolicy(max_attempts=3, waits_seconds=[5.0], timeouts=True)
WORDS = {None: "fails", 5.0: "again", 0.0: "at once"}
NOT_OF_ATTEMPTS = {Category.POISON, Category.CANCELLED}


def followed(failure: Failure, policy: RetryPolicy | None, *, idempotent: bool) -> str:
    past = Past().after(1, failure)
    decided = next_attempt(failure, past, policy=policy, idempotent=idempotent, left_seconds=None, chance=0.5)
    return WORDS[decided.delay_seconds if isinstance(decided, Again) else None]


def test_the_table_of_what_follows_is_the_decision() -> None:
    table = section(read(PAGE), "What follows an attempt that failed")
    rows = re.findall(r"^\| `(\w+)`(, not covered)?.*? \| (.+) \| (.+) \| (.+) \| (.+) \|$", table, re.MULTILINE)

    for name, not_covered, *words in rows:
        retryable = not not_covered if name == "exception" else None
        failure = Failure(category=Category(name), type="Some", message="failed", retryable=retryable)
        ways = [(None, False), (POLICY, False), (None, True), (POLICY, True)]
        assert words == [followed(failure, policy, idempotent=idempotent) for policy, idempotent in ways], name
    assert {Category(name) for name, *_ in rows} == set(Category) - NOT_OF_ATTEMPTS
    assert DEATHS_MAX == 3, "the page says so"
