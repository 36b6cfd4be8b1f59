"""How often a client may call a tool."""

import time

import pytest
from pydantic import ValidationError

from actors.mcp_front.tools.table import TOOLS
from ratchet.policy.rate_limits import TOOL_OF_SHORT_NAME, RateLimiter, limited_tool, parse_limit
from ratchet.policy.requests import Admit

BOUND_SECONDS = 10.0


def test_every_tool_has_a_short_name_and_every_short_name_a_tool() -> None:
    assert set(TOOL_OF_SHORT_NAME.values()) == TOOLS.keys()
    assert len(set(TOOL_OF_SHORT_NAME.values())) == len(TOOL_OF_SHORT_NAME)


@pytest.mark.parametrize("name", [*TOOL_OF_SHORT_NAME, *TOOL_OF_SHORT_NAME.values()])
def test_short_names_and_tool_names_are_understood(name: str) -> None:
    assert limited_tool(name) == TOOL_OF_SHORT_NAME.get(name, name)


def test_the_names_of_the_original_design_are_understood() -> None:
    assert (limited_tool("execute_task"), limited_tool("get_logs")) == ("execute_task", "get_execution_logs")


@pytest.mark.parametrize("text", ["", "10", "minute", "10/m", "-1/minute", "1/minute, 2/hour", "10/minute;5/second"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be one limit"):
        parse_limit(text)


def test_a_request_with_what_is_no_limit_is_not_valid() -> None:
    with pytest.raises(ValidationError, match="must be one limit"):
        Admit(client="alice", tool="execute_task", limit="often")


def test_as_many_calls_are_admitted_as_the_limit_says_and_the_rest_are_told_when() -> None:
    limiter = RateLimiter()
    seconds = [limiter.admit("alice", "execute_task", "3/minute") for _ in range(5)]

    assert seconds[:3] == [None] * 3
    for one in seconds[3:]:
        assert one is not None
        assert 55 < one <= 60


def test_clients_and_tools_are_counted_apart() -> None:
    limiter = RateLimiter()
    assert limiter.admit("alice", "execute_task", "1/minute") is None
    assert limiter.admit("alice", "get_execution_logs", "1/minute") is None
    assert limiter.admit("bob", "execute_task", "1/minute") is None
    assert limiter.admit("alice", "execute_task", "1/minute") is not None


def test_the_call_is_admitted_when_it_was_said_that_it_would_be_and_refused_ones_do_not_count() -> None:
    limiter = RateLimiter()
    assert limiter.admit("alice", "execute_task", "2/second") is None
    assert limiter.admit("alice", "execute_task", "2/second") is None
    began = time.monotonic()
    while (seconds := limiter.admit("alice", "execute_task", "2/second")) is not None:
        assert seconds > 0
        assert time.monotonic() - began < BOUND_SECONDS
        time.sleep(seconds)
    assert time.monotonic() - began >= 0.9
