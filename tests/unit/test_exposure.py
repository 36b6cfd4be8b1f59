from hypothesis import given
from hypothesis import strategies as st

from actors.mcp_front.tools.table import TOOLS
from ratchet.exposure import UNEXPOSED, expose
from ratchet.models import Task
from ratchet.policy.rate_limits import TOOL_OF_SHORT_NAME


def named(task_id: str, **more: object) -> Task:
    return Task.model_validate(
        {"task_id": task_id, "function": "f", "path": f"/tasks/{task_id}.py", "version": "1", "input_schema": {}} | more
    )


def test_what_the_patterns_name_is_a_tool_in_the_order_of_the_ids() -> None:
    found = expose([named("a-1"), named("a-2"), named("b-1")], ["a-*", "none-*"])

    assert [(name, task.task_id) for name, task in found.tools.items()] == [("a-1", "a-1"), ("a-2", "a-2")]
    assert found.refused == ()


def test_nothing_is_exposed_without_a_pattern() -> None:
    assert expose([named("a")], []).tools == {}


def test_the_later_of_two_tasks_of_one_name_is_refused_without_a_word_of_the_other() -> None:
    found = expose([named("a.b"), named("a_b")], ["*"])

    assert {name: task.task_id for name, task in found.tools.items()} == {"a_b": "a.b"}
    [(task, why)] = found.refused
    assert (task.task_id, why.path, why.error_type) == ("a_b", "/tasks/a_b.py", UNEXPOSED)
    assert "a_b" in why.message
    assert "a.b" not in why.message


def test_no_task_takes_the_name_of_a_tool_of_ratchets_however_it_is_called() -> None:
    assert set(TOOL_OF_SHORT_NAME.values()) == TOOLS.keys()
    ids = ["execute_task", "ratchet_execute_task", "ratchet.get_system_health", "execute-task"]

    assert list(expose(map(named, ids), ["*"]).tools) == ["execute-task"]


@given(st.lists(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True), unique=True))
def test_names_fit_every_host_and_no_task_is_lost(ids: list[str]) -> None:
    found = expose(map(named, ids), ["*"])

    assert all(name.replace("_", "").replace("-", "").isalnum() and len(name) <= 64 for name in found.tools)
    assert len(found.tools) + len(found.refused) == len(ids)


def test_the_revision_is_of_what_clients_are_told() -> None:
    one = expose([named("a")], ["*"])

    assert expose([named("a", version="2", path="/elsewhere.py")], ["*"]).revision == one.revision
    assert expose([named("a", description="Other.")], ["*"]).revision != one.revision
    assert expose([], ["*"]).revision != one.revision
