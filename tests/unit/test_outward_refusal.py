"""What the configuration does not let a task ask is refused with the key to set."""

from pathlib import Path
from typing import Any

import pytest

from actors.worker.outward import refusal
from ratchet.bodies.attempts import AttemptOrder
from ratchet.config import Config
from ratchet.errors import RatchetError


def refused(method: str, **sections: Any) -> RatchetError | None:
    config = Config.model_validate({"data_dir": Path("/data"), **sections})
    order = AttemptOrder(
        execution_id="exec_1",
        attempt=1,
        fence=1,
        runner="r",
        task_id="t",
        function="t",
        path="/tasks/t.py",
        file="t.py",
        version="v",
        input={},
        trace=True,
        may_ask_llm=config.asks_llm,
        may_call_mcp=config.calls_mcp,
    )
    return refusal(order, method)


@pytest.mark.parametrize(
    ("method", "code", "key"),
    [
        ("llm.complete", "llm_not_configured", "llm.providers"),
        ("mcp.list_servers", "mcp_unknown_server", "mcp.servers"),
        ("mcp.call_tool", "mcp_unknown_server", "mcp.servers"),
    ],
)
def test_without_a_section_nobody_is_asked(method: str, code: str, key: str) -> None:
    error = refused(method, mcp={"servers": [{"name": "claude"}]})

    assert error is not None
    assert error.code == code
    assert key in error.message
    assert not error.retryable


def test_what_the_configuration_names_may_be_asked() -> None:
    assert refused("llm.complete", llm={"scripted": [{"answer": "yes"}]}) is None
    assert refused("mcp.list_tools", mcp={"servers": [{"name": "a", "command": "x"}]}) is None
    assert refused("calls.run") is None
