"""What a client may do, decided from its profile and what is known of the action."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.mcp_front.tools.table import TOOLS
from ratchet.config.mcp import ServerConfig
from ratchet.errors import ForbiddenError, UnknownExecutionError
from ratchet.policy.client import EVERY_PERMISSION, LOCAL, Client
from ratchet.policy.decision import Action, decide
from ratchet.policy.enforce import require, unknown_execution
from ratchet.policy.profiles import Profiles, http_profiles, stdio_profiles

ANYBODY = Client(name="alice")
FULL = Client(name="alice", permissions=EVERY_PERMISSION, task_patterns=("*",), dangerous_tasks=True)

permissions = st.sampled_from(sorted(EVERY_PERMISSION))
patterns = st.sampled_from(["*", "safe-*", "read-[ab]", "exact", ""])
task_ids = st.sampled_from(["safe-add", "read-a", "read-c", "exact", "other"])
clients = st.builds(
    Client,
    name=st.sampled_from(["alice", "bob"]),
    permissions=st.frozensets(permissions),
    task_patterns=st.lists(patterns, max_size=3).map(tuple),
    dangerous_tasks=st.booleans(),
)


def test_a_profile_of_only_a_name_allows_only_what_needs_nothing() -> None:
    assert decide(ANYBODY, Action(None)).allowed
    assert decide(ANYBODY, Action(None, owner="alice")).allowed
    for permission in EVERY_PERMISSION:
        assert not decide(ANYBODY, Action(permission)).allowed
    assert not decide(ANYBODY, Action(None, task_id="any")).allowed
    assert not decide(ANYBODY, Action(None, dangerous=True)).allowed


@pytest.mark.parametrize("unknown", ["can_do_anything", "", "CAN_READ_LOGS", "*"])
def test_a_permission_that_nobody_knows_is_had_by_nobody(unknown: str) -> None:
    decision = decide(FULL, Action(unknown))

    assert decision.code == "forbidden"
    assert not decision.visible


@pytest.mark.parametrize(
    ("task_patterns", "task_id", "allowed"),
    [
        (("*",), "any", True),
        (("safe-*",), "safe-add", True),
        (("safe-*",), "unsafe-add", False),
        (("safe-*",), "safe", False),
        (("safe-*", "read-only-*"), "read-only-x", True),
        (("exact",), "exact", True),
        (("exact",), "exactly", False),
        (("EXACT",), "exact", False),
        ((), "any", False),
    ],
)
def test_patterns_say_which_tasks_exist(task_patterns: tuple[str, ...], task_id: str, allowed: bool) -> None:
    client = Client(name="alice", permissions=EVERY_PERMISSION, task_patterns=task_patterns)
    decision = decide(client, Action("can_execute_tasks", task_id=task_id))

    assert (decision.allowed, decision.visible) == (allowed, allowed)
    assert allowed or all(pattern in decision.reason for pattern in task_patterns)


def test_dangerous_tasks_need_to_be_allowed() -> None:
    careful = FULL.model_copy(update={"dangerous_tasks": False})
    action = Action("can_execute_tasks", task_id="wipe", dangerous=True)

    assert decide(FULL, action).allowed
    assert decide(careful, action).code == "forbidden"
    assert "allow_dangerous_tasks" in decide(careful, action).reason


def test_an_execution_of_somebody_else_is_one_that_does_not_exist() -> None:
    with pytest.raises(UnknownExecutionError) as foreign:
        require(FULL, Action(None, owner="bob"), execution_id="exec_1")

    assert foreign.value.message == unknown_execution("exec_1").message
    assert foreign.value.details == {}
    require(FULL, Action(None, owner="alice"), execution_id="exec_1")
    require(None, Action(None, owner="bob"), execution_id="exec_1")


@given(clients, permissions | st.none() | st.just("unknown"), task_ids, st.sampled_from(["alice", "bob"]))
def test_knowing_more_never_allows_more(client: Client, permission: str | None, task_id: str, owner: str) -> None:
    less = [
        Action(None),
        Action(permission),
        Action(permission, task_id=task_id),
        Action(permission, task_id=task_id, dangerous=True),
        Action(permission, task_id=task_id, dangerous=True, owner=owner),
    ]
    allowed = [decide(client, action).allowed for action in less]

    assert allowed == sorted(allowed, reverse=True)


@given(clients, clients, permissions, task_ids, st.booleans())
def test_a_wider_profile_never_forbids_what_a_narrower_one_allows(
    one: Client, other: Client, permission: str, task_id: str, dangerous: bool
) -> None:
    wider = Client(
        name=one.name,
        permissions=one.permissions | other.permissions,
        task_patterns=one.task_patterns + other.task_patterns,
        dangerous_tasks=one.dangerous_tasks or other.dangerous_tasks,
    )
    action = Action(permission, task_id=task_id, dangerous=dangerous, owner=one.name)

    assert decide(wider, action).allowed or not decide(one, action).allowed


@given(clients)
def test_a_profile_survives_the_wire(client: Client) -> None:
    assert Client.model_validate_json(client.model_dump_json()) == client


# --- profiles -----------------------------------------------------------------------------------------------------


def server(**settings: object) -> ServerConfig:
    return ServerConfig.model_validate(settings)


def test_without_keys_whoever_reaches_the_port_is_local_and_may_do_everything() -> None:
    assert http_profiles(server()).of(None) == Client(
        name=LOCAL, permissions=EVERY_PERMISSION, task_patterns=("*",), dangerous_tasks=False
    )


def test_with_keys_nobody_is_anonymous() -> None:
    keys = [
        {
            "key": "k" * 16,
            "name": "ci",
            "permissions": {"can_read_logs": False, "rate_limits": {"get_logs": "1/second"}},
        }
    ]
    profiles = http_profiles(server(auth={"type": "api_key", "api_keys": keys}))

    assert profiles.of("ci").permissions == EVERY_PERMISSION - {"can_read_logs"}
    assert profiles.of("ci").rate_limits == {"get_execution_logs": "1/second"}
    for nobody in (None, "CI", "local", ""):
        with pytest.raises(ForbiddenError):
            profiles.of(nobody)


def test_stdio_has_a_profile_of_its_own() -> None:
    settings = server(stdio={"permissions": {"can_execute_tasks": False, "allowed_task_patterns": ["a-*"]}})
    client = stdio_profiles(settings).of(None)

    assert client.name == LOCAL
    assert client.permissions == EVERY_PERMISSION - {"can_execute_tasks"}
    assert client.task_patterns == ("a-*",)
    assert http_profiles(settings).of(None).permissions == EVERY_PERMISSION


def test_profiles_of_nobody_let_nobody_in() -> None:
    with pytest.raises(ForbiddenError):
        Profiles().of(None)


def test_every_tool_that_needs_something_needs_a_permission_that_can_be_had() -> None:
    assert {tool.permission for tool in TOOLS.values()} - {None} <= EVERY_PERMISSION
