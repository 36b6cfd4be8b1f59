"""Who may reach the server: API keys, addresses, and restrictions that would be false promises."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ratchet.config import Config, load_config
from ratchet.config.enforcement import REFUSED, WITHOUT_EFFECT
from ratchet.config.keys import every_key
from ratchet.errors import ConfigError
from ratchet.project import find_project

SECRET = "sk-0123456789-very-secret"

# As users of the original design have it.
ORIGINAL = """
mcp:
  servers:
    - name: "claude"
      # ...

  server:
    enabled: true
    transport: "sse"  # or "stdio"
    bind_address: "0.0.0.0:8090"

    auth:
      type: "api_key"  # or "oauth2"
      api_keys:
        - key: "${MCP_API_KEY_1}"
          name: "ai-assistant"
          permissions:
            can_execute_tasks: true
            can_read_logs: true
            can_read_traces: true
            allowed_task_patterns:
              - "safe-*"
              - "read-only-*"
            rate_limits:
              execute_task: "10/minute"
              get_logs: "100/minute"

    # Security settings
    security:
      max_execution_time: 300  # 5 minutes
      max_log_entries: 1000
      allow_dangerous_tasks: false
      audit_log_enabled: true

    # Performance settings
    performance:
      max_concurrent_executions_per_client: 5
      execution_queue_size: 100
      log_cache_ttl: 300  # 5 minutes
