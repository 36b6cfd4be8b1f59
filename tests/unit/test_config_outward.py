"""What the configuration says of LLMs and other MCP servers is enough to reach them, or refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ratchet.config import Config, load_config, outward_secret_values, outward_variables, secret_values
from ratchet.errors import ConfigError
from ratchet.project import find_project
from supervisor import child_table

KEY = "sk-0123456789-very-secret"
LOCAL = {"name": "local", "base_url": "http://127.0.0.1:11434/v1", "model": "m"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "tasks").mkdir()
    return tmp_path


def load(folder: Path, **sections: Any) -> Config:
    environ = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder / "run"), "KEY": KEY}
    (folder / "ratchet.yaml").write_text(yaml.safe_dump(sections))
    return load_config(find_project(None, None, environ, folder), environ=environ)


def test_nobody_may_be_asked_unless_it_is_configured(folder: Path) -> None:
    config = load(folder)

    assert config.llm.order == ()
    assert "llm-gateway" not in [spec.name for spec in child_table(config).always]


@pytest.mark.parametrize(
    "sections",
    [
        {"llm": {"providers": [LOCAL]}},
        {"llm": {"scripted": [{"answer": "yes"}]}},
        {"mcp": {"servers": [{"name": "search", "command": "search-mcp"}]}},
    ],
)
def test_there_is_a_gateway_where_it_has_something_to_do(folder: Path, sections: dict[str, Any]) -> None:
    assert "llm-gateway" in [spec.name for spec in child_table(load(folder, **sections)).always]


def test_a_server_that_has_a_name_alone_needs_no_gateway(folder: Path) -> None:
    config = load(folder, mcp={"servers": [{"name": "claude"}]})

    assert "llm-gateway" not in [spec.name for spec in child_table(config).always]
    assert "neither a command nor a url" in config.warnings[0]


def test_providers_are_asked_as_listed_and_the_script_last_unless_routes_say_otherwise(folder: Path) -> None:
    llm = {"providers": [LOCAL, {**LOCAL, "name": "other"}], "scripted": [{"answer": "yes"}]}

    assert load(folder, llm=llm).llm.order == ("local", "other", "scripted")
    assert load(folder, llm={**llm, "routes": ["other"]}).llm.order == ("other",)


def test_a_key_is_a_secret(folder: Path) -> None:
    config = load(folder, llm={"providers": [{**LOCAL, "api_key": "${KEY}"}]})

    assert KEY not in repr(config)
    assert KEY not in config.model_dump_json()
    [provider] = config.llm.providers
    assert provider.api_key is not None
    assert provider.api_key.resolve({"KEY": KEY}) == KEY
    with pytest.raises(ConfigError, match=r"llm.providers\[0\].api_key: the environment variable OTHER is not set"):
        load(folder, llm={"providers": [{**LOCAL, "api_key": "${OTHER}"}]})


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"llm": {"providers": [{**LOCAL, "base_url": "localhost:80"}]}}, "must be an address such as"),
        ({"llm": {"providers": [LOCAL, LOCAL]}}, "is the name of providers[0] too"),
        ({"llm": {"providers": [{**LOCAL, "name": "scripted"}]}}, "is the route of llm.scripted"),
        ({"llm": {"providers": [LOCAL], "routes": ["nobody"]}}, "'nobody' is no provider"),
        ({"llm": {"providers": [{**LOCAL, "name": "caller"}]}}, "is the route to the caller's LLM"),
        ({"llm": {"providers": [LOCAL], "routes": ["local", "local"]}}, "stands here twice"),
        ({"llm": {"scripted": [{"pattern": "x"}]}}, "needs either an answer or an error"),
        ({"llm": {"scripted": [{"answer": "x", "error": "cut"}]}}, "needs either an answer or an error"),
        ({"llm": {"scripted": [{"answer": "x", "pattern": "("}]}}, "is no regular expression"),
        ({"llm": {"scripted": [{"answer": "\\2", "pattern": "(x)"}]}}, "a group that the pattern does not have"),
        ({"mcp": {"servers": [{"name": "a", "transport": "http"}]}}, "mcp.servers[0].url: is missing"),
        ({"mcp": {"servers": [{"name": "a", "transport": "stdio"}]}}, "mcp.servers[0].command: is missing"),
        ({"mcp": {"servers": [{"name": "a", "command": "x", "url": "http://x"}]}}, "say with `transport`"),
        ({"mcp": {"servers": [{"name": "a"}, {"name": "a"}]}}, "is the name of servers[0] too"),
    ],
)
def test_what_could_not_be_reached_is_refused_and_says_why(
    folder: Path, sections: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(folder, **sections)

    assert message in raised.value.message


def test_what_others_need_too_is_not_kept_from_them(folder: Path) -> None:
    llm = {"providers": [{**LOCAL, "api_key": "${KEY}"}]}
    alone = load(folder, llm=llm)
    shared = load(folder, llm=llm, tasks={"env": ["KEY"]})

    assert outward_variables(alone) == {"KEY"}
    assert outward_variables(shared) == set()
    assert outward_secret_values(alone, {"KEY": KEY}) == [KEY]
    assert secret_values(alone, {}) == []
