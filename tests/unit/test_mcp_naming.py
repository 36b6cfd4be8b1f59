"""How tools are called."""

import pytest

from actors.mcp_front.naming import ToolNames, bare_name, nearest_name
from actors.mcp_front.tools.table import TOOLS


@pytest.mark.parametrize("called", ["execute_task", "ratchet_execute_task", "ratchet.execute_task"])
def test_every_alias_leads_to_the_same_tool(called: str) -> None:
    assert bare_name(called) == "execute_task"


def test_the_advertised_form_is_a_matter_of_configuration() -> None:
    assert ToolNames().advertised("execute_task") == "ratchet_execute_task"
    assert ToolNames("dotted").advertised("execute_task") == "ratchet.execute_task"


def test_names_with_underscores_are_what_every_host_takes() -> None:
    for name in TOOLS:
        advertised = ToolNames().advertised(name)
        assert len(advertised) <= 64
        assert advertised.replace("_", "").isalnum()


def test_a_call_is_written_so_that_it_can_be_made() -> None:
    call = ToolNames().call("get_execution_status", execution_id="exec_1", wait_seconds=30)
    assert call == 'ratchet_get_execution_status with {"execution_id": "exec_1", "wait_seconds": 30}'


@pytest.mark.parametrize(
    ("called", "nearest"),
    [
        ("ratchet_executetask", "execute_task"),
        ("ratchet.run_task", "execute_task"),
        ("GET_STATUS", "get_execution_status"),
        ("list_tasks", "list_available_tasks"),
        ("zzzz", None),
    ],
)
def test_the_nearest_name_helps_with_a_misspelt_one(called: str, nearest: str | None) -> None:
    assert nearest_name(called, TOOLS) == nearest