"""


class Server:
    """A project whose `mcp.server` is what a test says."""

    def __init__(self, base: Path) -> None:
        (base / "tasks").mkdir()
        (base / "run").mkdir(mode=0o700)
        self.file = base / "ratchet.yaml"
        self.environ = {"XDG_RUNTIME_DIR": str(base / "run"), "HOME": str(base), "API_KEY": SECRET}

    def load(self, content: str | dict[str, Any], **environ: str) -> Config:
        text = content if isinstance(content, str) else yaml.safe_dump({"mcp": {"server": content}})
        self.file.write_text(text)
        project = find_project(str(self.file), None, self.environ, self.file.parent)
        return load_config(project, environ={**self.environ, **environ})

    def refusal(self, content: str | dict[str, Any], **environ: str) -> str:
        with pytest.raises(ConfigError) as caught:
            self.load(content, **environ)
        assert caught.value.__cause__ is None, "the error that caused it may show what it hides"
        return caught.value.message


def with_keys(*keys: str, **server: object) -> dict[str, Any]:
    entries = [{"key": key, "name": f"client-{index}"} for index, key in enumerate(keys)]
    return {"auth": {"type": "api_key", "api_keys": entries}, **server}


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


@pytest.mark.parametrize("address", ["0.0.0.0:8090", "[::]:8090", "192.0.2.1:80", "example.org:80"])
def test_an_address_that_others_reach_needs_authentication(address: str, server: Server) -> None:
    assert "can be reached from other machines" in server.refusal({"bind_address": address})
    assert server.load(with_keys("${API_KEY}", bind_address=address)).warnings == ()


@pytest.mark.parametrize(
    "settings",
    [
        {"bind_address": "127.0.0.1:0"},
        {"bind_address": "[::1]:8090"},
        {"bind_address": "localhost:8090"},
        {"bind_address": "0.0.0.0:8090", "transport": "stdio"},
        {"bind_address": "0.0.0.0:8090", "enabled": False},
    ],
)
def test_loopback_or_no_port_at_all_needs_none(settings: dict[str, Any], server: Server) -> None:
    assert server.load(settings).mcp.server.bind_address == settings["bind_address"]


def test_api_keys_stay_templates_until_they_are_used(server: Server) -> None:
    config = server.load(with_keys("${API_KEY}"))
    (entry,) = config.mcp.server.auth.api_keys

    assert entry.key.resolve(server.environ) == SECRET
    assert entry.key.template == "${API_KEY}"
    assert SECRET not in repr(config) + config.model_dump_json() + str(config.model_dump())


def test_a_key_written_into_the_file_works_with_a_warning(server: Server) -> None:
    config = server.load(with_keys(SECRET))

    assert config.mcp.server.auth.api_keys[0].key.resolve({}) == SECRET
    assert SECRET not in repr(config) + config.model_dump_json()
    assert len(config.warnings) == 1
    assert "the file holds the key itself" in config.warnings[0]


def test_a_key_of_digits_is_text(server: Server) -> None:
    content = "mcp: {server: {auth: {type: api_key, api_keys: [{name: a, key: 01234567890123456789}]}}}"

    assert server.load(content).mcp.server.auth.api_keys[0].key.resolve({}) == "01234567890123456789"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "must not be empty"),
        ("fifteen-letters", "at least 16 characters"),
        ("a key with spaces in it", "visible ASCII"),
        ("with-a-line-end-at-its-end\n", "visible ASCII"),
        ("ключ-ключ-ключ-ключ", "visible ASCII"),
    ],
)
def test_a_useless_key_is_refused_without_being_shown(value: str, said: str, server: Server) -> None:
    message = server.refusal(with_keys("${API_KEY}"), API_KEY=value)

    assert said in message
    assert "mcp.server.auth.api_keys[0].key" in message
    assert not value or value not in message


def test_an_unset_key_names_its_variable(server: Server) -> None:
    message = server.refusal(with_keys("${UNSET_KEY}"))

    assert "api_keys[0].key: the environment variable UNSET_KEY is not set" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "auth",
    [
        {"api_keys": SECRET},
        {"api_keys": [SECRET]},
        {"api_keys": {"key": SECRET}},
        {"api_keys": [{"name": "a", "key": [SECRET]}]},
        {"api_keys": [{"name": "a", "key": {"value": SECRET}}]},
        {"api_keys": [{"name": "a", "keys": SECRET}]},
        {"api_keys": [{"name": [SECRET], "key": SECRET}]},
        {"api_keys": [{"name": SECRET * 10, "key": SECRET}]},
        {"api_keys": [{"name": "a", "key": "${" + SECRET}]},
        SECRET,
    ],
)
def test_no_error_shows_a_secret_wherever_it_was_put(auth: object, server: Server) -> None:
    assert SECRET not in server.refusal({"auth": auth})


def test_clients_must_be_told_apart(server: Server) -> None:
    same_name = {
        "auth": {"type": "api_key", "api_keys": [{"key": SECRET, "name": "a"}, {"key": SECRET * 2, "name": "a"}]}
    }

    assert "api_keys[1].name: 'a' is the name of api_keys[0] too" in server.refusal(same_name)
    assert "api_keys[1].key: is the key of api_keys[0] too" in server.refusal(with_keys("${API_KEY}", SECRET))


def test_keys_and_the_kind_of_authentication_must_agree(server: Server) -> None:
    keys = with_keys("${API_KEY}")["auth"]["api_keys"]

    assert "would not be asked for" in server.refusal({"auth": {"api_keys": keys}})
    assert "nobody could enter" in server.refusal({"auth": {"type": "api_key"}})
    assert "use api_key" in server.refusal({"auth": {"type": "oauth2"}})


def with_limits(**limits: str) -> dict[str, Any]:
    keys = with_keys("${API_KEY}")
    keys["auth"]["api_keys"][0]["permissions"] = {"rate_limits": limits}
    return keys


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"execute": "10/minute"}, "rate_limits.execute: names no tool; did you mean execute_task?"),
        ({"ratchet.get_log": "10/minute"}, "did you mean get_logs?"),
        ({"zzz": "10/minute"}, "names no tool; known here: execute_task"),
        ({"execute_task": "often"}, "must be one limit, an amount and a time: 10/minute"),
        ({"execute_task": "10/minute;1/second"}, "must be one limit"),
        ({"execute_task": "10/fortnight"}, "given '10/fortnight'"),
        ({"execute_task": "0/minute"}, "must admit at least one call"),
        (
            {"get_logs": "1/minute", "get_execution_logs": "1/minute"},
            "limits the same tool as get_execution_logs",
        ),
    ],
)
def test_a_rate_limit_names_a_tool_and_an_amount(limits: dict[str, str], said: str, server: Server) -> None:
    assert said in server.refusal(with_limits(**limits))
    assert said in server.refusal({"stdio": {"permissions": {"rate_limits": limits}}})


@pytest.mark.parametrize("limit", ["10/minute", "100 per hour", "5/2seconds", "1/day"])
def test_rate_limits_are_written_as_people_do(limit: str, server: Server) -> None:
    assert server.load(with_limits(execute_task=limit, get_execution_logs=limit)).warnings == ()


def test_no_key_is_called_like_those_who_need_none(server: Server) -> None:
    entry = {"key": "${API_KEY}", "name": "local"}

    assert "'local' is who needs no key" in server.refusal({"auth": {"type": "api_key", "api_keys": [entry]}})


def test_other_mcp_servers_load_and_are_reported(server: Server) -> None:
    config = server.load("mcp: {servers: [{name: claude}]}")

    assert [warning.partition(": has no effect")[0].rpartition(" ")[2] for warning in config.warnings] == [
        "mcp.servers[0]"
    ]


def test_secrets_of_other_servers_are_kept_as_templates_and_checked(server: Server) -> None:
    content = (
        "mcp:\n  servers:\n    - name: a\n      command: x\n      env: {TOKEN: '${API_KEY}', N: 5}\n"
        "      headers: {Authorization: 'Bearer ${API_KEY}'}\n"
    )
    (entry,) = server.load(content).mcp.servers

    assert {name: secret.resolve(server.environ) for name, secret in entry.env.items()} == {"TOKEN": SECRET, "N": "5"}
    assert SECRET not in repr(entry)
    assert "mcp.servers[0].env.TOKEN: the environment variable NO" in server.refusal(content.replace("API_KEY", "NO"))


def test_the_original_block_loads_as_it_stands(server: Server) -> None:
    config = server.load(ORIGINAL, MCP_API_KEY_1=SECRET)

    assert [warning.partition(": has no effect")[0].rpartition(" ")[2] for warning in config.warnings] == [
        "mcp.servers[0]"
    ]
    assert config.limits.timeout_seconds == 300
    assert config.executions.queue_size == 100


def test_the_rows_about_enforcement_name_keys_that_exist() -> None:
    known = {key.text for key in every_key()}

    assert {row.key.removesuffix("[]") for row in (*REFUSED, *WITHOUT_EFFECT)} <= known
