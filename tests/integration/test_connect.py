"""`ratchet connect`: what it writes starts this project, and what was in a file before stays in it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from ratchet.cli.hosts import FORMS, Host
from tests.harness import RunningProject, folder_project
from tests.integration.command_line import CommandLine

KEY = "connect-0123456789abcdef"
GUARDED = {
    "mcp": {
        "server": {
            "bind_address": "0.0.0.0:8123",
            "auth": {"type": "api_key", "api_keys": [{"name": "one", "key": "${CONNECT_KEY}"}]},
        }
    }
}


@pytest.fixture
def line(tmp_path: Path) -> Iterator[CommandLine]:
    """The command line of a project that nothing runs for, whose server asks for keys."""
    with folder_project(tmp_path / "project", tasks={}, config=GUARDED, environ={"CONNECT_KEY": KEY}) as project:
        yield CommandLine(project)


def written(path: Path, host: Host, name: str = "ratchet") -> Any:
    return json.loads(path.read_text())[FORMS[host].section][name]


async def test_a_written_entry_starts_ratchet_for_its_project(shared_project: RunningProject, tmp_path: Path) -> None:
    path = tmp_path / "new" / "mcp.json"
    ran = CommandLine(shared_project).run_process("connect", "claude-code", "--file", str(path))
    assert (ran.code, ran.out.splitlines()[0]) == (0, f"created {path}")
    assert "start `claude`" in ran.err
    entry = written(path, Host.CLAUDE_CODE)

    # As a host does it: from a folder of its own, knowing nothing but the entry.
    server = StdioServerParameters(
        command=entry["command"], args=entry["args"], env=shared_project.environ, cwd=tmp_path
    )
    async with Client(server) as client:
        result = await client.call_tool("ratchet_execute_task", {"task_id": "add", "input": {"a": 41}})
    assert result.structured_content is not None
    assert result.structured_content["output"] == 42


async def test_an_http_entry_leads_to_the_server_that_runs(shared_project: RunningProject, tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    told = CommandLine(shared_project).run("connect", "vscode", "--http", "--file", str(path), "--json").json
    assert told == {
        "host": "vscode",
        "file": str(path),
        "name": "ratchet",
        "changed": True,
        "entry": {"type": "http", "url": shared_project.url},
    }
    async with Client(written(path, Host.VSCODE)["url"]) as client:
        assert client.server_info is not None
        assert client.server_info.name == "ratchet"


def test_every_host_has_a_file_of_its_own(line: CommandLine, tmp_path: Path) -> None:
    folder, home = line.project.folder, tmp_path / "home"
    places = {
        "claude-code": folder / ".mcp.json",
        "claude-desktop": home / ".config" / "Claude" / "claude_desktop_config.json",
        "cursor": folder / ".cursor" / "mcp.json",
        "vscode": folder / ".vscode" / "mcp.json",
    }
    assert places.keys() == set(Host)
    for host, path in places.items():
        ran = line.run("connect", host, HOME=str(home), XDG_CONFIG_HOME=str(home / ".config"))
        assert (ran.code, ran.out.splitlines()[0]) == (0, f"created {path}")
        entry = written(path, Host(host))
        assert Path(entry["command"]).is_file()
        assert entry["args"] == ["stdio", "--config", str(line.project.config_path)]
        assert entry.get("type") == ("stdio" if host in ("claude-code", "vscode") else None)


def test_a_key_is_asked_for_in_the_words_of_the_host_and_never_written(line: CommandLine) -> None:
    said = {host: line.run("connect", host, "--http", "--print") for host in ("claude-code", "cursor", "vscode")}
    headers = {host: next(iter(ran.json[FORMS[Host(host)].section].values()))["headers"] for host, ran in said.items()}
    assert headers == {
        "claude-code": {"Authorization": "Bearer ${RATCHET_API_KEY}"},
        "cursor": {"Authorization": "Bearer ${env:RATCHET_API_KEY}"},
        "vscode": {"Authorization": "Bearer ${input:ratchet-api-key}"},
    }
    assert [one["id"] for one in said["vscode"].json["inputs"]] == ["ratchet-api-key"]
    assert "http://127.0.0.1:8123/mcp" in said["cursor"].out
    assert not [host for host, ran in said.items() if KEY in ran.out + ran.err]
    assert not (line.project.folder / ".cursor").exists()

    refused = line.run("connect", "claude-desktop", "--http")
    assert (refused.code, "leave --http out" in refused.err) == (2, True)


def test_what_was_in_the_file_stays_in_it(line: CommandLine, tmp_path: Path) -> None:
    real, path = tmp_path / "real.json", tmp_path / "link.json"
    before: dict[str, Any] = {
        "theme": "grün",
        "inputs": [{"id": "other", "type": "promptString"}],
        "servers": {"other": {"type": "http", "url": "http://x", "headers": {"A": "b"}}, "ratchet-2": {}},
        "big": [2**70, 0.5, None],
    }
    real.write_text(json.dumps(before, indent="\t", ensure_ascii=False))
    real.chmod(0o600)
    path.symlink_to(real)

    ran = line.run("connect", "vscode", "--http", "--file", str(path))
    assert ran.code == 0
    assert [one for one in ran.out.splitlines() if one.startswith("+") and '"url"' in one]
    after = json.loads(real.read_text())
    entry = after["servers"].pop("ratchet")
    assert [one["id"] for one in after.pop("inputs")] == ["other", "ratchet-api-key"]
    assert after == {name: value for name, value in before.items() if name != "inputs"}
    assert (path.is_symlink(), real.stat().st_mode & 0o777) == (True, 0o600)
    assert "\n\t\t" in real.read_text()
    assert "grün" in real.read_text()

    # Somebody put the key in by hand: the entry is right as it is.
    entry["headers"] = {"Authorization": "Bearer by-hand"}
    real.write_text(
        json.dumps({**after, "servers": {**after["servers"], "ratchet": entry}, "inputs": before["inputs"]})
    )
    assert line.run("connect", "vscode", "--http", "--file", str(path)).code == 0
    assert written(real, Host.VSCODE)["headers"] == entry["headers"]
    now = real.read_bytes()
    again = line.run("connect", "vscode", "--http", "--file", str(path))
    assert (again.code, again.out, real.read_bytes()) == (0, f"{path} has this entry already\n", now)


def test_an_entry_of_this_project_is_renewed_and_that_of_another_only_on_request(
    line: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "mcp.json"
    args = ["stdio", "--config", str(line.project.config_path)]
    old = {"command": "/gone/ratchet", "args": args, "env": {"A": "b"}, "disabled": True}
    path.write_text(json.dumps({"mcpServers": {"ratchet": old}}))
    assert line.run("connect", "cursor", "--file", str(path)).code == 0
    renewed = written(path, Host.CURSOR)
    assert renewed["command"] != old["command"]
    assert (renewed["env"], renewed["disabled"]) == ({"A": "b"}, True)

    path.write_text(json.dumps({"mcpServers": {"ratchet": {"command": "other", "args": 7}}}))
    refused = line.run("connect", "cursor", "--file", str(path))
    assert (refused.code, "--replace" in refused.err) == (1, True)
    assert line.run("connect", "cursor", "--file", str(path), "--name", "second").code == 0
    assert written(path, Host.CURSOR)["command"] == "other"
    assert line.run("connect", "cursor", "--file", str(path), "--replace").code == 0
    assert written(path, Host.CURSOR) == written(path, Host.CURSOR, "second")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{\n  "mcpServers": {},\n  // mine\n}', "line 3, column 3"),
        (b'["a"]', "a list, not an object"),
        (b'{"mcpServers": []}', "a list as 'mcpServers'"),
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b'{"a": "\xff"}', "cannot be read"),
        (b"[" * 100_000, "nested too deeply"),
    ],
    ids=["comment", "list", "section", "twice", "encoding", "deep"],
)
def test_a_file_that_is_not_understood_is_not_touched(
    line: CommandLine, tmp_path: Path, content: bytes, why: str
) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(content)
    ran = line.run("connect", "cursor", "--file", str(path), "--json")
    assert (ran.code, ran.out, path.read_bytes()) == (1, "", content)
    message = json.loads(ran.err)["error"]["message"]
    assert why in message
    assert f"nothing was written: {path}" in message


def test_what_a_host_could_not_use_is_refused(line: CommandLine) -> None:
    assert line.run("connect", "emacs").code == 2
    assert "--name" in line.run("connect", "cursor", "--name", "my server").err
    line.project.configure({"mcp": {"server": {"bind_address": "127.0.0.1:0"}}})
    assert "leaves the port open" in line.run("connect", "cursor", "--http").err
    line.project.configure({"mcp": {"server": {"transport": "stdio"}}})
    assert "no HTTP server" in line.run("connect", "cursor", "--http").err
    line.project.config_path.unlink()
    assert "ratchet init" in line.run("connect", "cursor").err
